//! What a start would run, without starting anything.

use std::path::Path;
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::model::attempt::Attempt;
use crate::model::board::{Board, Task};
use crate::model::id::{AttemptId, AttemptNo};
use crate::model::name::{AgentName, BranchName, HostId};
use crate::model::settings::Mode;
use crate::model::task::Column;
use crate::os::locate;
use crate::policy;
use crate::store::slots::Slots;
use crate::store::token::Token;

use super::super::environment;
use super::super::place::Place;
use super::super::surroundings::{self, Loaded};
use super::super::token::Tokens;
use super::super::world::World;
use super::launch::{Wanted, command, environment_of};

/// Stands for what is only known, or only made, at the start.
const LATER: &str = "<made at the start>";

/// What a start would run.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Preview {
    /// The attempt it would be: a new one, or an ended one that is brought back.
    pub attempt: AttemptId,
    /// Whether it goes on in the session of its agent.
    pub resume: bool,
    /// Who would work.
    pub agent: AgentName,
    /// On which branch.
    pub branch: BranchName,
    /// Where.
    pub worktree: std::path::PathBuf,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// What its environment gains or changes, beside what it inherits; secrets left out.
    pub env: Vec<(String, String)>,
    /// What is inherited but removed.
    pub unset: Vec<String>,
    /// The first prompt.
    pub prompt: String,
    /// What a person should know.
    pub notes: Vec<String>,
}

/// Works out what starting this task would run. Makes nothing, starts nothing.
///
/// # Errors
/// Why it cannot be started, as a sentence.
pub fn preview(place: &Place, board: &Board, task: &Task) -> Result<Preview, String> {
    let loaded = surroundings::load(place).map_err(|e| e.to_string())?;
    let around = board.surroundings.clone().unwrap_or_else(|| loaded.surroundings(place));
    let again = startable(task)?;
    let agent = match again {
        Some(attempt) => attempt.agent.clone(),
        None => policy::agent_for(&around, task)?,
    };
    let found = loaded.agents.get(&agent).cloned().ok_or_else(|| format!("agent {agent} is not configured"))?;
    let takes_id = !found.adapter.launch.session.is_empty();
    let seen = Board { surroundings: Some(around.clone()), ..Board::default() };
    let wanted = match again {
        Some(attempt) => brought_back(task, attempt, policy::goes_on(&seen, attempt))?,
        None => anew(task, &around.worktrees, takes_id)?,
    };
    let Wanted { attempt, resume, .. } = wanted;
    let (branch, worktree) = (wanted.branch.clone(), wanted.worktree.clone());
    let world = bare_world(place, loaded)?;
    let prompt = match &wanted.prompt {
        Some(prompt) => prompt.clone(),
        None => super::launch::first_prompt(&world, &wanted).map_err(|(_, why)| why)?,
    };
    let (launch, program) = command(&world, &wanted, &found).map_err(|(_, why)| why)?;
    let full = environment_of(&world, &wanted, &launch);
    let mut argv = vec![program.display().to_string()];
    argv.extend(launch.argv.iter().skip(1).cloned());
    let nil = uuid::Uuid::nil().to_string();
    let command = argv.into_iter().map(|word| word.replace(&nil, LATER)).collect();
    Ok(Preview {
        attempt,
        resume,
        agent,
        branch,
        worktree,
        command,
        env: changes(full),
        unset: launch.env_unset,
        prompt,
        notes: launch.notes,
    })
}

/// The ended attempt that a start would bring back, if it would not make a new one; or why there is
/// nothing to start.
fn startable(task: &Task) -> Result<Option<&Attempt>, String> {
    let runs = task.attempt().is_some_and(|a| a.is_active() || a.checking.is_some());
    match task.column {
        Column::Backlog | Column::Build | Column::Design if runs => Err("it runs already".into()),
        Column::Backlog | Column::Build | Column::Design => Ok(policy::again(task)),
        column => Err(format!("it is in {column}")),
    }
}

fn anew(task: &Task, worktrees: &Path, takes_id: bool) -> Result<Wanted, String> {
    let attempt = AttemptId { task: task.id, no: task.attempt().map_or(AttemptNo::FIRST, |a| a.no.next()) };
    Ok(Wanted {
        attempt,
        host: host(attempt, 1)?,
        mode: task.spec.mode,
        spec: task.spec.clone(),
        worktree: worktrees.join(format!("{}-{}-{}", task.id, attempt.no, task.spec.slug)),
        branch: BranchName::of_attempt(attempt, &task.spec.slug),
        session: takes_id.then(|| uuid::Uuid::nil().to_string()),
        resume: false,
        prompt: None,
        ports: task.attempt().map(|a: &Attempt| a.ports.clone()).unwrap_or_default(),
        plans: task.spec.mode == Mode::Checkpoint,
        plan: None,
        planned_at: None,
    })
}

fn brought_back(task: &Task, attempt: &Attempt, resume: bool) -> Result<Wanted, String> {
    let id = AttemptId { task: task.id, no: attempt.no };
    let plan = attempt.plan.clone().filter(|plan| !resume && plan.approved_at.is_some()).map(|plan| plan.text);
    Ok(Wanted {
        attempt: id,
        host: host(id, attempt.launches + 1)?,
        mode: attempt.mode,
        spec: task.spec.clone(),
        worktree: attempt.worktree.clone(),
        branch: attempt.branch.clone(),
        session: attempt.session.clone(),
        resume,
        prompt: resume.then(|| policy::GO_ON.to_owned()),
        ports: attempt.ports.clone(),
        plans: attempt.plans(),
        plan,
        planned_at: None,
    })
}

fn host(attempt: AttemptId, launch: u32) -> Result<HostId, String> {
    HostId::new(format!("{}-{}-{launch}", attempt.task, attempt.no)).map_err(|e| e.to_string())
}

/// What a person works with in an attempt's worktree.
pub struct Shell {
    /// The worktree.
    pub cwd: std::path::PathBuf,
    /// Everything in its environment: the attempt's, without what opens the control socket.
    pub env: Vec<(std::ffi::OsString, std::ffi::OsString)>,
}

/// What a shell in the worktree of a task's newest attempt works with.
///
/// # Errors
/// Why there is none, as a sentence.
pub fn shell(place: &Place, task: &Task) -> Result<Shell, String> {
    let (Some(attempt), Some(id)) = (task.attempt(), task.attempt_id()) else {
        return Err(format!("{} has not been started", task.id));
    };
    let loaded = surroundings::load(place).map_err(|e| e.to_string())?;
    let own = loaded.agents.get(&attempt.agent).map(|found| found.settings.env.clone()).unwrap_or_default();
    let world = bare_world(place, loaded)?;
    super::site_of(&world, &attempt.worktree).require_intact().map_err(|e| super::chain(&e))?;
    let mut env = environment::of_checks(&world, id, &attempt.worktree, &attempt.ports);
    for (name, value) in own {
        environment::set(&mut env, name.as_ref(), value.into());
    }
    Ok(Shell { cwd: attempt.worktree.clone(), env })
}

/// What differs from the environment of this process, the attempt's token left out.
fn changes(full: Vec<(std::ffi::OsString, std::ffi::OsString)>) -> Vec<(String, String)> {
    let mut changed: Vec<(String, String)> = full
        .into_iter()
        .filter(|(name, value)| std::env::var_os(name).as_ref() != Some(value))
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
        .map(|(name, value)| if name == "STANDUP_TOKEN" { (name, LATER.to_owned()) } else { (name, value) })
        .collect();
    changed.sort();
    changed
}

/// A world in which nothing runs.
fn bare_world(place: &Place, loaded: Loaded) -> Result<Arc<World>, String> {
    let exe = locate::this_binary().map_err(|e| e.to_string())?;
    let tokens = Tokens::new(Token::random().map_err(|e| e.to_string())?);
    let slots = Slots::open(&place.layout.slots_dir()).map_err(|e| e.to_string())?;
    let (inputs, _nobody) = mpsc::channel(1);
    Ok(Arc::new(World::new(place.clone(), exe, tokens, slots, inputs, None, loaded)))
}
