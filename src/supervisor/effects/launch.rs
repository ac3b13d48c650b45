//! Starting an agent in its host, and taking over hosts that live already.

mod again;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::agent::adapter;
use crate::agent::launch::{
    Launch, LaunchRequest, Session, launch as command_of, own_notify, own_notify_files, own_settings_file,
};
use crate::agent::preamble::{self, Preamble};
use crate::agent::psp;
use crate::agent::stage::{self, Stage};
use crate::agent::status_file;
use crate::git::grant;
use crate::host::registry;
use crate::host::{self, StartError};
use crate::model::action::{Action, Ended, Outcome};
use crate::model::attempt::{HostFacts, Proc};
use crate::model::id::AttemptId;
use crate::model::input::{HostFound, Input, Observation};
use crate::model::name::{AgentName, BranchName, HostId, Pattern};
use crate::model::settings::{Mode, PromptVia};
use crate::model::state::RunKind;
use crate::model::task::TaskSpec;
use crate::model::time::Wall;
use crate::os::clock;
use crate::os::failpoint;
use crate::os::file::{self, FileError};
use crate::store::log::{Log, TextDigest};
use crate::watch::own::{self, OwnError};
use crate::wire::host::{Answer, Bytes, Fence, SPEC_SCHEMA, Size, Spec};

use super::super::environment;
use super::super::hosts::{self, Ask, Before, Fired, Voice};
use super::super::surroundings::FoundAgent;
use super::super::usage;
use super::super::world::World;
use super::check::observe;
use super::prepare::site_of;
use super::survey::{plan_file, plan_in};
use super::{blocking, chain, hidden};

/// The terminal an agent starts in, before anybody attaches.
const SIZE: Size = Size { rows: 40, cols: 120 };

/// Between two tries to reach a host that lives but does not answer.
const RECONNECT: Duration = Duration::from_millis(200);

/// How long a host that an earlier supervisor started may take to come up: longer than anybody
/// waits for one of his own.
const COMING_UP: Duration = Duration::from_secs(60);

/// Between two looks at whether it has.
const COMING_UP_LOOK: Duration = Duration::from_millis(20);

/// What a host says where another one of its name holds the lock.
const TAKEN: &str = "taken";

/// The brief, in the attempt's own folder.
const BRIEF: &str = "brief.md";

/// The user's own preamble, in the folder of settings.
const PREAMBLE: &str = "preamble.md";

/// The longest settings of a CLI that are read, in bytes.
const SETTINGS_MAX: u64 = 1 << 20;

/// The longest preamble read, in bytes.
const PREAMBLE_MAX: u64 = 256 << 10;

/// Carries out [`Action::Launch`].
pub(super) async fn launch(world: &Arc<World>, attempt: AttemptId, action: Action) -> Outcome {
    let for_work = world.clone();
    let planned = match &action {
        Action::Launch { worktree, plans: true, .. } => Some(worktree.clone()),
        _ => None,
    };
    if planned.is_some() {
        // Before it can have changed anything: what setup did is not its doing.
        observe(world, attempt).await;
    }
    let started = blocking(move || start(&for_work, attempt, action)).await;
    match started {
        Ok(Started::Lives { facts, voice }) => {
            adopt(world, attempt, facts.clone(), *voice);
            Outcome::Launched { facts }
        }
        Ok(Started::CameAndWent { facts, ended, voice }) => {
            if ended.is_silent() {
                observe(world, attempt).await;
            }
            tell_plan(world, attempt, planned.as_deref()).await;
            if let Some(facts) = &facts {
                usage::tell_of_ended(world, attempt, facts.id.clone(), &voice);
            }
            Outcome::CameAndWent { facts, ended }
        }
        Err((stage, error)) => Outcome::Failed { stage: stage.to_owned(), error },
    }
}

enum Started {
    Lives { facts: HostFacts, voice: Box<Voice> },
    CameAndWent { facts: Option<HostFacts>, ended: Ended, voice: Box<Voice> },
}

pub(super) type Wrong = (&'static str, String);

fn start(world: &World, attempt: AttemptId, action: Action) -> Result<Started, Wrong> {
    let (mut wanted, agent) = ordered(attempt, action)?;
    let made_for = again::made_for(world, &wanted);
    let made = require_agent(world, &agent).and_then(|found| {
        if wanted.session.is_none() && !found.adapter.launch.session.is_empty() {
            let session = again::session_of(&made_for);
            wanted.session = Some(session.clone());
            let _ = world.inputs.blocking_send(Input::Observed { attempt, seen: Observation::Session { session } });
        }
        let (command, program) = command(world, &wanted, &found)?;
        Ok((found, command, program))
    });
    let voice = Box::new(match &made {
        Ok((found, command, _)) => voice(world, &wanted, found, command),
        Err(_) => {
            Voice { plans: wanted.plans, ..voice_of(world, attempt, &agent, &wanted.worktree, wanted.session.clone()) }
        }
    });
    // Also where it is found to have been started before whoever did could tell.
    for text in made.iter().flat_map(|(_, command, _)| &command.notes) {
        let seen = Observation::Noted { text: text.clone() };
        let _ = world.inputs.blocking_send(Input::Observed { attempt, seen });
    }
    // A host of this name that was made for this launch and lives, or lived, is this very launch,
    // whatever the settings say since: it is not started twice.
    if let Some(started) = again::repeated(world, &wanted, &made_for, &voice)? {
        return Ok(started);
    }
    let (_, command, program) = made?;
    prove(world, &wanted)?;
    let slot = world.wait_for_slot(attempt).map_err(|why| ("launch", why))?;
    let descriptor = match &slot {
        Some(slot) => Some(slot.share().map_err(|e| ("launch", chain(&e)))?),
        None => None,
    };
    let spec = host_spec(world, &wanted, &command, &program, descriptor.as_ref().map(AsRawFd::as_raw_fd), made_for)?;
    failpoint::hit("launch.before-start");
    begin(world, &wanted, &spec, &voice)
}

/// Starts the host. One that falls silent is not said to have failed before it is sure to start no agent.
fn begin(world: &World, wanted: &Wanted, spec: &Spec, voice: &Voice) -> Result<Started, Wrong> {
    let error = match host::start(spec, &world.exe) {
        Ok(address) => {
            failpoint::hit("launch.started");
            let facts = HostFacts {
                id: wanted.host.clone(),
                nonce: address.nonce,
                host: Proc { pid: address.host.pid, start: address.host.start },
                agent: Proc { pid: address.agent.pid, start: address.agent.start },
            };
            return Ok(Started::Lives { facts, voice: Box::new(voice.clone()) });
        }
        Err(error) => error,
    };
    // Another start of this very host was on its way, or this one goes on in silence.
    let taken = matches!(&error, StartError::Refused { failure } if failure.code == TAKEN);
    if !(taken || matches!(error, StartError::Silent { .. })) {
        return Err(("launch", chain(&error)));
    }
    match again::repeated(world, wanted, &spec.made_for, voice)? {
        Some(started) => Ok(started),
        None => again::give_up(world, wanted, &spec.made_for, voice, chain(&error)),
    }
}

/// The particulars of an order, and who is to carry it out.
fn ordered(attempt: AttemptId, action: Action) -> Result<(Wanted, AgentName), Wrong> {
    let Action::Launch {
        host,
        agent,
        mode,
        spec,
        worktree,
        branch,
        session,
        resume,
        prompt,
        ports,
        plans,
        plan,
        planned_at,
    } = action
    else {
        return Err(("launch", "not an order to launch".into()));
    };
    let wanted = Wanted {
        attempt,
        host,
        mode,
        spec: *spec,
        worktree,
        branch,
        session,
        resume,
        prompt,
        ports,
        plans,
        plan,
        planned_at,
    };
    Ok((wanted, agent))
}

pub(super) struct Wanted {
    pub(super) attempt: AttemptId,
    pub(super) host: HostId,
    pub(super) mode: Mode,
    pub(super) spec: TaskSpec,
    pub(super) worktree: PathBuf,
    pub(super) branch: BranchName,
    pub(super) session: Option<String>,
    pub(super) resume: bool,
    pub(super) prompt: Option<String>,
    pub(super) ports: Vec<u16>,
    pub(super) plans: bool,
    pub(super) plan: Option<String>,
    pub(super) planned_at: Option<Wall>,
}

fn require_agent(world: &World, agent: &AgentName) -> Result<FoundAgent, Wrong> {
    let loaded = world.loaded();
    if !loaded.trusted {
        return Err(("launch", "the commands of agents.toml are not approved\nhint: standup trust".into()));
    }
    loaded.agents.get(agent).cloned().ok_or_else(|| ("launch", format!("agent {agent} is no longer configured")))
}

/// Right before the start: the folder is this attempt's worktree, whole and its own.
fn prove(world: &World, wanted: &Wanted) -> Result<(), Wrong> {
    let wrong = |e: &dyn std::error::Error| ("worktree", chain(e));
    let site = site_of(world, &wanted.worktree);
    site.require_intact().map_err(|e| wrong(&e))?;
    let brief = brief_text(world, &wanted.spec).map_err(|e| ("launch", e))?;
    // An agent that ran here before may have left anything in the place of these folders.
    let not_own = |e: OwnError| {
        let hint = e.hint().map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
        ("worktree", format!("{}{hint}", chain(&e)))
    };
    own::make(&wanted.worktree).map_err(not_own)?;
    if let Some(look) = world.look(wanted.attempt) {
        // As they are before it can have changed them.
        let _ = hidden::changed(world, wanted.attempt, &look, &off_limits(world, wanted));
    }
    own::leave(&wanted.worktree, BRIEF, brief.as_bytes()).map_err(not_own)
}

fn brief_text(world: &World, spec: &TaskSpec) -> Result<String, String> {
    let log = Log::open_read_only(&world.place.layout.database()).map_err(|e| chain(&e))?;
    let digest: TextDigest = spec.brief.0.parse().map_err(|_| "the brief has no valid name".to_owned())?;
    log.text(&digest).map_err(|e| chain(&e))?.ok_or_else(|| "the brief is not in the store".to_owned())
}

/// The command line, with the program found.
pub(super) fn command(world: &World, wanted: &Wanted, found: &FoundAgent) -> Result<(Launch, PathBuf), Wrong> {
    let program = found.program.clone().map_err(|why| ("launch", why))?;
    let prompt = match &wanted.prompt {
        Some(prompt) => prompt.clone(),
        None => first_prompt(world, wanted)?,
    };
    let site = site_of(world, &wanted.worktree);
    let roots = grant::roots(&world.place.repo, &site, &wanted.branch).map_err(|e| ("launch", chain(&e)))?;
    let brief = crate::store::layout::run_dir(&wanted.worktree).join(BRIEF);
    let resume = wanted.session.as_deref().filter(|_| wanted.resume);
    let notify = notify_of(world, wanted, found);
    let own_settings = own_settings(wanted, found)?;
    let request = LaunchRequest {
        task: wanted.attempt.task,
        attempt: wanted.attempt.no,
        worktree: &wanted.worktree,
        branch: &wanted.branch,
        brief: &brief,
        prompt: Some(&prompt),
        mode: wanted.mode,
        plan_approved: !wanted.plans,
        session: wanted.session.as_deref().filter(|_| resume.is_none()),
        resume,
        standup: &world.exe,
        writable_roots: &roots,
        hooks: found.adapter.hooks.as_ref().is_some_and(|hooks| hooks.by_default),
        notify: &notify,
        own_settings: own_settings.as_deref(),
        mcp: found.adapter.mcp.is_some(),
    };
    let command = command_of(&found.adapter, &found.settings, &request).map_err(|e| ("launch", chain(&e)))?;
    Ok((command, program))
}

/// The user's own notify program, by the settings that his CLI would read.
fn notify_of(world: &World, wanted: &Wanted, found: &FoundAgent) -> Vec<String> {
    let Some(rules) = &found.adapter.notify else { return Vec::new() };
    let mut env = environment::of_checks(world, wanted.attempt, &wanted.worktree, &[]);
    for (name, value) in found.adapter.env.set.iter().chain(&found.settings.env) {
        environment::set(&mut env, name.as_ref(), value.into());
    }
    let root = rules.own.as_ref().and_then(|own| status_file::root(own, &text_env(&env)));
    let read = |file: String| file::read_bounded(&root.as_ref()?.join(file), SETTINGS_MAX).ok();
    let named = |text: Vec<u8>| own_notify(rules, &String::from_utf8_lossy(&text));
    let files = own_notify_files(rules, &found.settings);
    files.into_iter().find_map(|file| read(file).and_then(named)).unwrap_or_default()
}

/// What stands in the settings file that the user's arguments name; the agent reads it where it works.
fn own_settings(wanted: &Wanted, found: &FoundAgent) -> Result<Option<String>, Wrong> {
    let Some(path) = own_settings_file(&found.adapter, &found.settings) else { return Ok(None) };
    let bytes = file::read_bounded(&wanted.worktree.join(&path), SETTINGS_MAX)
        .map_err(|e| ("launch", format!("the settings that the agent's args name: {}", chain(&e))))?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

fn off_limits(world: &World, wanted: &Wanted) -> Vec<Pattern> {
    world.loaded().effective.settings.off_limits.iter().chain(&wanted.spec.off_limits).cloned().collect()
}

/// What the agent is told first: how to report, where it may work, and the brief.
pub(super) fn first_prompt(world: &World, wanted: &Wanted) -> Result<String, Wrong> {
    let wrong = |e: &dyn std::error::Error| ("launch", chain(e));
    let own = world.place.dirs.config.join(PREAMBLE);
    let template = match file::read_owned(&own, PREAMBLE_MAX) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) if error.is_absent() => preamble::BUILTIN.to_owned(),
        Err(error) => return Err(wrong(&error)),
    };
    let loaded = world.loaded();
    let settings = &loaded.effective.settings;
    let off_limits: Vec<String> = off_limits(world, wanted).iter().map(ToString::to_string).collect();
    let checks: Vec<String> = settings.verify.checks.iter().chain(&wanted.spec.checks).map(|c| c.run.clone()).collect();
    let brief_path = crate::store::layout::run_dir(&wanted.worktree).join(BRIEF).display().to_string();
    let told = Preamble {
        task: wanted.attempt.task,
        title: &wanted.spec.title,
        worktree: &wanted.worktree.display().to_string(),
        branch: wanted.branch.as_str(),
        brief_path: &brief_path,
        standup: &world.exe.display().to_string(),
        limits: &settings.limits.with(&wanted.spec.limits),
        check_in: crate::policy::interval(settings, &wanted.spec, wanted.mode),
        off_limits: &off_limits,
        checks: &checks,
        mode: wanted.mode,
    };
    let brief = brief_text(world, &wanted.spec).map_err(|e| ("launch", e))?;
    let prompt = preamble::prompt(&template, &told, &brief).map_err(|e| wrong(&e))?;
    let file = plan_file(&wanted.worktree).display().to_string();
    let stage = match &wanted.plan {
        _ if wanted.plans => Stage::Plan { file: &file },
        Some(plan) => Stage::Approved { plan },
        None => Stage::Whole,
    };
    Ok(stage::prompt(stage, prompt))
}

pub(super) type Env = Vec<(OsString, OsString)>;

pub(super) fn environment_of(world: &World, wanted: &Wanted, command: &Launch) -> Env {
    let mut env = environment::of_checks(world, wanted.attempt, &wanted.worktree, &wanted.ports);
    environment::unset(&mut env, &command.env_unset);
    for (name, value) in &command.env_set {
        environment::set(&mut env, name.as_ref(), value.into());
    }
    if let Ok(socket) = world.place.layout.control_socket() {
        environment::set(&mut env, "STANDUP_SOCKET".as_ref(), socket.into());
    }
    environment::set(&mut env, "STANDUP_TOKEN".as_ref(), world.tokens.of_host(&wanted.host).into());
    env
}

fn voice(world: &World, wanted: &Wanted, found: &FoundAgent, command: &Launch) -> Voice {
    let session = match &command.session {
        Session::Chosen(id) => Some(id.clone()),
        Session::Learned => None,
    };
    Voice {
        adapter: found.adapter.clone(),
        silence: world.loaded().effective.settings.check_in.silence,
        prompted: command.prompt_via != PromptVia::Type,
        session,
        unknown_version: found.unknown_version.clone(),
        type_after_start: command.type_after_start.clone(),
        env: text_env(&environment_of(world, wanted, command)),
        worktree: wanted.worktree.clone(),
        last_words: command.hooks || found.adapter.notify.is_some(),
        plans: wanted.plans,
        before: None,
        reads_outbox: false,
        memory: None,
    }
}

fn text_env(env: &Env) -> BTreeMap<String, String> {
    env.iter().filter_map(|(n, v)| Some((n.to_str()?.to_owned(), v.to_str()?.to_owned()))).collect()
}

fn host_spec(
    world: &World,
    wanted: &Wanted,
    command: &Launch,
    program: &Path,
    slot_fd: Option<i32>,
    made_for: String,
) -> Result<Spec, Wrong> {
    let bytes = |path: &Path| Bytes(path.as_os_str().as_bytes().to_vec());
    let socket = world.place.layout.host_socket(&wanted.host).map_err(|e| ("launch", chain(&e)))?;
    let nonce = uuid::Uuid::new_v4().simple().to_string();
    let env = environment_of(world, wanted, command);
    Ok(Spec {
        schema: SPEC_SCHEMA,
        id: wanted.host.clone(),
        marker: format!("STANDUP_HOST={}:{nonce}", wanted.host),
        nonce,
        dir: bytes(&world.place.layout.host_dir(&wanted.host)),
        socket: bytes(&socket),
        program: bytes(program),
        args: command.argv.iter().skip(1).map(|a| Bytes(a.clone().into_bytes())).collect(),
        cwd: bytes(&wanted.worktree),
        env: env.into_iter().map(|(n, v)| (Bytes(n.as_bytes().to_vec()), Bytes(v.as_bytes().to_vec()))).collect(),
        size: SIZE,
        answers: command
            .answers
            .iter()
            .map(|a| Answer {
                number: a.osc,
                query: Bytes(a.query.clone().into_bytes()),
                reply: Bytes(a.reply.clone().into_bytes()),
            })
            .collect(),
        // They are kept from attached terminals.
        reports: vec![psp::OSC],
        fence: Some(Fence {
            path: bytes(&world.place.layout.fence(wanted.attempt.task)),
            number: u64::from(wanted.attempt.no.get()),
        }),
        slot_fd,
        transcript_cap_bytes: 0,
        scrollback: 0,
        lock_dirs: vec![bytes(&site_of(world, &wanted.worktree).admin_dir)],
        stdin: command.stdin.clone().map(|text| Bytes(text.into_bytes())),
        stop_grace_ms: 0,
        made_for,
    })
}

/// Watches a living host, and hears of its end.
pub(in super::super) fn adopt(world: &Arc<World>, attempt: AttemptId, facts: HostFacts, mut voice: Voice) {
    let Ok(socket) = world.place.layout.host_socket(&facts.id) else { return };
    voice.memory = Some(world.place.layout.host_memory(&facts.id));
    let (for_end, facts_for_end, mut voice_for_end) = (world.clone(), facts.clone(), voice.clone());
    // Whoever reaches it again has not launched it.
    let now = Before { since: clock::now(), run: RunKind::Starting, tree: None };
    voice_for_end.before.get_or_insert(now);
    let runtime = tokio::runtime::Handle::current();
    let gone = move || {
        runtime.spawn(async move { ended(&for_end, attempt, facts_for_end, voice_for_end).await });
    };
    let leases = world.leases();
    let handle = hosts::watch(attempt, facts.clone(), socket, voice, world.inputs.clone(), leases, gone);
    world.set_host(attempt, handle, facts);
}

/// A hook of an agent whose host is not watched yet: an agent may begin before it is known that it
/// was started. Given up where no host comes up.
pub(in super::super) async fn hear_once_adopted(world: Arc<World>, attempt: AttemptId, fired: Fired) {
    let until = Instant::now() + COMING_UP;
    while Instant::now() < until {
        if let Some(host) = world.host(attempt) {
            return host.offer(Ask::Hook(fired));
        }
        tokio::time::sleep(COMING_UP_LOOK).await;
    }
    tracing::warn!(%attempt, "a hook fired, and no host came up that it is of");
}

/// A host's connection has ended: the host has too, or it is reached again.
async fn ended(world: &Arc<World>, attempt: AttemptId, facts: HostFacts, mut voice: Voice) {
    let (for_work, host, id) = (world.clone(), facts.id.clone(), facts.id.clone());
    let found =
        blocking(move || again::record(&for_work, &id).map(|r| (r.alive, again::ended_of(&for_work, &r)))).await;
    let seen = match found {
        // What cannot be seen is not lost.
        Ok((true, _)) | Err(_) => {
            tokio::time::sleep(RECONNECT).await;
            // What it takes by typing was handed over by the first connection.
            voice.type_after_start = None;
            voice.reads_outbox = false;
            return adopt(world, attempt, facts, voice);
        }
        Ok((false, Some(ended))) => Observation::Exited { host: facts.id, ended },
        Ok((false, None)) => Observation::Lost { host: facts.id, why: "its host was killed".into() },
    };
    world.forget_host(attempt, &host);
    tell_plan(world, attempt, Some(voice.worktree.as_path()).filter(|_| voice.plans)).await;
    if matches!(&seen, Observation::Exited { ended, .. } if ended.is_silent()) {
        observe(world, attempt).await;
    }
    let _ = world.inputs.send(Input::Observed { attempt, seen }).await;
}

/// Reads the plan that an agent which only plans has left in a file.
async fn tell_plan(world: &Arc<World>, attempt: AttemptId, worktree: Option<&Path>) {
    let Some(worktree) = worktree.map(Path::to_owned) else { return };
    if let Some(text) = blocking(move || plan_in(&worktree)).await {
        let _ = world.inputs.send(Input::Observed { attempt, seen: Observation::Plan { text } }).await;
    }
}

/// What has become of every host of this repository.
///
/// # Errors
/// Where that cannot be seen. Nobody may then be taken for lost.
pub(in super::super) fn found(world: &World) -> Result<BTreeMap<HostId, HostFound>, FileError> {
    let records = registry::list(&world.place.layout.hosts_dir())?;
    let found = records
        .into_iter()
        .filter_map(|record| {
            let found = match again::facts_of(&record) {
                Some(facts) if record.alive => HostFound::Alive(facts),
                _ => HostFound::Ended(again::ended_of(world, &record)?),
            };
            Some((record.id, found))
        })
        .collect();
    Ok(found)
}

/// The voice of an agent whose host lives on from before this supervisor. One that is no longer
/// configured is heard as any program would be.
pub(in super::super) fn voice_of(
    world: &World,
    attempt: AttemptId,
    agent: &AgentName,
    worktree: &Path,
    session: Option<String>,
) -> Voice {
    let loaded = world.loaded();
    let found = loaded.agents.get(agent);
    let mut env = environment::of_checks(world, attempt, worktree, &[]);
    for (name, value) in found.iter().flat_map(|found| &found.settings.env) {
        environment::set(&mut env, name.as_ref(), value.into());
    }
    let any = || Arc::new(adapter::builtin("generic").expect("the built-in adapters are tested"));
    let adapter = found.map_or_else(any, |found| found.adapter.clone());
    let last_words = adapter.notify.is_some() || adapter.hooks.as_ref().is_some_and(|h| h.by_default);
    Voice {
        adapter,
        silence: loaded.effective.settings.check_in.silence,
        prompted: true,
        session,
        unknown_version: found.and_then(|found| found.unknown_version.clone()),
        type_after_start: None,
        env: text_env(&env),
        worktree: worktree.to_owned(),
        last_words,
        plans: false,
        before: None,
        reads_outbox: false,
        memory: None,
    }
}
