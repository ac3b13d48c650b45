//! The words of a line into what the machine is told.

use standup::model::action::{Ended, Outcome};
use standup::model::astray::Astray;
use standup::model::attempt::{DiffStat, Exit, HostFacts, Proc};
use standup::model::checkin::{CheckIn, Claim, Stamp};
use standup::model::dialog::{Choice, Dialog, DialogNo, Says};
use standup::model::id::TaskId;
use standup::model::input::NewTask;
use standup::model::lease::{Changes, Mark};
use standup::model::name::{BranchName, HostId, Oid, Pattern};
use standup::model::settings::{LimitOverrides, Mode, Priority};
use standup::model::state::Ask;
use standup::model::task::{Criterion, TaskSpec, TextRef};
use standup::model::time::{Now, Wall};
use standup::model::usage::{Counted, Seen};

use crate::language::Line;
use crate::plain::agent;

pub(crate) fn facts(id: HostId) -> HostFacts {
    let proc = Proc { pid: 1, start: 1 };
    HostFacts { nonce: format!("nonce of {id}"), id, host: proc, agent: proc }
}

pub(crate) fn ended(code: &str, output: bool) -> Result<Ended, String> {
    let number = |text: &str| text.parse().map(Some).map_err(|e| format!("{e}"));
    let exit = match code.strip_prefix("signal-") {
        Some(signal) => Exit { code: None, signal: number(signal)? },
        None => Exit { code: number(code)?, signal: None },
    };
    Ok(Ended { exit, leftovers: 0, output, tail: String::new(), lost: 0, cpu: None })
}

/// `surveyed T1 tree=2 files=3`: where the worktree stands, and how many files changed since.
pub(crate) fn surveyed(line: &Line) -> Result<Outcome, String> {
    let mark = Mark { head: None, tree: oid(line.with.get("tree").map_or("0", String::as_str)) };
    let files = line.with.get("files").map(|n| n.parse().map_err(|e| format!("{e}"))).transpose()?;
    let paths = |files: u64| (0..files.min(2)).map(|n| format!("M file{n}")).collect();
    let changes = files.map(|files| Changes { files, paths: paths(files), dirty: files > 0, ..Changes::default() });
    Ok(Outcome::Surveyed { mark, changes })
}

pub(crate) fn check_in(line: &Line) -> Result<CheckIn, String> {
    let state = match line.word(1)? {
        "working" => Claim::Working,
        "blocked" => Claim::Blocked,
        "needs-decision" => Claim::NeedsDecision,
        "ready" => Claim::Ready,
        "giving-up" => Claim::GivingUp,
        other => return Err(format!("no claim is called {other}")),
    };
    Ok(CheckIn {
        did: line.word_or(2, "").into(),
        question: line.words.get(3).cloned(),
        options: line.list("options").into_iter().map(str::to_owned).collect(),
        met: line.list("met").into_iter().map(|n| n.parse().map_err(|e| format!("{e}"))).collect::<Result<_, _>>()?,
        ..CheckIn::of(state)
    })
}

/// `dialog T1 7 permission Yes No [hook=yes] [plan=yes]`: its number, what it asks, its options; `none` for none.
pub(crate) fn dialog(line: &Line) -> Result<Option<Dialog>, String> {
    if line.word(1)? == "none" {
        return Ok(None);
    }
    let ask = match line.word(2)? {
        "permission" => Ask::Permission,
        "trust" => Ask::Trust,
        _ => Ask::Question,
    };
    let options = line.words.iter().skip(3).zip(1..).map(|(text, n)| {
        let says = match text.as_str() {
            "Yes" => Some(Says::Yes),
            "No" => Some(Says::No),
            _ => None,
        };
        Choice { number: Some(n), text: text.clone(), says }
    });
    let no = DialogNo(line.word(1)?.parse().map_err(|e| format!("{e}"))?);
    let (hook, plan) = (line.with.contains_key("hook"), line.with.contains_key("plan"));
    Ok(Some(Dialog { no, ask, question: String::new(), options: options.collect(), hook, plan, since: None }))
}

/// What a report's writer says beside it: `id=x of=T1/1 written=3` (seconds before now).
pub(crate) fn stamp(line: &Line, now: Now) -> Result<Stamp, String> {
    let ago = line.with.get("written").map(|s| s.parse::<i64>().map_err(|e| e.to_string())).transpose()?;
    Ok(Stamp {
        id: line.with.get("id").cloned(),
        at: ago.map(|seconds| Wall(now.wall.0 - seconds * 1_000)),
        attempt: line.with.get("of").map(|id| id.parse().map_err(|e| format!("{e}"))).transpose()?,
    })
}

pub(crate) fn new_tasks(line: &Line) -> Result<Vec<NewTask>, String> {
    let mut tasks = Vec::new();
    for title in &line.words {
        let needs_new = match line.with.get("needs-new") {
            Some(place) => vec![place.parse().map_err(|e| format!("{e}"))?],
            None => Vec::new(),
        };
        tasks.push(NewTask { spec: spec(line, title)?, needs_new });
    }
    Ok(tasks)
}

pub(crate) fn spec(line: &Line, title: &str) -> Result<TaskSpec, String> {
    let priority = line.with.get("priority").map_or(Ok(Priority::Normal), |word| {
        Priority::WORDS.iter().find(|(w, _)| w == word).map(|(_, p)| *p).ok_or("no such priority")
    })?;
    Ok(TaskSpec {
        key: line.with.get("key").cloned(),
        agent: line.with.get("agent").map(|name| agent(name)),
        mode: line.with.get("mode").map_or(Ok(Mode::Delegate), |word| {
            Mode::WORDS.iter().find(|(w, _)| w == word).map(|(_, m)| *m).ok_or("no such mode")
        })?,
        priority,
        needs: line.list("needs").into_iter().map(id).collect::<Result<_, _>>()?,
        touches: patterns(&line.list("touches"))?,
        check_in: line.with.get("check-in").map(|s| s.parse().map_err(|e| format!("{e}"))).transpose()?,
        limits: LimitOverrides {
            wall_clock: line.with.get("wall-clock").map(|s| s.parse().map_err(|e| format!("{e}"))).transpose()?,
            ..LimitOverrides::default()
        },
        criteria: (1..=line.with.get("criteria").map_or(Ok(0), |n| n.parse().map_err(|e| format!("{e}")))?)
            .map(|n| Criterion { n, text: format!("criterion {n}"), check: None })
            .collect(),
        ..TaskSpec::new(title, TextRef(title.into()))
    })
}

pub(crate) fn patterns(texts: &[&str]) -> Result<Vec<Pattern>, String> {
    texts.iter().map(|t| Pattern::new(*t).map_err(|e| format!("{e}"))).collect()
}

pub(crate) fn id(text: &str) -> Result<TaskId, String> {
    text.parse().map_err(|e| format!("{e}"))
}

pub(crate) fn oid(tree: &str) -> Oid {
    Oid::new(format!("{tree:0>40}")).expect("an oid")
}

/// `used T1 cpu=3s tokens=500 cost=0.5 of=another-session`
pub(crate) fn used(line: &Line, host: HostId) -> Result<Seen, String> {
    let cpu = line.with.get("cpu").map(|span| span.parse().map_err(|e| format!("{e}"))).transpose()?;
    let number = |name: &str| line.with.get(name).map(|n| n.parse::<f64>().map_err(|e| format!("{e}"))).transpose();
    let whole = |n: f64| format!("{n:.0}").parse::<u64>().map_err(|e| format!("{e}"));
    let cost_micros = number("cost")?.map(|usd| whole(usd * 1e6)).transpose()?;
    let counted = match number("tokens")? {
        Some(tokens) => Some(Counted { tokens: whole(tokens)?, cached: 0, cost_micros }),
        None => cost_micros.map(|_| Counted { cost_micros, ..Counted::default() }),
    };
    let session = line.with.get("of").cloned().unwrap_or_else(|| "its session".to_owned());
    Ok(Seen { host, cpu, log: counted.map(|counted| (session, counted)) })
}

/// `back`, `detached`, `broken`, or the branch that a worktree is on.
pub(crate) fn astray(word: &str) -> Result<Option<Astray>, String> {
    Ok(match word {
        "back" => None,
        "broken" => Some(Astray::Broken { why: "its folder is gone".into() }),
        "detached" => Some(Astray::OffBranch { on: None, doing: None }),
        "rebase" => Some(Astray::OffBranch { on: None, doing: Some("rebase".into()) }),
        branch => {
            let on = BranchName::new(branch).map_err(|e| format!("{e}"))?;
            Some(Astray::OffBranch { on: Some(on), doing: None })
        }
    })
}

/// `diff T1 2 lines=10`: how many files differ, and by how many lines.
pub(crate) fn diff(line: &Line) -> Result<DiffStat, String> {
    let files = line.word(1)?.parse().map_err(|e| format!("{e}"))?;
    let insertions = line.with.get("lines").map_or(Ok(0), |n| n.parse()).map_err(|e| format!("{e}"))?;
    Ok(DiffStat { files, insertions, dirty: files > 0, ..DiffStat::default() })
}
