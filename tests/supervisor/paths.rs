//! Things that are not where they belong: work on another branch, a worktree that is gone, agents
//! and numbers of a board that was lost.

use std::fs;
use std::path::Path;

use standup::client::control::ClientError;
use standup::model::astray::Astray;
use standup::model::attempt::{End, StopWhy};
use standup::model::board::Board;
use standup::model::event::{Event, NeedKind};
use standup::model::input::{Command as Wish, Refusal};
use standup::model::task::Column;
use standup::wire::control::{Answer, Request};

use crate::scene::{Scene, git, id, playing, poll, runs, scripted};

fn commits(before: &str) -> Scene {
    let script = format!("{before}; echo work > done.txt; git add -A; git commit -qm work");
    let settings = format!(
        "schema = 1\n[agents.sh]\nadapter = \"generic\"\ncommand = [\"sh\", \"-c\", \"{script}\"]\nprompt = \"none\"\n\
         [[verify.check]]\nname = \"test\"\nrun = \"test -f done.txt\"\n"
    );
    let mut scene = Scene::new(&settings);
    scene.start();
    scene.add(&["Some work"]);
    scene.wish(Wish::Dispatch { on: true }).expect("dispatch");
    scene.until("the review", |b| b.tasks[&id(1)].column == Column::Review);
    scene
}

fn refusal(answer: Result<impl std::fmt::Debug, ClientError>) -> Refusal {
    match answer {
        Err(ClientError::Refused(refusal)) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

fn is_brought_back(scene: &Scene, astray: &Astray) {
    let attempt = scene.attempt(1);
    assert_eq!(attempt.astray.as_ref(), Some(astray));
    let branch = attempt.branch.as_str();
    let ahead = || git(&scene.repo(), &["rev-list", "--count", &format!("main..{branch}")]);
    assert_eq!(ahead(), "0", "the branch does not hold the commit");
    let refused = refusal(scene.wish(Wish::Approve { task: id(1) }));
    assert!(refused.text.contains(branch), "{}", refused.text);
    let done = scene.command("sh").args(["-c", &refused.hints[0]]).output().expect("sh");
    assert!(done.status.success(), "{}: {}", refused.hints[0], String::from_utf8_lossy(&done.stderr));
    scene.wish(Wish::Approve { task: id(1) }).expect("its branch holds the work");
    assert_eq!((ahead().as_str(), scene.attempt(1).astray), ("1", None));
}

#[test]
fn work_on_another_branch_is_shown_and_not_approved() {
    let scene = commits("git checkout -qb other");
    is_brought_back(&scene, &Astray::OffBranch { on: Some("other".parse().expect("a branch")), doing: None });
}

#[test]
fn work_on_no_branch_is_shown_and_not_approved() {
    let scene = commits("git checkout -q --detach");
    is_brought_back(&scene, &Astray::OffBranch { on: None, doing: None });
}

/// What a person does by hand after the checks counts as well.
#[test]
fn a_branch_that_is_left_after_the_checks_is_not_approved() {
    let scene = commits("true");
    let worktree = scene.attempt(1).worktree;
    git(&worktree, &["checkout", "-qb", "other"]);
    git(&worktree, &["commit", "-q", "--allow-empty", "-m", "more"]);
    let refused = refusal(scene.wish(Wish::Approve { task: id(1) }));
    assert!(refused.text.contains("other"), "{}", refused.text);
}

/// Moves what `of` names of its worktree away, once nothing else gives reason to look there.
fn broken(of: &str) -> String {
    let scene = commits("true");
    let worktree = scene.attempt(1).worktree;
    fs::write(worktree.join("more.txt"), "more").expect("write");
    let sees = |b: &Board| b.tasks[&id(1)].attempt().is_some_and(|a| a.diff.is_some_and(|d| d.dirty && d.files == 2));
    scene.until("the look at what was written", sees);
    fs::rename(worktree.join(of), scene.home().join("elsewhere")).expect("rename");
    let kind = |b: &Board| b.tasks[&id(1)].needs_you.as_ref().map(|need| need.kind);
    scene.until("the need", |b| kind(b) == Some(NeedKind::Broken));
    scene.task(1).needs_you.expect("a need").question
}

#[test]
fn a_worktree_that_is_gone_needs_a_person() {
    let question = broken("");
    assert!(question.contains("its folder is gone"), "{question}");
}

#[test]
fn a_worktree_without_its_git_needs_a_person() {
    let question = broken(".git");
    assert!(question.contains("its .git is gone"), "{question}");
}

/// Loses the log of a killed supervisor, by `lose`, and begins anew.
fn begin_anew(scene: &mut Scene, lose: impl Fn(&Path)) {
    scene.kill();
    for entry in fs::read_dir(scene.place.layout.state_dir()).expect("state").flatten() {
        if entry.file_name().to_string_lossy().starts_with("standup.db") {
            lose(&entry.path());
        }
    }
    scene.start();
}

#[test]
fn an_agent_of_a_lost_board_is_not_the_next_task_s() {
    for garbage in [false, true] {
        let mut scene = Scene::new(&playing(&[]));
        scene.start();
        let old = scene.live(1).remove(0);
        begin_anew(&mut scene, |file| match garbage {
            true => fs::write(file, "no database".repeat(1000)).expect("write"),
            false => fs::remove_file(file).expect("remove"),
        });
        assert_eq!(scene.add(&["Alpha"]), [id(2)], "garbage: {garbage}");
        scene.wish(Wish::Start { task: id(2) }).expect("start");
        scene.until("the new agent", |b| b.tasks[&id(2)].attempt().is_some_and(|a| a.host().is_some()));
        let new = scene.attempt(2).host().expect("a host").clone();
        assert_ne!((new.agent.pid, new.host.pid), (old.agent.pid, old.host.pid));
        let banners = || match scene.client().board() {
            Ok(known) => known.supervisor.banners.join("\n"),
            Err(error) => panic!("{error}"),
        };
        let said = banners();
        assert!(said.contains("1 agent runs") && said.contains("T1-1-1") && said.contains("down --all"), "{said}");
        let answer = scene.client().ask(&Request::Down { why: StopWhy::Down }).expect("down");
        assert_eq!(answer, Answer::Ok {});
        poll("the end of all", || ![old.host.pid, old.agent.pid, new.host.pid, new.agent.pid].into_iter().any(runs));
        assert!(scene.wait_dead().success());
    }
}

#[test]
fn an_end_that_a_lost_board_knew_is_not_the_next_task_s() {
    let mut scene = Scene::new(&scripted("echo $STANDUP_TASK > done"));
    scene.start();
    scene.add(&["One"]);
    scene.wish(Wish::Start { task: id(1) }).expect("start");
    scene.until("the review", |b| b.tasks[&id(1)].column == Column::Review);
    begin_anew(&mut scene, |file| fs::remove_file(file).expect("remove"));
    assert_eq!(scene.add(&["Alpha"]), [id(2)]);
    scene.wish(Wish::Start { task: id(2) }).expect("start");
    scene.until("its own review", |b| b.tasks[&id(2)].column == Column::Review);
    let done = fs::read_to_string(scene.attempt(2).worktree.join("done")).expect("its own work");
    assert_eq!(done, "T2\n");
}

#[test]
fn a_dry_start_shows_what_the_start_of_an_ended_agent_does() {
    let mut scene = Scene::new(&playing(&[]));
    scene.start();
    let facts = scene.live(1).remove(0);
    let host = i32::try_from(facts.host.pid).ok().and_then(rustix::process::Pid::from_raw).expect("a pid");
    rustix::process::kill_process(host, rustix::process::Signal::KILL).expect("kill");
    let is_lost = |b: &Board| matches!(b.tasks[&id(1)].attempt().and_then(|a| a.end()), Some(End::Lost { .. }));
    let board = scene.until("its loss", is_lost);
    let shown = standup::supervisor::preview(&scene.place, &board, &board.tasks[&id(1)]).expect("a preview");
    scene.wish(Wish::Start { task: id(1) }).expect("start");
    scene.until("its return", |b| b.tasks[&id(1)].attempt().is_some_and(|a| a.host().is_some()));
    let attempt = scene.attempt(1);
    assert_eq!((shown.attempt.no, &shown.branch, &shown.worktree), (attempt.no, &attempt.branch, &attempt.worktree));
    let resumed = scene.events(1).iter().rev().find_map(|event| match event {
        Event::LaunchPlanned { resume, .. } => Some(*resume),
        _ => None,
    });
    assert_eq!(Some(shown.resume), resumed);
    let board = scene.board();
    let why = standup::supervisor::preview(&scene.place, &board, &board.tasks[&id(1)]).expect_err("it runs");
    assert_eq!(why, "it runs already");
}
