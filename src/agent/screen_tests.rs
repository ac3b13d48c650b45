use crate::agent::adapter::builtin;

use super::*;

/// Screens of both CLIs as they were recorded: `=== agent | label | what is asked, or -`.
const RECORDED: &str = include_str!("../../tests/recordings/screens.txt");

struct Recorded {
    agent: &'static str,
    label: &'static str,
    ask: Option<Ask>,
    text: &'static str,
}

fn recorded() -> Vec<Recorded> {
    let sections = RECORDED.split("=== ").skip(1).map(|section| {
        let (head, text) = section.split_once('\n').expect("a head");
        let fields: Vec<&str> = head.split(" | ").collect();
        let [agent, label, ask] = fields[..] else { panic!("{head}") };
        let ask = match ask {
            "permission" => Some(Ask::Permission),
            "question" => Some(Ask::Question),
            "trust" => Some(Ask::Trust),
            "login" => Some(Ask::Login),
            "-" => None,
            other => panic!("{other}"),
        };
        Recorded { agent, label, ask, text }
    });
    sections.collect()
}

fn screen(agent: &str, label: &str) -> Reading {
    let found = recorded().into_iter().find(|r| r.agent == agent && r.label == label);
    read(&builtin(agent).expect(agent), found.unwrap_or_else(|| panic!("{agent} {label}")).text)
}

fn prompt(agent: &str, label: &str) -> Prompt {
    screen(agent, label).prompt.unwrap_or_else(|| panic!("no dialog on {agent} {label}"))
}

#[test]
fn every_recorded_screen_says_what_it_asks_and_no_other_says_anything() {
    let all = recorded();
    assert!(all.len() >= 45);
    for r in &all {
        let prompt = read(&builtin(r.agent).expect(r.agent), r.text).prompt;
        assert_eq!(prompt.as_ref().map(|p| p.ask), r.ask, "{} {}: {prompt:?}", r.agent, r.label);
    }
}

#[test]
fn blank_rows_and_trailing_blanks_change_nothing() {
    for r in recorded() {
        let adapter = builtin(r.agent).expect(r.agent);
        let spaced: String = r.text.lines().map(|l| format!("{l}   \n\n")).collect();
        assert_eq!(read(&adapter, &spaced), read(&adapter, r.text), "{} {}", r.agent, r.label);
    }
}

#[test]
fn a_dialog_that_is_only_quoted_says_nothing() {
    let composers = [
        (
            "claude",
            "────────────────\n❯\n────────────────\n  ⏵⏵ accept edits on (shift+tab to cycle) · esc to interrupt\n",
        ),
        ("codex", "› Ask Codex to do anything\n  GPT-6-Sol default Fast · /w\n  ← for agents · ? for shortcuts\n"),
    ];
    for r in recorded().iter().filter(|r| r.ask.is_some()) {
        for (agent, composer) in composers {
            let adapter = builtin(agent).expect(agent);
            let printed = format!("{}\n{composer}", r.text);
            assert_eq!(read(&adapter, &printed).prompt, None, "{} {} printed in {agent}", r.agent, r.label);
            let source: String = r.text.lines().enumerate().map(|(n, l)| format!("    {n} + // {l}\n")).collect();
            assert_eq!(read(&adapter, &format!("{source}{composer}")).prompt, None, "{} as source", r.label);
            assert_eq!(read(&adapter, &source).prompt, None, "{} as source, nothing below", r.label);
        }
    }
}

#[test]
fn a_permission_names_what_it_is_for_and_its_answers() {
    let prompt = prompt("claude", "permission");
    assert_eq!(prompt.text(), "Do you want to proceed? (Bash command · Run a scripted command · touch perm.txt)");
    let options: Vec<(Option<u32>, &str, bool)> =
        prompt.options.iter().map(|o| (o.number, o.text.split(',').next().unwrap_or_default(), o.selected)).collect();
    assert_eq!(
        options,
        [(Some(1), "Yes", true), (Some(2), "Yes", false), (Some(3), "Yes", false), (Some(4), "No", false)]
    );

    let prompt = self::prompt("codex", "permission");
    assert_eq!(prompt.question, "Would you like to run the following command?");
    assert_eq!(
        prompt.detail,
        ["Environment: local", "Reason: Needs to write outside the sandbox", "$ touch /var/tmp/fm-esc1"]
    );
    assert_eq!((prompt.options.len(), prompt.options[0].text.as_str()), (3, "Yes, proceed (y)"));
}

#[test]
fn a_question_has_its_words_and_its_answers() {
    let claude = prompt("claude", "question");
    assert_eq!((claude.question.as_str(), claude.rule.as_str()), ("Which colour do you want?", "question"));
    let texts: Vec<&str> = claude.options.iter().map(|o| o.text.as_str()).collect();
    assert_eq!(texts, ["Red", "Blue", "Type something.", "Chat about this"]);
    let codex = prompt("codex", "question");
    assert_eq!(codex.question, "Which colour do you want?");
    assert!(codex.options[0].text.starts_with("Red") && codex.options[0].selected);
}

#[test]
fn a_menu_without_numbers_lists_its_lines() {
    let trust = prompt("claude", "trust");
    let options: Vec<(&str, bool)> = trust.options.iter().map(|o| (o.text.as_str(), o.selected)).collect();
    assert_eq!(options, [("No, exit", true), ("Yes, I trust this folder", false)]);
    assert!(trust.question.contains("Is this a project you created"));
}

#[test]
fn lines_that_explain_are_found_and_whole() {
    for (agent, label, says, starts, ends) in [
        ("claude", "retrying", HintSays::Retrying, "429 Number of", "attempt 3/3"),
        ("claude", "failed", HintSays::Failed, "API Error: Request rejected (429)", "rate limit"),
        ("claude", "too long", HintSays::Failed, "Prompt is too long", "/clear to start fresh"),
        ("codex", "retrying, busy", HintSays::Retrying, "Server is busy, reconnecting 5/5", "reconnecting 5/5"),
        ("codex", "failed", HintSays::Failed, "exceeded retry limit", "429 Too Many Requests"),
        ("codex", "usage limit", HintSays::Limit, "You’ve hit your usage limit.", "or try again later."),
        ("codex", "refused key", HintSays::Failed, "unexpected status 401 Unauthorized", "responses"),
        ("codex", "denied", HintSays::Interrupted, "Conversation interrupted", "wrong"),
    ] {
        let hint = screen(agent, label).hint.unwrap_or_else(|| panic!("no hint on {agent} {label}"));
        assert_eq!(hint.says, says, "{agent} {label}");
        assert!(hint.text.starts_with(starts) && hint.text.ends_with(ends), "{agent} {label}: {}", hint.text);
    }
    assert_eq!(screen("claude", "at rest").hint, None);
}

#[test]
fn an_empty_or_tiny_screen_says_nothing() {
    for agent in ["claude", "codex", "generic"] {
        let adapter = builtin(agent).expect(agent);
        for text in ["", "\n\n", " ", "x"] {
            assert_eq!(read(&adapter, text), Reading::default());
        }
    }
}
