//! What a person takes into their own hands: plans and their verdict, takeover and handback.

use standup::model::dialog::{Says, Way};
use standup::model::event::{Event, NeedKind};
use standup::model::input::Command as Wish;
use standup::model::message::{Delivery, From};
use standup::model::settings::Mode;
use standup::model::state::RunKind;
use standup::model::task::Column;

use super::git;
use super::stage::{Setting, Stage, run};
use super::terminal::Terminal;
use crate::support::rig::Cli;

/// How each CLI says its plan: Claude by its tool, Codex as its last words.
fn plan(cli: Cli, text: &str) -> String {
    match cli {
        Cli::Claude => format!(
            "[[steps:[{{\"write\":{{\"path\":\"@plan\",\"content\":\"{text}\"}}}},{{\"plan\":\"{text}\"}},\
             {{\"say\":\"Waiting.\"}}]]]"
        ),
        Cli::Codex => format!("[[steps:[{{\"say\":\"{text}\"}}]]]"),
    }
}

#[test]
#[ignore = "needs npm; scripts/check runs it"]
fn plans_is_sent_back_is_approved_and_builds_in_the_same_conversation() {
    let stage = Stage::new(&Setting::default());
    for cli in [Cli::Claude, Cli::Codex] {
        let name = cli.name();
        let id = stage.add_in(cli, Mode::Checkpoint, &plan(cli, "Rewrite it all"));
        let asks = |words: &'static str| {
            move |t: &standup::model::board::Task| {
                t.column == Column::Design
                    && t.needs_you.as_ref().is_some_and(|n| n.kind == NeedKind::Question && n.question.contains(words))
            }
        };
        let task = stage.until_task(id, "proposes a plan", asks("Rewrite it all"));
        let attempt = task.attempt().expect("an attempt").clone();
        assert_eq!(attempt.plan.as_ref().map(|p| p.text.as_str()), Some("Rewrite it all"), "{name}");
        stage.until_task(id, "its session is known", |t| t.attempt().is_some_and(|a| a.session.is_some()));
        let session = stage.attempt(id).session;

        let note = format!("too much. {}", plan(cli, "Mend one line"));
        // Claude waits in its dialog, Codex at its prompt: either is answered, or judged.
        let by_answer = cli == Cli::Claude;
        let answer = |choice: String| Wish::Answer { task: id, choice };
        stage.wish(if by_answer { answer(format!("no, {note}")) } else { Wish::Reject { task: id, note } });
        stage.until_task(id, "proposes another", asks("Mend one line"));
        assert_eq!(git(&attempt.worktree, "git status --porcelain"), "", "{name} changed something");

        // The model carries out what the last prompt says; the approval is ours, so the work is said after it.
        stage.wish(if by_answer { Wish::Approve { task: id } } else { answer("yes".into()) });
        stage.until_task(id, "is told", |t| {
            t.column != Column::Design && t.messages.iter().all(|m| m.delivery == Delivery::Delivered)
        });
        let task = stage.until_task(id, "its turn is over", |t| run(t).is_some_and(|r| r.turn_over));
        assert!(task.attempt().is_some_and(|a| a.launches >= 2), "{name} was started anew with leave to build");
        stage.send(id, "[[script:commit file=built.txt msg=built]] please", false);
        let built = || git(&stage.repo(), &format!("git log --format=%s main..{}", attempt.branch.as_str()));
        stage.until_task(id, "built", |t| t.column == Column::Review && built() == "built");
        assert_eq!(stage.attempt(id).session, session, "{name} goes on in the same conversation");
        let asked =
            stage.events(id).into_iter().any(|e| matches!(e, Event::NeedsYouRaised { kind: NeedKind::Permission, .. }));
        assert!(!asked, "{name} asked for leave that it was given");
        let pressed = stage.events(id).into_iter().any(|e| matches!(e, Event::AnswerGiven { .. }));
        assert!(!pressed, "{name}: a verdict is no key");
    }
}

#[test]
#[ignore = "needs npm; scripts/check runs it"]
fn is_taken_over_typed_to_and_handed_back() {
    let mut stage = Stage::new(&Setting::default());
    for cli in [Cli::Claude, Cli::Codex] {
        let name = cli.name();
        let id = stage.add(cli, "[[script:hello]]");
        stage.until_task(id, "in review", |t| t.column == Column::Review && run(t).is_some_and(|r| r.turn_over));
        stage.wish(Wish::Takeover { task: id, reason: "let me".into() });
        stage.until_task(id, "marked", |t| t.lease.as_ref().is_some_and(|l| l.mark.is_some()));
        let waits = stage.send(id, &format!("later [[script:write file={name}-later.txt]]"), false);

        // The person types in the agent's own terminal, and works beside it.
        let mut terminal = Terminal::attach(&stage, id);
        terminal.press(&format!("[[script:commit file={name}-typed.txt msg=typed]] please"));
        terminal.until_shows("please");
        terminal.press("\r");
        let worktree = stage.attempt(id).worktree;
        let typed = || git(&worktree, "git log -1 --format=%s") == "typed";
        stage.until_task(id, "did what was typed", |t| typed() && run(t).is_some_and(|r| r.kind == RunKind::Idle));
        std::fs::write(worktree.join("by-hand.txt"), "x\n").expect("write");
        drop(terminal);
        stage.kill();
        stage.start();
        let task = stage.until_task(id, "seen again", |t| run(t).is_some_and(|r| r.kind == RunKind::Idle));
        assert!(task.is_taken_over() && task.messages.iter().all(|m| m.is_queued()), "{name}");

        stage.wish(Wish::Handback { task: id, note: "all yours".into() });
        let later = stage.until_settled(id, waits);
        assert_eq!(later.delivery, Delivery::Delivered, "{name}");
        let task = stage
            .until_task(id, "in review again", |t| t.column == Column::Review && run(t).is_some_and(|r| r.turn_over));
        let told = task.messages.iter().find(|m| m.from == From::Handback).expect("a word on what changed");
        assert_eq!(told.delivery, Delivery::Delivered, "{name}");
        for part in [" typed", "A by-hand.txt", "all yours", "1 commit:"] {
            assert!(told.text.contains(part), "{name}: {part:?} is not in {}", told.text);
        }
        assert_eq!(stage.begun(cli, "write"), 1, "{name}: what waited was typed once");
    }
}

#[test]
#[ignore = "needs npm; scripts/check runs it"]
fn a_plan_is_approved_in_the_agents_own_terminal() {
    let stage = Stage::new(&Setting::default());
    let steps = "[[steps:[{\"write\":{\"path\":\"@plan\",\"content\":\"Write it\"}},{\"plan\":\"Write it\"},\
                 {\"bash\":\"git commit -q --allow-empty -m built\"},{\"say\":\"Built.\"}]]]";
    let id = stage.add_in(Cli::Claude, Mode::Checkpoint, steps);
    stage.until_task(id, "proposes a plan", |t| t.needs_you.as_ref().is_some_and(|n| n.question.contains("Write it")));
    stage.until_stands(id);
    let mut terminal = Terminal::attach(&stage, id);
    terminal.until_shows("1. Yes");
    terminal.press("2");
    let task = stage.until_task(id, "in review", |t| t.column == Column::Review);
    let attempt = task.attempt().expect("an attempt");
    assert_eq!(git(&attempt.worktree, "git log -1 --format=%s"), "built");
    assert_eq!(attempt.launches, 1, "it went on as it was");
    assert!(attempt.plan.as_ref().is_some_and(|p| p.text == "Write it" && p.approved_at.is_some()));
}

#[test]
#[ignore = "needs npm; scripts/check runs it"]
fn a_plan_in_a_dialog_is_approved_by_an_answer() {
    let stage = Stage::new(&Setting::default());
    let id = stage.add_in(Cli::Claude, Mode::Checkpoint, &plan(Cli::Claude, "Write it"));
    let task = stage
        .until_task(id, "proposes a plan", |t| t.needs_you.as_ref().is_some_and(|n| n.question.contains("Write it")));
    let offered: Vec<Option<Says>> = task.needs_you.expect("a need").options.iter().map(|o| o.says).collect();
    assert_eq!(offered, [Some(Says::Yes), Some(Says::No)], "what is answered is the plan, not the dialog");
    stage.until_stands(id);
    stage.wish(Wish::Answer { task: id, choice: "yes".into() });
    stage.until_task(id, "is told", |t| {
        t.column != Column::Design && t.messages.iter().all(|m| m.delivery == Delivery::Delivered)
    });
    let events = stage.events(id);
    let verdicts = events.iter().filter(|e| matches!(e, Event::PlanApproved {})).count();
    assert_eq!(verdicts, 1);
    assert!(!events.iter().any(|e| matches!(e, Event::AnswerGiven { .. })));
}

#[test]
#[ignore = "needs npm; scripts/check runs it"]
fn the_plan_of_a_task_that_need_not_plan_is_a_dialog_like_any_other() {
    let stage = Stage::new(&Setting { claude: &["--permission-mode", "plan"], ..Setting::default() });
    let id = stage.add(Cli::Claude, &plan(Cli::Claude, "Write it"));
    let task = stage.until_task(id, "asks with options", |t| {
        t.needs_you.as_ref().is_some_and(|n| n.kind == NeedKind::Permission && n.options.len() >= 2)
    });
    let manual = task.needs_you.expect("a need").options.iter().find(|o| o.says == Some(Says::Yes)).cloned();
    assert!(manual.is_some_and(|o| o.text.contains("manually")), "the yes that grants least");
    stage.until_stands(id);
    stage.wish(Wish::Answer { task: id, choice: "yes".into() });
    stage.until_task(id, "goes on", |t| t.column == Column::Review);
    let given = |e: &Event| matches!(e, Event::AnswerGiven { way: Way::Key, .. });
    assert!(stage.events(id).iter().any(given));
}
