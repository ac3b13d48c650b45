//! The keys of `agents.toml`, with what each accepts. This is where a new key is added.
//!
//! **Invariant:** a key that is not here is an error in every file, and is in no schema. Must not
//! know: defaults, which are those of [`crate::model::settings::Settings`].

use std::collections::BTreeMap;

use super::error::{Place, Problem};
use super::leaf::{AgentArg, ByAgent, Count, Dollars, Environment, NotifyArg, PortRange, Revision, Words};
use super::read::{At, Node, Read, Reader, join, merge, section};
use super::source::Kind;
use crate::model::name::{AgentName, CheckName, Pattern};
use crate::model::settings::{
    LimitAction, MergeStrategy, PromptVia, ReportFormat, Requirement, SandboxMode, VerifyOn, bounds,
};
use crate::model::time::Span;

/// A number of attempts or tasks.
type Wip = Count<1, { bounds::WIP }>;
/// A number of events in a row.
type InARow = Count<1, { bounds::IN_A_ROW }>;

section! {
    /// How agents work on this repository: `agents.toml`.
    Raw {
        /// Version of this format: 1.
        schema: Count<1, 1>,
        /// Branch or revision that attempts start from. Default: origin/HEAD, else the current branch.
        base: Revision,
        /// The agent of a task that names none. Default: the only one configured.
        agent: AgentName,
        /// How worktrees are made.
        worktrees: RawWorktrees,
        /// How many at once.
        wip: RawWip,
        /// How often agents report.
        check_in: RawCheckIn,
        /// When an attempt is over the line; the first limit that trips acts.
        limits: RawLimits,
        /// What proves the work.
        verify: RawVerify,
        /// What no agent may touch.
        boundaries: RawBoundaries,
        /// How work lands.
        merge: RawMerge,
        /// How agents are confined.
        sandbox: RawSandbox,
        /// How you are told.
        notify: RawNotify,
        /// The agents, by name.
        agents: ByAgent<RawAgent>,
        /// Which agent takes which paths; the first match wins.
        route: Vec<At<RawRoute>>,
    }
}

section! {
    /// How worktrees are made.
    RawWorktrees {
        /// Folder for worktrees, instead of the one under your data directory.
        root: Words,
        /// Untracked files copied from the main checkout (patterns).
        copy: Vec<At<Pattern>>,
        /// Untracked files or folders linked to those of the main checkout (patterns).
        link: Vec<At<Pattern>>,
        /// Shell commands that must pass before the agent starts.
        setup: Vec<At<Words>>,
        /// Time limit of each setup command.
        setup_timeout: Span,
        /// Shell commands run once its task is closed and its agent has ended, and before a worktree is taken back whose setup failed.
        teardown: Vec<At<Words>>,
        /// Ports handed to each attempt as STANDUP_PORT_0, STANDUP_PORT_1 and so on.
        ports: RawPorts,
    }
}

section! {
    /// Ports handed to each attempt.
    RawPorts {
        /// The first and the last port, for example "4200-4299".
        range: PortRange,
        /// How many each attempt gets.
        per_task: Count<1, { bounds::PORTS }>,
    }
}

section! {
    /// How many at once.
    RawWip {
        /// Attempts in Build, waiting ones included, each with its weight.
        build: Wip,
        /// Tasks in Review; full means that nothing new starts.
        review: Wip,
        /// Your agents on this machine, over all repositories. Only in your own settings.
        machine: Wip,
        /// An agent in Review is stopped after this, and resumed when needed.
        idle: Span,
        /// What an attempt counts in Build, by its mode.
        weight: RawWeight,
    }
}

section! {
    /// What an attempt counts in Build, by its mode. One that counts more than the limit starts
    /// alone.
    RawWeight {
        /// It works alone within its bounds.
        delegate: Wip,
        /// You read its plan, then its work.
        checkpoint: Wip,
        /// It asks you about everything, and its work ends with you.
        own: Wip,
    }
}

section! {
    /// How often agents report.
    RawCheckIn {
        /// Time between check-ins.
        every: Span,
        /// Reminders before a check-in is late.
        nudges: Count<0, { bounds::IN_A_ROW }>,
        /// Time between the last reminder and late.
        grace: Span,
        /// No sign of life for this long is quiet.
        silence: Span,
    }
}

section! {
    /// When an attempt is over the line; the first limit that trips acts.
    RawLimits {
        /// Time since the attempt started.
        wall_clock: Span,
        /// Check-ins missed.
        late_check_ins: InARow,
        /// Red verdicts in a row.
        red_verdicts: InARow,
        /// The same failure in a row.
        same_failure: InARow,
        /// Lines changed.
        changed_lines: Count<1, { bounds::LINES }>,
        /// Files changed.
        changed_files: Count<1, { bounds::FILES }>,
        /// Tokens, as the agent's own logs count them: read, written into a cache and answered, not
        /// those that were read from a cache; over all its starts, sub-agents included. Not measured
        /// where its adapter does not say how. Default: no limit.
        tokens: Count<1, { bounds::TOKENS }>,
        /// Cost in US dollars, as far as the agent's own logs say it: those of Claude Code when it
        /// ends, those of Codex never. Prices are never made up; doctor, show and state say what is
        /// not measured. Default: no limit.
        cost_usd: Dollars,
        /// What happens on a touch of something off-limits.
        off_limits: LimitAction,
        /// What happens at any other limit.
        action: LimitAction,
    }
}

section! {
    /// What proves the work.
    RawVerify {
        /// When checks run by themselves: when work is finished (`done`, always), and while the agent
        /// works, after each check-in or when its files have come to rest.
        on: Vec<At<VerifyOn>>,
        /// In how many worktrees checks run at once.
        parallel: Count<1, { bounds::PARALLEL }>,
        /// The checks, in order.
        check: Vec<At<RawCheck>>,
    }
}

section! {
    /// One check.
    RawCheck {
        /// Its name.
        name: CheckName,
        /// A shell command, run in the worktree.
        run: Words,
        /// How its output is read: exit, libtest, nextest, pytest, go, jest, tap or junit:PATH.
        report: ReportFormat,
        /// Its time limit.
        timeout: Span,
    }
}

section! {
    /// What no agent may touch.
    RawBoundaries {
        /// Patterns of paths.
        off_limits: Vec<At<Pattern>>,
    }
}

section! {
    /// How work lands.
    RawMerge {
        /// As one commit, a merge commit, or the attempt's own commits replayed.
        strategy: MergeStrategy,
        /// What must hold before anything lands.
        require: Vec<At<Requirement>>,
        /// Whether the target branch is pushed.
        push: bool,
    }
}

section! {
    /// How agents are confined.
    RawSandbox {
        /// How tightly.
        mode: SandboxMode,
        /// Folders that may be written besides the worktree.
        write: Vec<At<Words>>,
    }
}

section! {
    /// How you are told.
    RawNotify {
        /// Through attached terminals (OSC 9 and bell).
        terminal: bool,
        /// A program and its arguments, never a shell; {title} and {body} are filled in.
        command: Vec<At<NotifyArg>>,
    }
}

section! {
    /// One agent.
    RawAgent {
        /// What speaks with it: claude, codex, generic, or an adapter of your own. Default: the
        /// agent's name if that is claude or codex, else generic.
        adapter: AgentName,
        /// The program and its first arguments.
        command: Vec<At<AgentArg>>,
        /// Arguments after the adapter's own, before the prompt.
        args: Vec<At<AgentArg>>,
        /// Environment for it.
        env: Environment,
        /// How many at once.
        max: Wip,
        /// How it gets its prompt.
        prompt: PromptVia,
    }
}

section! {
    /// Who takes which paths.
    RawRoute {
        /// Paths a task touches (patterns).
        paths: Vec<At<Pattern>>,
        /// The agent that takes it.
        agent: AgentName,
    }
}

/// Reads the whole document and checks what one file alone must get right.
pub(super) fn read(root: Node<'_, '_>, reader: &mut Reader<'_>) -> Option<Raw> {
    let raw = Raw::read(root, reader)?;
    if reader.kind == Kind::Repository
        && let Some(machine) = raw.wip.as_ref().and_then(|wip| wip.value.machine.as_ref())
    {
        reader.fail_in(&machine.place, Problem::UserOnly { key: "wip.machine".into() });
    }
    judged(&raw, reader);
    checks(&raw, reader);
    routes(&raw, reader);
    commands(&raw, reader);
    Some(raw)
}

/// What is finished is checked in any case, so whoever lists when checks run says so.
fn judged(raw: &Raw, reader: &mut Reader<'_>) {
    let Some(At { value: verify, .. }) = &raw.verify else { return };
    let Some(on) = verify.on.as_ref().filter(|_| !verify.wrong.contains(&"on")) else { return };
    if !on.value.iter().any(|at| at.value == VerifyOn::Done) {
        let example = "on = [\"done\", \"check-in\"]; finished work is checked in any case";
        missing(reader, &on.place, "\"done\" in verify.on", example);
    }
}

/// The checks of a document, in order.
pub(super) fn all_checks(raw: &Raw) -> impl Iterator<Item = &At<RawCheck>> {
    raw.verify.iter().flat_map(|verify| verify.value.check.iter().flat_map(|list| &list.value))
}

/// Every check has a command and a name of its own.
fn checks(raw: &Raw, reader: &mut Reader<'_>) {
    let mut seen: BTreeMap<&CheckName, u32> = BTreeMap::new();
    for At { value: check, place } in all_checks(raw) {
        if check.run.is_none() && !check.wrong.contains(&"run") {
            missing(reader, place, "verify.check.run", "run = \"cargo test\"");
        }
        let Some(name) = &check.name else {
            if !check.wrong.contains(&"name") {
                missing(reader, place, "verify.check.name", "name = \"test\"");
            }
            continue;
        };
        if let Some(&first) = seen.get(&name.value) {
            reader.fail_in(&name.place, Problem::DuplicateCheck { name: name.value.to_string(), first });
        } else {
            seen.insert(&name.value, name.place.line);
        }
    }
}

/// Every route says which paths go to whom.
fn routes(raw: &Raw, reader: &mut Reader<'_>) {
    for At { value: route, place } in raw.route.iter().flat_map(|list| &list.value) {
        let no_paths = route.paths.as_ref().is_none_or(|paths| paths.value.is_empty());
        if no_paths && !route.wrong.contains(&"paths") {
            missing(reader, place, "route.paths", "paths = [\"src/**\"]");
        }
        if route.agent.is_none() && !route.wrong.contains(&"agent") {
            missing(reader, place, "route.agent", "agent = \"codex\"");
        }
    }
}

/// A command that is there names a program.
fn commands(raw: &Raw, reader: &mut Reader<'_>) {
    for (name, agent) in raw.agents.iter().flat_map(|agents| &agents.value.0) {
        let Some(command) = &agent.value.command else { continue };
        if command.value.first().is_none_or(|program| program.value.0.trim().is_empty()) {
            let key = format!("the program in agents.{name}.command");
            missing(reader, &command.place, &key, &format!("command = [\"{name}\"]"));
        }
    }
    // No words at all are fine here: they switch the user's own command off.
    if let Some(command) = raw.notify.as_ref().and_then(|notify| notify.value.command.as_ref())
        && command.value.first().is_some_and(|program| program.value.0.trim().is_empty())
    {
        let example = "command = [\"notify-send\", \"{title}\"]";
        missing(reader, &command.place, "the program in notify.command", example);
    }
}

fn missing(reader: &mut Reader<'_>, place: &Place, key: &str, example: &str) {
    reader.fail_in(place, Problem::Missing { key: key.into(), example: example.into() });
}
