//! A log for tests: two days of eight tasks, written the way it is stored.

use serde_json::{Value, json};

use crate::model::board::Board;
use crate::model::event::Record;
use crate::model::id::{AttemptNo, Seq, TaskId};
use crate::model::time::{Boot, Mono, Now, Wall};
use crate::policy::Machine;
use crate::wire::control::Logged;

/// 19 November 2026, 09:00 UTC.
pub(super) const START: i64 = 1_795_078_800_000;

/// That many minutes later.
pub(super) fn at(minutes: i64) -> Now {
    Now { wall: Wall(START + minutes * 60_000), mono: Mono(minutes * 60_000), boot: Boot(1) }
}

/// A log under construction.
#[derive(Default)]
pub(super) struct Story {
    pub(super) log: Vec<Logged>,
}

impl Story {
    /// One event, of a task or of one of its attempts (0 for none).
    pub(super) fn happens(&mut self, minutes: i64, task: u32, attempt: u32, name: &str, mut data: Value) -> &mut Self {
        data["event"] = name.into();
        let event = serde_json::from_value(data).unwrap_or_else(|e| panic!("{name}: {e}"));
        let record = Record { task: TaskId::new(task), attempt: AttemptNo::new(attempt), event };
        let seq = Seq(u64::try_from(self.log.len()).expect("a few") + 1);
        self.log.push(Logged { seq, at: at(minutes), record });
        self
    }

    pub(super) fn added(&mut self, minutes: i64, task: u32, title: &str, labels: &[&str]) -> &mut Self {
        let spec = json!({"title": title, "slug": format!("task-{task}"), "brief": "", "labels": labels});
        self.happens(minutes, task, 0, "task-added", json!({"spec": spec}))
    }

    pub(super) fn moved(&mut self, minutes: i64, task: u32, from: &str, to: &str, by: &str, why: &str) -> &mut Self {
        self.happens(minutes, task, 0, "task-moved", json!({"from": from, "to": to, "by": by, "reason": why}))
    }

    /// An attempt that is planned, comes up and is put to work.
    pub(super) fn begun(&mut self, minutes: i64, task: u32, no: u32, agent: &str) -> &mut Self {
        let names = json!({"agent": agent, "mode": "delegate", "branch": format!("standup/T{task}/{no}-x"),
            "worktree": format!("/w/T{task}-{no}"), "action": 1});
        let process = json!({"pid": 100 + task, "start": 1});
        let facts = json!({"id": format!("T{task}-{no}"), "nonce": "n", "host": process, "agent": process});
        self.happens(minutes, task, no, "attempt-planned", names);
        self.happens(minutes, task, no, "host-started", json!({"facts": facts}));
        self.state(minutes, task, no, "working", "osc7501", "")
    }

    pub(super) fn state(
        &mut self,
        minutes: i64,
        task: u32,
        no: u32,
        kind: &str,
        source: &str,
        text: &str,
    ) -> &mut Self {
        let state = json!({"kind": kind, "source": source, "at": at(minutes), "ask": null, "text": text,
            "turn_over": kind == "idle"});
        self.happens(minutes, task, no, "state-changed", json!({"state": state}))
    }

    pub(super) fn said(&mut self, minutes: i64, task: u32, no: u32, check_in: Value) -> &mut Self {
        let mut whole = json!({"schemaVersion": 1, "kind": "check-in"});
        for (key, value) in check_in.as_object().expect("an object") {
            whole[key] = value.clone();
        }
        self.happens(minutes, task, no, "check-in-received", json!({"check_in": whole, "via": "outbox"}))
    }

    pub(super) fn diff(&mut self, minutes: i64, task: u32, no: u32, files: u64, commits: u64) -> &mut Self {
        let diff = json!({"files": files, "insertions": files * 12, "deletions": files, "commits": commits,
            "dirty": false, "behind": 0});
        self.happens(minutes, task, no, "diff-observed", json!({"diff": diff, "tree": null}))
    }

    pub(super) fn judged(&mut self, minutes: i64, task: u32, no: u32, outcome: &str, failed: u64) -> &mut Self {
        let tests = json!({"total": 41, "passed": 41 - failed, "failed": failed, "skipped": 0});
        let check = json!({"name": "test", "outcome": if failed == 0 { "pass" } else { "fail" }, "exit_code": 0,
            "duration_ms": 1, "tests": tests, "failures": [], "why": "", "tail": ""});
        let verdict = json!({"outcome": outcome, "tree": null, "checks": [check]});
        self.happens(minutes, task, no, "checks-started", json!({"run": 1, "action": 2, "asked": false}));
        self.happens(minutes, task, no, "verdict-reached", json!({"run": 1, "verdict": verdict}))
    }

    pub(super) fn needs(&mut self, minutes: i64, task: u32, kind: &str, question: &str) -> &mut Self {
        self.happens(minutes, task, 0, "needs-you-raised", json!({"kind": kind, "question": question}))
    }

    /// The board after all of it.
    pub(super) fn board(&self) -> Board {
        let mut machine = Machine::default();
        for logged in &self.log {
            machine.fold(&logged.record, logged.at);
        }
        machine.into_board()
    }
}

/// Two days: one task of each fate.
pub(super) fn two_days() -> Story {
    let mut s = Story::default();
    for (n, title) in [
        (1, "Fix the pager"),
        (2, "Colour of the pager, 日本語 and a title that is far too long for any board"),
        (3, "Read the configuration once"),
        (4, "Escape \u{1b}]0;title\u{7} bytes"),
        (5, "Show the version"),
        (6, "Retire the old flag"),
        (7, "Speed up the start"),
        (8, "Translate the help"),
        (9, "Rewrite the parser"),
    ] {
        s.added(n, u32::try_from(n).expect("small"), title, if n % 2 == 0 { &["ui"] } else { &[] });
    }
    // Yesterday: one done, one sent back and done after it, one given up.
    s.moved(20, 9, "backlog", "build", "rule", "there is room").begun(20, 9, 1, "claude");
    s.judged(100, 9, 1, "green", 0).moved(110, 9, "build", "review", "rule", "checks are green");
    s.moved(200, 9, "review", "done", "person", "");
    s.moved(30, 5, "backlog", "build", "rule", "there is room").begun(30, 5, 1, "codex").diff(60, 5, 1, 2, 1);
    // Today.
    s.judged(1_500, 5, 1, "red", 3).judged(1_520, 5, 1, "green", 0).diff(1_515, 5, 1, 4, 3);
    s.said(1_530, 5, 1, json!({"state": "ready", "did": "the version is shown", "met": [1, 3]}));
    let facts = serde_json::to_value(crate::model::rhythm::Facts::default()).expect("plain data");
    let compared = json!({"action": 3, "facts": facts, "hollow": false,
        "contradictions": ["#3 is said to be met, and no check shows it"]});
    s.happens(1_530, 5, 1, "facts-sought", json!({"action": 3}));
    s.happens(1_530, 5, 1, "check-in-compared", compared);
    s.state(1_531, 5, 1, "idle", "osc7501", "");
    s.moved(1_532, 5, "build", "review", "rule", "checks are green");
    s.moved(1_600, 1, "backlog", "build", "rule", "there is room").begun(1_600, 1, 1, "claude");
    s.said(1_700, 1, 1, json!({"state": "working", "did": "found the cause\n# not a heading\u{1b}[2J", "next": "fix"}));
    s.diff(1_800, 1, 1, 3, 2).state(2_800, 1, 1, "waiting", "hook", "Bash: rm -rf target/");
    s.needs(2_801, 1, "permission", "Bash: rm -rf target/\nDo you want to proceed?");
    s.moved(1_610, 2, "backlog", "build", "rule", "").begun(1_610, 2, 1, "codex");
    s.happens(2_850, 2, 1, "check-in-missed", json!({"why": "no check-in for 30m"}));
    s.needs(2_850, 2, "late", "no check-in for 30m");
    s.moved(1_620, 3, "backlog", "build", "rule", "").begun(1_620, 3, 1, "claude").judged(1_700, 3, 1, "red", 1);
    s.moved(1_710, 3, "build", "review", "person", "").moved(1_720, 3, "review", "build", "person", "no tests for it");
    s.begun(1_721, 3, 2, "codex").diff(2_000, 3, 2, 1, 0);
    s.said(2_860, 3, 2, json!({"state": "working", "did": "read it", "next": "write the tests @everyone"}));
    s.moved(1_630, 4, "backlog", "build", "rule", "").begun(1_630, 4, 1, "claude");
    s.state(2_700, 4, 1, "quiet", "activity", "nothing seen of it for 10m");
    s.moved(2_000, 6, "backlog", "canceled", "person", "nobody uses it");
    s
}
