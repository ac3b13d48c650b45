//! Answers to an agent from outside its terminal: to a dialog, to its plan, to a question that offers
//! answers.
//!
//! **Invariant:** an answer is for one dialog and one of its options; it is stored before it is
//! given, given at most once, and never to a question about trust or a login, nor while a person has
//! the agent's input. Must not know: keys, hooks, what a dialog looks like.

use crate::model::action::{Action, Outcome};
use crate::model::attempt::Attempt;
use crate::model::dialog::{Choice, Dialog, Says, Way};
use crate::model::event::Event;
use crate::model::id::{ActionId, AttemptId, TaskId};
use crate::model::input::{Refusal, RefusalCode, Reply};
use crate::model::state::{Ask, RunKind};
use crate::model::text::shell_word;
use crate::model::time::Span;

use super::command::{Answer, refuse, require_attempt, require_task, send, ways_on};
use super::turn::Turn;
use super::{plan, takeover};

/// How long an agent may stand in a dialog that was answered: both CLIs leave it within a second.
const CONFIRM: Span = Span::secs(10);

/// The longest words beside a no, in bytes: they are told in one line, by a hook or a message.
const MAX_NOTE: usize = 4 << 10;

/// Whether an action is the answer that an attempt waits for.
pub(super) fn is_of(turn: &Turn<'_>, id: AttemptId, action: ActionId) -> bool {
    turn.board.attempt(id).and_then(|a| a.answer.as_ref()).is_some_and(|a| a.action == action)
}

/// Gives an answer, or says why not.
pub(super) fn give(turn: &mut Turn<'_>, id: TaskId, wanted: &str) -> Answer {
    let (_, attempt) = require_attempt(turn, id)?;
    let task = require_task(turn, id)?;
    takeover::refuse_input(task, "answer there")?;
    let of_plan = |d: &Dialog| d.plan && task.is_planning() && attempt.run.kind == RunKind::Waiting;
    if plan::waits(turn, task).is_some() || attempt.dialog.as_ref().is_some_and(of_plan) {
        return plan::answered(turn, id, wanted);
    }
    if attempt.run.kind != RunKind::Waiting && attempt.asks.is_some() && !attempt.choices.is_empty() {
        let choices = attempt.choices.clone();
        return choose(turn, id, &choices, wanted);
    }
    in_dialog(turn, id, wanted)
}

/// Gives an answer to the dialog in which an agent waits.
fn in_dialog(turn: &mut Turn<'_>, id: TaskId, wanted: &str) -> Answer {
    let (of, attempt) = require_attempt(turn, id)?;
    let attach = format!("standup attach {id}");
    let Some(host) = attempt.host().map(|host| host.id.clone()) else {
        return refuse(
            RefusalCode::Failure,
            format!("the agent of {of} does not run"),
            &[format!("standup show {id}")],
        );
    };
    if attempt.run.kind != RunKind::Waiting {
        let prose = attempt.asks.is_some();
        let text = if prose {
            format!("{id} asks in prose; what answers it is words, not a choice")
        } else {
            format!("{id} waits for no answer")
        };
        let hints = if prose { ways_on(turn, id) } else { vec![format!("standup show {id}")] };
        return refuse(RefusalCode::Failure, text, &hints);
    }
    if let Some(ask @ (Ask::Trust | Ask::Login)) = attempt.run.ask {
        let what = if ask == Ask::Trust { "whether a folder is trusted" } else { "a login" };
        return refuse(RefusalCode::Policy, format!("{what} is only answered in the terminal"), &[attach]);
    }
    let Some(dialog) = attempt.dialog.clone().filter(|d| !matches!(d.ask, Ask::Trust | Ask::Login)) else {
        return refuse(RefusalCode::Failure, format!("the dialog of {id} is not recognised"), &[attach]);
    };
    let (choice, note) = meant(id, &dialog, wanted)?;
    if let Some(answer) = attempt.answer.as_ref().filter(|a| a.dialog == dialog.no) {
        if answer.choice == choice && answer.note == note {
            return Ok(Reply::Answer { msg: answer.msg, option: choice.text });
        }
        let text = format!("{id} is being answered already: {}", answer.choice.text);
        return refuse(RefusalCode::Conflict, text, &[attach]);
    }
    let way = if dialog.hook && choice.says.is_some() { Way::Hook } else { Way::Key };
    if way == Way::Key && !turn.reads(attempt) {
        return refuse(RefusalCode::Failure, format!("{} takes no keys from us", attempt.agent), &[attach]);
    }
    let (msg, action) = (turn.next_msg(), turn.next_action());
    let dialog = dialog.no;
    turn.attempt_event(of, Event::AnswerGiven { msg, dialog, choice: choice.clone(), way, action, note: note.clone() });
    let option = choice.text.clone();
    // Beside a key the words follow as a message, once the agent has left the dialog.
    let note = note.filter(|_| way == Way::Hook);
    turn.order(action, of, Action::Answer { host, msg, dialog, choice, way, note });
    Ok(Reply::Answer { msg, option })
}

/// The option of a dialog that was meant, and what the agent is told beside a no.
fn meant(id: TaskId, dialog: &Dialog, wanted: &str) -> Result<(Choice, Option<String>), Refusal> {
    let why = match resolve(&dialog.options, wanted) {
        Ok(choice) => return Ok((choice.clone(), None)),
        Err(why) => why,
    };
    let (word, note) = wanted.trim().split_once(char::is_whitespace).unwrap_or((wanted.trim(), ""));
    let word = word.trim_end_matches([',', ';', ':', '.']).to_lowercase();
    let plain = matches!(word.as_str(), "yes" | "y" | "no" | "n") || word.bytes().all(|b| b.is_ascii_digit());
    let found = Some(note.trim()).filter(|note| plain && dialog.ask == Ask::Permission && !note.is_empty());
    let (Some(note), Ok(choice)) = (found, resolve(&dialog.options, &word)) else {
        return refuse(RefusalCode::Usage, format!("{id}: {why}"), &hints(id, &dialog.options));
    };
    let send = format!("standup send {id} \"…\"");
    if choice.says != Some(Says::No) {
        let text = format!("{id}: only a no takes words; answer it, then send them");
        return refuse(RefusalCode::Usage, text, &[format!("standup answer {id} {word}    # {}", choice.text), send]);
    }
    if note.len() > MAX_NOTE {
        let text = format!("{id}: words beside a no are at most {MAX_NOTE} bytes; say no, then send them");
        return refuse(RefusalCode::Usage, text, &[format!("standup answer {id} no"), send]);
    }
    Ok((choice.clone(), Some(note.to_owned())))
}

/// Answers a question by one of the answers that it offers: they are told to the agent as words.
fn choose(turn: &mut Turn<'_>, id: TaskId, choices: &[Choice], wanted: &str) -> Answer {
    let option = match resolve(choices, wanted) {
        Ok(choice) => choice.text.clone(),
        Err(why) => {
            let own = format!("standup send {id} \"…\"    # in your own words");
            let hints: Vec<String> = hints(id, choices).into_iter().chain([own]).collect();
            return refuse(RefusalCode::Usage, format!("{id}: {why}"), &hints);
        }
    };
    match send(turn, id, option.clone(), false)? {
        Reply::Message { msg, waits } => Ok(Reply::Chosen { option, msg: Some(msg), waits }),
        other => Ok(other),
    }
}

fn hints(id: TaskId, options: &[Choice]) -> Vec<String> {
    let one = |c: &Choice| match (c.says, c.number) {
        (Some(Says::Yes), _) => format!("standup answer {id} yes    # {}", remark(&c.text)),
        (Some(Says::No), _) => format!("standup answer {id} no    # {}", remark(&c.text)),
        (None, Some(n)) => format!("standup answer {id} {n}    # {}", remark(&c.text)),
        (None, None) => format!("standup answer {id} {}", shell_word(&c.text)),
    };
    options.iter().map(one).collect()
}

/// Foreign text behind a `#`, which is a comment to some shells only: to zsh it is a word like others.
fn remark(text: &str) -> String {
    let text = text.replace('\'', "’");
    let plain = |c: char| c.is_alphanumeric() || " ,.:-_/’…".contains(c);
    if text.chars().all(plain) { text } else { shell_word(&text) }
}

/// The one option that was meant.
fn resolve<'a>(options: &'a [Choice], wanted: &str) -> Result<&'a Choice, String> {
    let wanted = wanted.trim().to_lowercase();
    if wanted.is_empty() {
        return Err("no answer is given".into());
    }
    let says = match wanted.as_str() {
        "yes" | "y" => Some(Says::Yes),
        "no" | "n" => Some(Says::No),
        _ => None,
    };
    let text = |c: &Choice| c.text.to_lowercase();
    let tests: [&dyn Fn(&Choice) -> bool; 4] = [
        &|c| says.is_some() && c.says == says,
        &|c| c.number.is_some_and(|n| n.to_string() == wanted),
        &|c| text(c) == wanted,
        &|c| text(c).starts_with(&wanted),
    ];
    for test in tests {
        let mut found = options.iter().filter(|c| test(c));
        match (found.next(), found.next()) {
            (Some(choice), None) => return Ok(choice),
            (Some(_), Some(_)) => return Err(format!("{wanted:?} fits several options")),
            (None, _) => {}
        }
    }
    Err(format!("{wanted:?} is none of its options"))
}

/// The dialog of an agent was seen anew. What is only observed is no event.
pub(super) fn dialog_seen(turn: &mut Turn<'_>, id: AttemptId, dialog: Option<Dialog>) {
    if turn.current(id).and_then(Attempt::host).is_none() {
        return;
    }
    let found = turn.board.tasks.get_mut(&id.task).and_then(|t| t.attempts.iter_mut().find(|a| a.no == id.no));
    if let Some(attempt) = found {
        attempt.dialog = dialog;
    }
}

/// What became of an answer.
pub(super) fn done(turn: &mut Turn<'_>, id: AttemptId, outcome: Outcome) {
    let Some(msg) = turn.board.attempt(id).and_then(|a| a.answer.as_ref()).map(|a| a.msg) else { return };
    let event = match outcome {
        Outcome::Typed => Event::AnswerWritten { msg },
        Outcome::NotTyped { why } | Outcome::Failed { error: why, .. } => Event::AnswerWithheld { msg, why },
        _ => Event::AnswerUnconfirmed { msg },
    };
    turn.attempt_event(id, event);
}

/// Sees answers to their end: the agent leaves the dialog, or it does not.
pub(super) fn rules(turn: &mut Turn<'_>) -> bool {
    turn.begun_ids().into_iter().any(|id| settle(turn, id))
}

fn settle(turn: &mut Turn<'_>, id: TaskId) -> bool {
    let Some((of, attempt)) = turn.newest(id) else { return false };
    let Some(answer) = attempt.answer.clone() else { return false };
    let msg = answer.msg;
    if attempt.host().is_none() {
        turn.attempt_event(of, Event::AnswerUnconfirmed { msg });
        return true;
    }
    let Some(given) = answer.given else { return false };
    let left = attempt.run.kind != RunKind::Waiting || attempt.dialog.as_ref().is_some_and(|d| d.no != answer.dialog);
    if left {
        turn.attempt_event(of, Event::AnswerTaken { msg });
        if let Some(words) = answer.note.filter(|_| answer.way == Way::Key) {
            // One that nobody reads any more is said where the agent's end is.
            let _ = send(turn, id, words, false);
        }
        return true;
    }
    // A moment further away than any wait was set by the clock of an earlier boot.
    if given > turn.now.mono || turn.is_due(given + CONFIRM) {
        turn.attempt_event(of, Event::AnswerUnconfirmed { msg });
        return true;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(options: &[(&str, Option<Says>)]) -> Vec<Choice> {
        let one = |((text, says), n): (&(&str, Option<Says>), u32)| Choice {
            number: Some(n),
            text: (*text).to_owned(),
            says: *says,
        };
        options.iter().zip(1..).map(one).collect()
    }

    #[test]
    fn an_option_is_meant_by_yes_no_number_text_or_how_it_begins() {
        let permission = options(&[
            ("Yes", Some(Says::Yes)),
            ("Yes, and always allow access", None),
            ("Yes, and switch to auto mode", None),
            ("No", Some(Says::No)),
        ]);
        let number = |wanted: &str| resolve(&permission, wanted).map(|c| c.number.unwrap_or(0));
        for (wanted, n) in [("yes", 1), ("Y", 1), ("no", 4), ("2", 2), ("yes, and switch", 3), (" NO ", 4)] {
            assert_eq!(number(wanted), Ok(n), "{wanted}");
        }
        assert_eq!(number("yes, and"), Err("\"yes, and\" fits several options".into()));
        for wanted in ["", "5", "maybe", "0"] {
            assert!(number(wanted).is_err(), "{wanted:?}");
        }
        let colours = options(&[("Red", None), ("Blue", None)]);
        assert!(resolve(&colours, "yes").is_err(), "a question of colours is not answered by yes");
        assert_eq!(resolve(&colours, "blu").map(|c| c.number), Ok(Some(2)));
    }

    /// An agent offers them: whatever stands in one, pasting the hint gives that answer and runs nothing,
    /// also in a shell that takes `#` for a word.
    #[test]
    fn what_an_agent_offers_is_no_command() {
        let choice = |text: &str, number, says| Choice { number, text: text.to_owned(), says };
        let offered = [
            choice("Keep it", None, None),
            choice("$(id)", None, None),
            choice("it's; rm -rf ~", None, None),
            choice("Yes, and don't ask again", Some(2), None),
            choice("Yes; rm -rf ~", Some(1), Some(Says::Yes)),
            choice("No (`id`)", Some(3), Some(Says::No)),
        ];
        assert_eq!(
            hints(TaskId::new(1).expect("a task"), &offered),
            [
                "standup answer T1 'Keep it'",
                "standup answer T1 '$(id)'",
                r"standup answer T1 'it'\''s; rm -rf ~'",
                "standup answer T1 2    # Yes, and don’t ask again",
                "standup answer T1 yes    # 'Yes; rm -rf ~'",
                "standup answer T1 no    # 'No (`id`)'",
            ]
        );
    }
}
