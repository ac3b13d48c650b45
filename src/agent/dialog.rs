//! What a recognised dialog takes for an answer: its options with a plain yes and a plain no, and
//! the key for each.
//!
//! **Invariant:** an option without a key of its own is not pressed; a "yes" that grants more than
//! this once is no plain yes. Must not know: how a key reaches a terminal, who answers.

use crate::model::dialog::{Choice, Says};
use crate::model::state::Ask;

use super::adapter::InputRules;
use super::hook;
use super::screen::Prompt;

/// What a yes that grants more than this once goes on with.
const MORE: [&str; 3] = ["yes, and ", "yes and ", "yes, don't ask"];

/// The tools whose dialogs a plain yes does not answer: one asks a question of its own, the other
/// asks in which mode to go on.
const OWN_DIALOGS: [&str; 3] = ["AskUserQuestion", hook::PLAN_TOOL, "request_user_input"];

/// Whether a hook that asks for permission for this tool may be answered by a yes or a no.
#[must_use]
pub fn hook_answers(tool: &str) -> bool {
    !OWN_DIALOGS.contains(&tool)
}

/// Whether a hook that asks for permission for this tool asks leave to carry out a plan.
#[must_use]
pub fn is_plan(tool: &str) -> bool {
    tool == hook::PLAN_TOOL
}

/// What may be answered in a dialog, in its order.
#[must_use]
pub fn options(prompt: &Prompt) -> Vec<Choice> {
    let permission = prompt.ask == Ask::Permission;
    let lower: Vec<String> = prompt.options.iter().map(|o| o.text.to_lowercase()).collect();
    let plain = |text: &String| text.starts_with("yes") && !MORE.iter().any(|more| text.starts_with(more));
    let yes = lower.iter().position(plain).filter(|_| permission);
    let is_no = |text: &String| text == "no" || text.starts_with("no,") || text.starts_with("no ");
    let no = lower.iter().rposition(is_no).filter(|_| permission);
    let says = |i: usize| match i {
        _ if Some(i) == yes => Some(Says::Yes),
        _ if Some(i) == no => Some(Says::No),
        _ => None,
    };
    prompt
        .options
        .iter()
        .enumerate()
        .map(|(i, o)| Choice { number: o.number, text: o.text.clone(), says: says(i) })
        .collect()
}

/// What a hook that waits takes, where no dialog was recognised on the screen.
#[must_use]
pub fn hook_options() -> Vec<Choice> {
    let one = |text: &str, says| Choice { number: None, text: text.to_owned(), says: Some(says) };
    vec![one("Yes", Says::Yes), one("No", Says::No)]
}

/// The key that takes an option of the dialog as it stands; `None` where there is none that does
/// this and nothing else.
#[must_use]
pub fn key(input: &InputRules, prompt: &Prompt, choice: &Choice) -> Option<Vec<u8>> {
    let known = options(prompt);
    let option = known.iter().find(|o| *o == choice)?;
    let same = known.iter().filter(|o| o.number == option.number).count() == 1;
    let bytes = match (option.number, option.says) {
        (Some(n @ 1..=9), _) if input.digits && same => n.to_string(),
        (_, Some(Says::Yes)) => input.yes.clone(),
        (_, Some(Says::No)) => input.no.clone(),
        _ => return None,
    };
    (!bytes.is_empty()).then(|| bytes.into_bytes())
}

/// The lines that must still be on the screen when the key is pressed.
#[must_use]
pub fn shown(prompt: &Prompt, choice: &Choice) -> Vec<String> {
    let option = prompt.options.iter().find(|o| o.number == choice.number && o.text == choice.text);
    let detail = prompt.detail.last().cloned();
    std::iter::once(prompt.question.clone()).chain(detail).chain(option.map(|o| o.text.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::adapter::builtin;
    use crate::agent::screen;

    /// The recorded screens of one CLI that show a dialog of this name.
    fn prompts(cli: &str, name: &str) -> Vec<Prompt> {
        let adapter = builtin(cli).expect(cli);
        let all = include_str!("../../tests/recordings/screens.txt");
        let found: Vec<Prompt> = all
            .split("=== ")
            .filter_map(|part| part.split_once('\n'))
            .filter(|(head, _)| head.starts_with(&format!("{cli} | {name}")))
            .filter_map(|(_, text)| screen::read(&adapter, text).prompt)
            .collect();
        assert!(!found.is_empty(), "{cli} {name}");
        found
    }

    fn keys(cli: &str, name: &str) -> Vec<Vec<(Option<Says>, Option<String>)>> {
        let input = builtin(cli).expect(cli).input;
        let of = |prompt: &Prompt| {
            let key = |c: &Choice| key(&input, prompt, c).map(|k| String::from_utf8_lossy(&k).into_owned());
            options(prompt).iter().map(|c| (c.says, key(c))).collect()
        };
        prompts(cli, name).iter().map(of).collect()
    }

    #[test]
    fn a_permission_has_one_plain_yes_and_one_no_and_a_key_for_each_option() {
        for (cli, name) in [("claude", "permission"), ("codex", "permission")] {
            for dialog in keys(cli, name) {
                let last = dialog.len().to_string();
                assert_eq!(dialog.first(), Some(&(Some(Says::Yes), Some("1".to_owned()))), "{cli} {dialog:?}");
                assert_eq!(dialog.last(), Some(&(Some(Says::No), Some(last))), "{cli} {dialog:?}");
                let plain = dialog.iter().filter(|(says, _)| says.is_some()).count();
                assert_eq!(plain, 2, "{cli} {dialog:?}");
                assert!(dialog.iter().all(|(_, key)| key.is_some()), "{cli} {dialog:?}");
            }
        }
    }

    #[test]
    fn a_question_has_no_yes_and_its_options_have_numbers() {
        for cli in ["claude", "codex"] {
            for dialog in keys(cli, "question | question") {
                assert!(dialog.iter().all(|(says, key)| says.is_none() && key.is_some()), "{cli} {dialog:?}");
            }
        }
    }

    #[test]
    fn an_option_that_is_no_longer_there_has_no_key() {
        let input = builtin("claude").expect("claude").input;
        let prompt = prompts("claude", "permission").remove(0);
        let gone = Choice { number: Some(1), text: "Yes, delete everything".into(), says: Some(Says::Yes) };
        assert_eq!(key(&input, &prompt, &gone), None);
    }

    #[test]
    fn a_menu_without_numbers_is_not_pressed() {
        let input = builtin("claude").expect("claude").input;
        for prompt in prompts("claude", "trust") {
            assert!(options(&prompt).iter().all(|c| key(&input, &prompt, c).is_none()), "{prompt:?}");
        }
    }
}
