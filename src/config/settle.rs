//! From what the files say to what holds: defaults filled in, references checked.
//!
//! One conversion per section; a value that no file gives is the default of
//! [`Settings`].
//!
//! **Invariant:** settings that come out name only agents that are configured. Must not know: TOML.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use super::error::{ConfigError, Problem};
use super::raw::{
    Raw, RawAgent, RawCheck, RawCheckIn, RawLimits, RawMerge, RawNotify, RawPorts, RawSandbox, RawVerify, RawWeight,
    RawWip, RawWorktrees,
};
use super::read::At;
use crate::model::name::AgentName;
use crate::model::settings::{
    AgentSettings, CheckInRules, CheckSettings, Limit, Limits, Merge, Notify, Ports, ReportFormat, Route, Sandbox,
    Settings, Verify, Weights, Wip, Worktrees,
};
use crate::model::text::nearest;
use crate::model::time::Span;

/// Time limit of a check that names none.
pub(super) const CHECK_TIMEOUT: Span = Span::mins(15);

/// Adapters that know which program they speak with.
const KNOWN_PROGRAMS: &[&str] = &["claude", "codex"];

/// The adapter of an agent whose name says nothing.
const GENERIC: &str = "generic";

/// What all files together mean.
pub(super) fn settle(raw: &Raw) -> Result<Settings, Vec<ConfigError>> {
    let mut errors = Vec::new();
    let agents = agents(raw, &mut errors);
    let wip = section(&raw.wip, Wip::from);
    let settings = Settings {
        base: raw.base.as_ref().map(|base| base.value.0.clone()),
        agent: default_agent(raw, &agents, &mut errors),
        worktrees: section(&raw.worktrees, |raw| {
            let ports = ports(raw.ports.clone(), &wip, &mut errors);
            Worktrees { ports, ..raw.into() }
        }),
        check_in: section(&raw.check_in, CheckInRules::from),
        limits: section(&raw.limits, Limits::from),
        verify: section(&raw.verify, Verify::from),
        off_limits: raw.boundaries.as_ref().map(|b| list(&b.value.off_limits, Clone::clone)).unwrap_or_default(),
        merge: section(&raw.merge, Merge::from),
        sandbox: section(&raw.sandbox, Sandbox::from),
        notify: section(&raw.notify, Notify::from),
        routes: routes(raw, &agents, &mut errors),
        wip,
        agents,
    };
    if errors.is_empty() { Ok(settings) } else { Err(errors) }
}

/// The adapter of an agent: what it says, else what its name says.
pub(super) fn adapter(name: &AgentName, agent: &RawAgent) -> String {
    match &agent.adapter {
        Some(adapter) => adapter.value.to_string(),
        None if KNOWN_PROGRAMS.contains(&name.as_str()) => name.to_string(),
        None => GENERIC.to_owned(),
    }
}

/// The command of an agent: what it says, else the program its adapter speaks with.
pub(super) fn command(name: &AgentName, agent: &RawAgent) -> Option<Vec<String>> {
    match &agent.command {
        Some(command) => Some(command.value.iter().map(|word| word.value.0.clone()).collect()),
        None => {
            let adapter = adapter(name, agent);
            KNOWN_PROGRAMS.contains(&adapter.as_str()).then(|| vec![adapter])
        }
    }
}

fn section<R: Clone + Default, T>(raw: &Option<At<R>>, convert: impl FnOnce(R) -> T) -> T {
    convert(raw.as_ref().map(|at| at.value.clone()).unwrap_or_default())
}

fn list<R, T>(raw: &Option<At<Vec<At<R>>>>, convert: impl Fn(&R) -> T) -> Vec<T> {
    raw.iter().flat_map(|at| &at.value).map(|item| convert(&item.value)).collect()
}

fn value<T: Clone>(raw: &Option<At<T>>, default: T) -> T {
    raw.as_ref().map_or(default, |at| at.value.clone())
}

/// A list that replaces the default as a whole, even by nothing.
fn replaced<T: Clone>(raw: &Option<At<Vec<At<T>>>>, default: Vec<T>) -> Vec<T> {
    if raw.is_some() { list(raw, Clone::clone) } else { default }
}

fn limit<const MAX: u64>(raw: &Option<At<super::leaf::Count<1, MAX>>>, default: Limit) -> Limit {
    raw.as_ref().map_or(default, |at| Limit::of(at.value.small()))
}

fn agents(raw: &Raw, errors: &mut Vec<ConfigError>) -> BTreeMap<AgentName, AgentSettings> {
    let mut all = BTreeMap::new();
    for (name, At { value: agent, place }) in raw.agents.iter().flat_map(|agents| &agents.value.0) {
        let Some(command) = command(name, agent) else {
            let problem = Problem::Missing {
                key: format!("agents.{name}.command"),
                example: format!("command = [\"{name}\", \"{{prompt}}\"]"),
            };
            errors.push(ConfigError { place: place.clone(), problem });
            continue;
        };
        let env = agent.env.iter().flat_map(|env| &env.value.0).map(|(k, v)| (k.clone(), v.value.clone())).collect();
        let settings = AgentSettings {
            adapter: adapter(name, agent),
            command,
            args: list(&agent.args, |word| word.0.clone()),
            env,
            max: limit(&agent.max, Limit::Unlimited),
            prompt: agent.prompt.as_ref().map(|at| at.value),
        };
        all.insert(name.clone(), settings);
    }
    all
}

fn default_agent(
    raw: &Raw,
    agents: &BTreeMap<AgentName, AgentSettings>,
    errors: &mut Vec<ConfigError>,
) -> Option<AgentName> {
    if let Some(at) = &raw.agent {
        return known_agent("agent", at, raw, errors);
    }
    if agents.len() > 1 {
        let mut places = raw.agents.iter().flat_map(|all| &all.value.0).map(|(_, at)| &at.place);
        let place = places.next().expect("there are several agents").clone();
        let agents = agents.keys().map(ToString::to_string).collect();
        errors.push(ConfigError { place, problem: Problem::NoDefaultAgent { agents } });
        return None;
    }
    agents.keys().next().cloned()
}

/// The agent that a key names, if it is configured (even wrongly, which has been reported).
fn known_agent(key: &str, at: &At<AgentName>, raw: &Raw, errors: &mut Vec<ConfigError>) -> Option<AgentName> {
    let known: Vec<String> = raw.agents.iter().flat_map(|all| all.value.0.keys().map(ToString::to_string)).collect();
    if known.iter().any(|name| name == at.value.as_str()) {
        return Some(at.value.clone());
    }
    let found = at.value.to_string();
    let nearest = nearest(&found, known.iter().map(String::as_str)).map(str::to_owned);
    let problem = Problem::UnknownAgent { key: key.to_owned(), found, known, nearest };
    errors.push(ConfigError { place: at.place.clone(), problem });
    None
}

fn routes(raw: &Raw, agents: &BTreeMap<AgentName, AgentSettings>, errors: &mut Vec<ConfigError>) -> Vec<Route> {
    let mut routes = Vec::new();
    for At { value: route, .. } in raw.route.iter().flat_map(|list| &list.value) {
        let Some(at) = &route.agent else { continue };
        let agent = known_agent("route.agent", at, raw, errors).filter(|name| agents.contains_key(name));
        routes.extend(agent.map(|agent| Route { paths: list(&route.paths, Clone::clone), agent }));
    }
    routes
}

/// The ports of `[worktrees]`, if they suffice for all attempts that may be in Build at once.
fn ports(raw: Option<At<RawPorts>>, wip: &Wip, errors: &mut Vec<ConfigError>) -> Option<Ports> {
    let At { value: ports, place } = raw?;
    let RawPorts { range, per_task, .. } = ports;
    let Some(range) = range else {
        let problem = Problem::Missing { key: "worktrees.ports.range".into(), example: "range = \"4200-4299\"".into() };
        errors.push(ConfigError { place, problem });
        return None;
    };
    let per_task = per_task.map_or(1, |at| at.value.small());
    let (first, last) = (range.value.first, range.value.last);
    let have = u32::from(last) - u32::from(first) + 1;
    let attempts = wip.build.max().unwrap_or(1);
    let need = per_task.saturating_mul(attempts);
    if have < need {
        let key = "worktrees.ports.range".to_owned();
        let problem = Problem::TooFewPorts { key, first, last, have, need, attempts };
        errors.push(ConfigError { place: range.place, problem });
        return None;
    }
    let per_task = u16::try_from(per_task).expect("bounded far below 2^16");
    Some(Ports { first, last, per_task })
}

impl From<RawWorktrees> for Worktrees {
    /// All but the ports, which depend on `[wip]`.
    fn from(raw: RawWorktrees) -> Self {
        let default = Settings::default().worktrees;
        Self {
            root: raw.root.map(|at| at.value.0.into()),
            copy: list(&raw.copy, Clone::clone),
            link: list(&raw.link, Clone::clone),
            setup: list(&raw.setup, |word| word.0.clone()),
            setup_timeout: value(&raw.setup_timeout, default.setup_timeout),
            teardown: list(&raw.teardown, |word| word.0.clone()),
            ports: None,
        }
    }
}

impl From<RawWip> for Wip {
    fn from(raw: RawWip) -> Self {
        let default = Settings::default().wip;
        Self {
            build: limit(&raw.build, default.build),
            review: limit(&raw.review, default.review),
            machine: limit(&raw.machine, default.machine),
            idle: value(&raw.idle, default.idle),
            weight: section(&raw.weight, Weights::from),
        }
    }
}

impl From<RawWeight> for Weights {
    fn from(raw: RawWeight) -> Self {
        let default = Self::default();
        Self {
            delegate: raw.delegate.map_or(default.delegate, |at| at.value.small()),
            checkpoint: raw.checkpoint.map_or(default.checkpoint, |at| at.value.small()),
            own: raw.own.map_or(default.own, |at| at.value.small()),
        }
    }
}

impl From<RawCheckIn> for CheckInRules {
    fn from(raw: RawCheckIn) -> Self {
        let default = Settings::default().check_in;
        Self {
            every: value(&raw.every, default.every),
            nudges: raw.nudges.map_or(default.nudges, |at| at.value.small()),
            grace: value(&raw.grace, default.grace),
            silence: value(&raw.silence, default.silence),
        }
    }
}

impl From<RawLimits> for Limits {
    fn from(raw: RawLimits) -> Self {
        let default = Settings::default().limits;
        Self {
            wall_clock: value(&raw.wall_clock, default.wall_clock),
            late_check_ins: raw.late_check_ins.map_or(default.late_check_ins, |at| at.value.small()),
            red_verdicts: raw.red_verdicts.map_or(default.red_verdicts, |at| at.value.small()),
            same_failure: raw.same_failure.map_or(default.same_failure, |at| at.value.small()),
            changed_lines: raw.changed_lines.map_or(default.changed_lines, |at| at.value.0),
            changed_files: raw.changed_files.map_or(default.changed_files, |at| at.value.0),
            tokens: raw.tokens.map(|at| at.value.0).or(default.tokens),
            cost_usd: raw.cost_usd.map(|at| at.value.0).or(default.cost_usd),
            off_limits: value(&raw.off_limits, default.off_limits),
            action: value(&raw.action, default.action),
        }
    }
}

impl From<RawVerify> for Verify {
    fn from(raw: RawVerify) -> Self {
        let default = Settings::default().verify;
        let checks = raw.check.into_iter().flat_map(|at| at.value).filter_map(|check| check_settings(check.value));
        Self {
            on: replaced(&raw.on, default.on),
            parallel: raw
                .parallel
                .map_or(default.parallel, |at| NonZeroU32::new(at.value.small()).expect("its lower bound is 1")),
            checks: checks.collect(),
        }
    }
}

/// A check that has a name and a command; the reader has refused the others.
fn check_settings(raw: RawCheck) -> Option<CheckSettings> {
    Some(CheckSettings {
        name: raw.name?.value,
        run: raw.run?.value.0,
        report: value(&raw.report, ReportFormat::Exit),
        timeout: value(&raw.timeout, CHECK_TIMEOUT),
    })
}

impl From<RawMerge> for Merge {
    fn from(raw: RawMerge) -> Self {
        let default = Settings::default().merge;
        Self {
            strategy: value(&raw.strategy, default.strategy),
            require: replaced(&raw.require, default.require),
            push: value(&raw.push, default.push),
        }
    }
}

impl From<RawSandbox> for Sandbox {
    fn from(raw: RawSandbox) -> Self {
        let default = Settings::default().sandbox;
        Self { mode: value(&raw.mode, default.mode), write: list(&raw.write, |word| word.0.clone()) }
    }
}

impl From<RawNotify> for Notify {
    fn from(raw: RawNotify) -> Self {
        let default = Settings::default().notify;
        Self { terminal: value(&raw.terminal, default.terminal), command: list(&raw.command, |word| word.0.clone()) }
    }
}
