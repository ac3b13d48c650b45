//! `standup agents`: the agents that are configured, and those that could be.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use crate::agent::adapter::{self, Adapter};
use crate::agent::launch;
use crate::agent::offer::{Offer, offers};
use crate::board::doc::Document;
use crate::board::text::{Paint, Tone};
use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::model::text::clean_line;
use crate::os::locate;
use crate::os::run::Run;
use crate::supervisor::place::Place;
use crate::supervisor::surroundings::{self, FoundAgent};

/// List the agents that are configured, and known adapters
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Run each program to learn its version and what it offers; no turn is started
    ///
    /// Only its version and its help are asked for. Agents of this repository are asked only where its
    /// commands are approved.
    #[arg(long)]
    probe: bool,
}

/// How long a program may take to print its version.
const VERSION_LIMIT: Duration = Duration::from_secs(10);

/// The longest help that is read.
const HELP_BYTES: usize = 256 << 10;

/// A configured agent, as scripts see it.
#[derive(Serialize)]
struct Agent {
    name: String,
    adapter: String,
    command: Vec<String>,
    default: bool,
    program: Option<String>,
    problem: Option<String>,
    version: Option<String>,
    /// Whether the adapter was tried with this version; `null` where it was not asked.
    known_version: Option<bool>,
    resumes: bool,
    unconfined: Option<String>,
    max: Option<u32>,
    /// What this version offers, where it was asked.
    offers: Vec<Offer>,
}

/// An adapter, as scripts see it.
#[derive(Serialize)]
struct Known {
    name: String,
    source: &'static str,
    /// Whether it names a program; where it does not, the settings must.
    own_program: bool,
    program: Option<String>,
    version: Option<String>,
    known_version: Option<bool>,
    problem: Option<String>,
    /// What this version offers, where it was asked.
    offers: Vec<Offer>,
}

pub(in crate::cli) fn run(args: Args, ctx: &Context) -> Result<Code, Failure> {
    let place = ctx.place()?;
    let loaded = if args.probe { surroundings::load(place)? } else { surroundings::look(place)? };
    let settings = &loaded.effective.settings;
    let only = if settings.agents.len() == 1 { settings.agents.keys().next() } else { None };
    let agents: Vec<Agent> = loaded
        .agents
        .iter()
        .map(|(name, found)| agent(name.as_str(), found, settings.agent.as_ref().or(only) == Some(name)))
        .collect();
    let known = adapters(place, args.probe);
    if ctx.ui.json {
        let body = serde_json::json!({"agents": agents, "adapters": known, "trusted": loaded.trusted});
        ctx.ui.json(&Document::new("agents", body))?;
        return Ok(Code::Ok);
    }
    ctx.ui.answer(&text(&agents, &known, &ctx.ui))?;
    if agents.is_empty() {
        ctx.ui.hint("standup init, or standup help config");
    }
    if args.probe && !loaded.trusted {
        ctx.ui.say("agents of this repository were not asked for their version: its commands are not approved");
        ctx.ui.hint("standup trust");
    }
    Ok(Code::Ok)
}

fn agent(name: &str, found: &FoundAgent, default: bool) -> Agent {
    Agent {
        name: name.to_owned(),
        adapter: found.settings.adapter.clone(),
        command: found.settings.command.clone(),
        default,
        program: found.program.as_ref().ok().map(|p| p.display().to_string()),
        problem: found.program.as_ref().err().cloned(),
        version: found.version.clone(),
        known_version: found.version.as_ref().map(|_| found.unknown_version.is_none()),
        resumes: !found.adapter.launch.resume.is_empty(),
        unconfined: launch::unconfined(&found.adapter, &found.settings),
        max: found.settings.max.max(),
        offers: offered(found),
    }
}

/// What the version of a configured agent offers; nothing where it was not asked for its version.
fn offered(found: &FoundAgent) -> Vec<Offer> {
    let (Some(number), Ok(program)) = (&found.version, &found.program) else { return Vec::new() };
    let version = adapter::Version { number: number.clone(), known: found.unknown_version.is_none() };
    offers(&found.adapter, Some(&version), help(&found.adapter, program).as_deref())
}

/// Built-in adapters and the user's own, with what is on PATH for them.
fn adapters(place: &Place, probe: bool) -> Vec<Known> {
    let mut names: BTreeMap<String, &'static str> = adapter::names().map(|n| (n.to_owned(), "built in")).collect();
    let own = place.dirs.config.join("adapters");
    for entry in std::fs::read_dir(&own).into_iter().flatten().flatten().take(1_000) {
        let path = entry.path();
        if let Some(name) =
            path.file_stem().and_then(OsStr::to_str).filter(|_| path.extension() == Some("toml".as_ref()))
        {
            names.insert(name.to_owned(), "yours");
        }
    }
    // The demo's agent is nobody's choice.
    names.remove("demo");
    names.into_iter().map(|(name, source)| known(place, name, source, probe)).collect()
}

fn known(place: &Place, name: String, source: &'static str, probe: bool) -> Known {
    let mut known = Known {
        name,
        source,
        own_program: false,
        program: None,
        version: None,
        known_version: None,
        problem: None,
        offers: Vec::new(),
    };
    match surroundings::load_adapter(place, &known.name) {
        Ok(adapter) => {
            known.own_program = !adapter.program.is_empty();
            let name = adapter.program.first().map(OsStr::new);
            let program = name.and_then(|name| locate::program(name, &place.root()).ok());
            let asked = program.as_deref().filter(|_| probe);
            if let Some((program, version)) = asked.and_then(|p| Some((p, version(&adapter, p)?))) {
                known.offers = offers(&adapter, Some(&version), help(&adapter, program).as_deref());
                known.version = Some(version.number);
                known.known_version = Some(version.known);
            }
            known.program = program.map(|p| p.display().to_string());
        }
        Err(why) => known.problem = Some(why),
    }
    known
}

/// Asks a program of the user's PATH for its version.
fn version(adapter: &Adapter, program: &Path) -> Option<adapter::Version> {
    let rule = adapter.version.as_ref()?;
    let output = Run::new(program).args(&rule.args).timeout(VERSION_LIMIT).max_output(64 << 10).output().ok()?;
    rule.read(&String::from_utf8_lossy(&output.stdout))
}

/// Asks a program what it takes; nothing where it does not say.
fn help(adapter: &Adapter, program: &Path) -> Option<String> {
    let args = adapter.version.as_ref().map(|rule| &rule.help).filter(|args| !args.is_empty())?;
    let output = Run::new(program).args(args).timeout(VERSION_LIMIT).max_output(HELP_BYTES).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Some(text).filter(|text| !text.trim().is_empty())
}

fn text(agents: &[Agent], known: &[Known], paint: &dyn Paint) -> String {
    let mut text = String::new();
    if agents.is_empty() {
        text.push_str("No agent is configured.\n");
    }
    for agent in agents {
        let name = paint.paint(Tone::Bold, &format!("{:<10}", clean_line(&agent.name)));
        text.push_str(&format!("{name} {}\n", described(agent, paint)));
        text.push_str(&offers_text(&agent.offers, paint));
    }
    text.push_str(&format!("\n{}\n", paint.paint(Tone::Bold, "adapters")));
    for adapter in known {
        let what = match (&adapter.program, &adapter.problem) {
            (_, Some(problem)) => paint.paint(Tone::Bad, &clean_line(problem)),
            (Some(program), None) => {
                format!("{}{}", clean_line(program), version_text(&adapter.version, adapter.known_version))
            }
            (None, None) if adapter.own_program => paint.paint(Tone::Dim, "not on PATH"),
            (None, None) => paint.paint(Tone::Dim, "for any command that [agents.NAME] names"),
        };
        text.push_str(&format!("{:<10} {:<8}  {what}\n", clean_line(&adapter.name), adapter.source));
        // The same program was spoken of above.
        let told = agents.iter().any(|a| a.adapter == adapter.name && a.program == adapter.program);
        text.push_str(&if told { String::new() } else { offers_text(&adapter.offers, paint) });
    }
    text
}

/// `  yes     hooks        its help names it`
fn offers_text(offers: &[Offer], paint: &dyn Paint) -> String {
    let line = |offer: &Offer| {
        let (word, tone) = match offer.offered {
            Some(true) => ("yes", Tone::Good),
            Some(false) => ("no", Tone::Dim),
            None => ("unknown", Tone::Warn),
        };
        let why = paint.paint(Tone::Dim, &clean_line(&offer.why));
        format!("  {} {:<12} {why}\n", paint.paint(tone, &format!("{word:<8}")), offer.what)
    };
    offers.iter().map(line).collect()
}

fn described(agent: &Agent, paint: &dyn Paint) -> String {
    let mut parts = vec![match (&agent.program, &agent.problem) {
        (Some(program), _) => clean_line(program),
        (None, problem) => paint.paint(Tone::Bad, &clean_line(problem.as_deref().unwrap_or("no program"))),
    }];
    parts[0].push_str(&version_text(&agent.version, agent.known_version));
    if agent.adapter != agent.name {
        parts.push(format!("adapter {}", clean_line(&agent.adapter)));
    }
    parts.extend(agent.default.then(|| "takes tasks that name none".to_owned()));
    parts.extend(agent.max.map(|max| format!("at most {max} at once")));
    parts.extend((!agent.resumes).then(|| "cannot be resumed".to_owned()));
    parts.extend(
        agent.unconfined.as_ref().map(|why| paint.paint(Tone::Warn, &format!("unconfined ({})", clean_line(why)))),
    );
    parts.join(" · ")
}

fn version_text(version: &Option<String>, known: Option<bool>) -> String {
    match (version, known) {
        (Some(version), Some(false)) => format!(" {} (a version standup was not tried with)", clean_line(version)),
        (Some(version), _) => format!(" {}", clean_line(version)),
        (None, _) => String::new(),
    }
}
