//! At most one live agent for a task, ever: the supervisor and hosts are killed at every boundary
//! of the start.

use std::path::PathBuf;

use standup::model::attempt::{End, Phase};
use standup::model::board::Board;
use standup::model::id::AttemptNo;
use standup::model::input::Command as Wish;
use standup::os::process;

use crate::scene::{Scene, git, id, pids, poll, runs, scripted, trials};

/// Each start leaves its pid; an agent that finds another one of its task alive says so.
const AGENT: &str = r#"
for other in $(cat $HOME/started 2>/dev/null); do
  # One that ended and that nobody has waited for yet still takes signals, and lives no more.
  grep -qs '^State:.Z' /proc/$other/status && continue
  if kill -0 $other 2>/dev/null; then echo "$other $$" >> $HOME/two; fi
done
echo $$ >> $HOME/started
while [ ! -e $HOME/go ]; do sleep 0.05; done
echo done
"#;

/// Where the supervisor dies.
const SUPERVISOR: [&str; 12] = [
    "attempt-planned",
    "prepare.fenced",
    "worktree.registered",
    "worktree.checked-out",
    "worktree.whole",
    "prepare.done",
    "worktree-ready",
    "launch.before-start",
    "launch.host-spawned",
    "launch.spec-written",
    "launch.started",
    "host-started",
];

/// Where a host dies or stands still.
const HOST: [&str; 3] = ["host.locked", "host.spawned", "host.recorded"];

/// Makes those who start a host give it up soon.
const IMPATIENT: (&str, &str) = ("STANDUP_FAILPOINT_WAITS", "host.patience:200 launch.coming-up:400");

struct Story {
    scene: Scene,
    home: PathBuf,
}

impl Story {
    /// One task, and a supervisor with a fault in it.
    fn begin(fault: &str) -> Self {
        Self::begin_with(&[("STANDUP_FAILPOINT", fault)])
    }

    fn begin_with(env: &[(&str, &str)]) -> Self {
        let mut scene = Scene::new(&scripted(AGENT));
        let home = scene.home().to_owned();
        scene.start_with(env);
        scene.start_tasks(1);
        Self { scene, home }
    }

    fn started(&self) -> Vec<u32> {
        pids(&self.home.join("started"))
    }

    fn live(&self) -> Vec<u32> {
        self.started().into_iter().filter(|pid| runs(*pid)).collect()
    }

    /// One agent lives, the board says which, and it carries the task to its end.
    fn comes_to_an_end(&self, at: &str) {
        let live = |b: &Board| b.tasks[&id(1)].attempt().is_some_and(|a| a.host().is_some());
        let board = self.scene.until(at, live);
        let facts = board.tasks[&id(1)].attempt().and_then(|a| a.host().cloned()).expect("a host");
        poll("the agent's own word", || self.started().contains(&facts.agent.pid));
        assert_eq!(self.live(), [facts.agent.pid], "{at}");
        std::fs::write(self.home.join("go"), "").expect("write");
        self.scene.until(at, |b| b.tasks[&id(1)].attempt().is_some_and(|a| a.end().is_some()));
        assert!(!self.home.join("two").exists(), "{at}: two agents at once");
        assert!(self.live().is_empty(), "{at}");
    }

    /// Whoever was killed, there is one worktree and one branch for each attempt.
    fn is_whole(&self, attempts: usize) {
        let worktrees = git(&self.scene.repo(), &["worktree", "list", "--porcelain"]);
        assert_eq!(worktrees.matches("worktree /").count(), 1 + attempts, "{worktrees}");
        let branches = git(&self.scene.repo(), &["for-each-ref", "--format=%(refname)", "refs/heads/standup/"]);
        assert_eq!(branches.lines().count(), attempts, "{branches}");
    }
}

#[test]
fn the_supervisor_is_killed_at_every_boundary() {
    for at in SUPERVISOR {
        for _ in 0..trials(1) {
            let mut story = Story::begin(&format!("{at}:abort"));
            let status = story.scene.wait_dead();
            assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9), "{at} was not reached");
            story.scene.start();
            story.comes_to_an_end(at);
            assert_eq!(story.started().len(), 1, "{at}: one start is enough");
            story.is_whole(1);
        }
    }
}

#[test]
fn a_host_that_is_still_coming_up_is_waited_for_not_doubled() {
    for at in HOST {
        let hold = tempfile::tempdir().expect("temp dir");
        let file = hold.path().join("held");
        let mut story = Story::begin(&format!("{at}:pause:{}", file.display()));
        poll(at, || file.exists());
        story.scene.kill();
        story.scene.start();
        // The next supervisor has found the order to launch; only now does the first host go on.
        let board = story.scene.board();
        let attempt = board.tasks[&id(1)].attempt().expect("attempt");
        assert!(attempt.is_active(), "{at}: {:?}", attempt.phase);
        std::fs::remove_file(&file).expect("let go");
        story.comes_to_an_end(at);
        assert_eq!(story.started().len(), 1, "{at}");
    }
}

#[test]
fn a_host_is_killed_at_every_boundary_and_the_task_tried_again() {
    for at in HOST {
        for _ in 0..trials(1) {
            let mut story = Story::begin(&format!("{at}:abort"));
            let ended = |b: &Board| b.tasks[&id(1)].attempt().is_some_and(|a| a.end().is_some());
            let board = story.scene.until(at, ended);
            let end = board.tasks[&id(1)].attempt().and_then(|a| a.end().cloned());
            assert!(matches!(end, Some(End::Failed { .. } | End::Lost { .. })), "{at}: {end:?}");
            poll("nothing is left", || story.live().is_empty());
            story.scene.kill();
            story.scene.start();
            story.scene.wish(Wish::Retry { task: id(1), agent: None }).expect("retry");
            story.comes_to_an_end(at);
            story.is_whole(2);
        }
    }
}

#[test]
fn a_host_that_was_given_up_starts_nothing_once_it_goes_on() {
    for at in ["host.begun", "host.locked"] {
        let hold = tempfile::tempdir().expect("temp dir");
        let file = hold.path().join("held");
        let fault = format!("{at}:pause:{}", file.display());
        let mut story = Story::begin_with(&[("STANDUP_FAILPOINT", &fault), IMPATIENT]);
        poll(at, || file.exists());
        let end = |b: &Board| b.tasks[&id(1)].attempt().and_then(|a| a.end().cloned());
        let board = story.scene.until(at, |b| end(b).is_some());
        assert!(matches!(end(&board), Some(End::Failed { .. })), "{at}: {:?}", end(&board));
        // The next supervisor's own hosts do not stand still.
        story.scene.kill();
        story.scene.start();
        std::fs::remove_file(&file).expect("let go");
        let late = format!("STANDUP_FAILPOINT={fault}");
        poll("its decision", || process::marked(&late).is_empty() || !story.started().is_empty());
        assert_eq!(story.started(), Vec::<u32>::new(), "{at}: it was told to have failed, and starts its agent");
        story.scene.wish(Wish::Retry { task: id(1), agent: None }).expect("retry");
        story.comes_to_an_end(at);
        assert_eq!(story.started().len(), 1, "{at}");
        story.is_whole(2);
    }
}

#[test]
fn an_agent_that_runs_already_is_not_told_to_have_failed() {
    let hold = tempfile::tempdir().expect("temp dir");
    let file = hold.path().join("held");
    let fault = format!("host.spawned:pause:{}", file.display());
    let story = Story::begin_with(&[("STANDUP_FAILPOINT", &fault), IMPATIENT]);
    poll("the agent", || file.exists());
    let ended = || story.scene.attempt(1).end().is_some();
    poll("the end of all patience", || story.scene.log().contains("neither comes up nor ends") || ended());
    assert!(!ended(), "it was told to have failed, and its agent runs");
    std::fs::remove_file(&file).expect("let go");
    story.comes_to_an_end("host.spawned");
    assert_eq!(story.started().len(), 1);
    story.is_whole(1);
}

#[test]
fn a_retry_while_the_first_start_stands_still_leaves_only_the_second() {
    let hold = tempfile::tempdir().expect("temp dir");
    let file = hold.path().join("held");
    let mut story = Story::begin(&format!("launch.started:pause:{}", file.display()));
    poll("the pause", || file.exists());
    story.scene.wish(Wish::Retry { task: id(1), agent: None }).expect("retry");
    // Killed with the first launched and not stored, and the second wanted.
    story.scene.kill();
    std::fs::remove_file(&file).expect("let go");
    story.scene.start();
    let second = AttemptNo::new(2).expect("number");
    let is_second =
        |b: &Board| b.tasks[&id(1)].attempt().is_some_and(|a| a.no == second && matches!(a.phase, Phase::Live { .. }));
    story.scene.until("the second attempt", is_second);
    story.comes_to_an_end("retry");
    assert_eq!(story.started().len(), 2);
}
