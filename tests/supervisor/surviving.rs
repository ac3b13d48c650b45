//! Damage to what a supervisor keeps: nothing is guessed, nothing is overwritten.

use standup::model::attempt::End;
use standup::model::board::Board;
use standup::model::event::NeedKind;
use standup::model::input::Command as Wish;
use standup::model::message::Delivery;
use standup::model::state::RunKind;

use crate::scene::{Scene, git, id, pids, playing, poll, resting, runs, scripted};

fn live(board: &Board) -> usize {
    board.tasks.values().filter(|t| t.attempt().is_some_and(|a| a.host().is_some())).count()
}

#[test]
fn a_damaged_database_is_set_aside_and_said() {
    let mut scene = Scene::new(&playing(&["exit=0"]));
    scene.start();
    scene.add(&["One"]);
    scene.kill();
    let database = scene.place.layout.database();
    for extra in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{extra}", database.display()));
    }
    let damage = b"not a database, but long enough to be looked at as one".repeat(200);
    std::fs::write(&database, &damage).expect("write");
    scene.start();
    let known = scene.client().board().expect("board");
    assert!(known.board.tasks.is_empty());
    let said = known.supervisor.banners.concat();
    assert!(said.contains("damaged"), "{said}");
    let aside: std::path::PathBuf = said.rsplit(' ').next().expect("a path").into();
    assert_eq!(std::fs::read(&aside).expect("set aside"), damage);
    scene.add(&["It goes on"]);
}

#[test]
fn a_database_of_a_later_version_is_refused_and_left_alone() {
    let mut scene = Scene::new(&playing(&["exit=0"]));
    scene.start();
    scene.add(&["One"]);
    scene.kill();
    let database = scene.place.layout.database();
    let connection = rusqlite::Connection::open(&database).expect("open");
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).expect("version");
    connection.pragma_update(None, "user_version", version + 1_000).expect("set");
    drop(connection);
    assert_eq!(scene.try_start(&[]), "", "it does not come up");
    assert!(!scene.wait_dead().success());
    let said = scene.log();
    assert!(said.contains("later") || said.contains("newer"), "{said}");
    let connection = rusqlite::Connection::open(&database).expect("open");
    connection.pragma_update(None, "user_version", version).expect("set back");
    drop(connection);
    scene.start();
    assert_eq!(scene.board().tasks.len(), 1);
}

#[test]
fn strange_things_among_the_hosts_make_nobody_lost() {
    let mut scene = Scene::new(&playing(&["count=20", "exit=0"]));
    scene.start();
    let facts = scene.live(2);
    scene.kill();
    let hosts = scene.place.layout.hosts_dir();
    std::fs::write(hosts.join("notes"), "a file of somebody").expect("write");
    std::fs::create_dir(hosts.join("T9-9-9")).expect("folder");
    scene.start();
    assert_eq!(live(&scene.board()), 2);
    assert_eq!(scene.attempt(1).host(), Some(&facts[0]));
}

#[test]
fn hosts_that_cannot_be_looked_at_are_not_taken_for_lost() {
    let mut scene = Scene::new(&playing(&["count=20", "exit=0"]));
    scene.start();
    scene.live(1);
    scene.kill();
    // A lock that cannot be opened tells nothing about its host.
    let lock = scene.host_dir("T1-1-1").join("lock");
    let kept = scene.home().join("kept");
    std::fs::rename(&lock, &kept).expect("rename");
    std::os::unix::fs::symlink(&lock, &lock).expect("a link to itself");
    assert_eq!(scene.try_start(&[]), "", "better no supervisor than one that lies");
    scene.wait_dead();
    std::fs::remove_file(&lock).expect("remove");
    std::fs::rename(&kept, &lock).expect("rename");
    scene.start();
    assert_eq!(live(&scene.board()), 1);
    assert!(scene.task(1).needs_you.is_none());
}

#[test]
fn a_host_that_was_killed_before_anybody_heard_of_it_is_swept_and_not_started_again() {
    let file = tempfile::NamedTempFile::new().expect("temp file");
    let pids = || pids(file.path());
    let settings = playing(&["orphans=1", "count=20", "exit=0"]);
    let with_pids = format!("\"--pids\", \"{}\", \"--ttl\"", file.path().display());
    let mut scene = Scene::new(&settings.replace("\"--ttl\"", &with_pids));
    scene.start_with(&[("STANDUP_FAILPOINT", "launch.started:abort")]);
    scene.start_tasks(1);
    scene.wait_dead();
    poll("the orphan", || pids().len() == 1);
    let running = scene.record("T1-1-1").running.expect("who runs");
    assert!(running.host.signal(rustix::process::Signal::KILL));
    poll("the host's end", || !runs(running.host.pid));
    let orphan = pids()[0];
    assert!(runs(orphan), "it outlives its host");
    // The order to launch is still under way. Its agent may have read the brief and acted on it.
    scene.start();
    let over = |b: &Board| b.tasks[&id(1)].attempt().is_some_and(|a| a.end().is_some());
    let board = scene.until("the end of the attempt", over);
    let attempt = board.tasks[&id(1)].attempt().expect("attempt");
    assert!(matches!(attempt.end(), Some(End::Lost { .. })), "{:?}", attempt.end());
    assert_eq!(board.tasks[&id(1)].needs_you.as_ref().map(|n| n.kind), Some(NeedKind::Lost));
    assert!(!runs(orphan), "nobody is left in the worktree");
    assert_eq!(pids().len(), 1, "its agent is not started twice");
}

#[test]
fn a_message_whose_host_and_supervisor_died_after_it_was_typed_is_not_typed_again() {
    let mut scene = Scene::new(&resting());
    scene.start();
    scene.start_tasks(1);
    let rests = |b: &Board| b.tasks[&id(1)].attempt().is_some_and(|a| a.run.kind == RunKind::Idle);
    scene.until("rest", rests);
    scene.kill();
    scene.start_with(&[("STANDUP_FAILPOINT", "type.answered:abort")]);
    let _ = scene.wish(Wish::Send { task: id(1), text: "said once".into(), now: false });
    scene.wait_dead();
    let running = scene.record("T1-1-1").running.expect("who runs");
    assert!(running.host.signal(rustix::process::Signal::KILL));
    poll("the host's end", || !scene.record("T1-1-1").alive);
    scene.start();
    let settled = |b: &Board| b.tasks[&id(1)].messages.iter().all(|m| !matches!(m.delivery, Delivery::Typing { .. }));
    let board = scene.until("its fate", settled);
    let message = board.tasks[&id(1)].messages.last().expect("the message");
    assert!(matches!(message.delivery, Delivery::Typed { .. } | Delivery::Unknown), "{:?}", message.delivery);
}

#[test]
fn a_lock_that_a_child_of_a_killed_supervisor_still_holds_is_waited_for() {
    let mut scene = Scene::new(&playing(&["exit=0"]));
    scene.start();
    scene.kill();
    // As a child holds it between fork and exec.
    let held = standup::os::lock::Lock::try_take(&scene.place.layout.supervisor_lock()).expect("lock").expect("free");
    let mut next = scene.supervisor_command().stdout(std::process::Stdio::piped()).spawn().expect("starts");
    let lock = scene.place.layout.supervisor_lock();
    let waits = || std::fs::read_dir(format!("/proc/{}/fd", next.id())).is_ok_and(|fds| fds.flatten().count() > 2);
    poll("it has begun", waits);
    drop(held);
    let mut line = String::new();
    let out = next.stdout.take().expect("stdout");
    std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut line).expect("read");
    next.kill().expect("kill");
    next.wait().expect("wait");
    assert_eq!(line, "ready\n", "{}", lock.display());
}

#[test]
fn a_worktree_that_a_crash_left_at_any_step_is_taken_up_or_back_though_its_base_has_moved() {
    for at in ["worktree.registered", "worktree.checked-out", "worktree.whole", "prepare.done"] {
        let mut scene = Scene::new(&playing(&["count=20", "exit=0"]));
        scene.start_with(&[("STANDUP_FAILPOINT", &format!("{at}:abort"))]);
        scene.start_tasks(1);
        scene.wait_dead();
        git(&scene.repo(), &["commit", "-q", "--allow-empty", "-m", "second"]);
        scene.start();
        let board = scene.until(at, |b| b.tasks[&id(1)].attempt().is_some_and(|a| a.host().is_some()));
        let attempt = board.tasks[&id(1)].attempt().expect("attempt");
        assert_eq!(attempt.no.get(), 1, "{at}: the same attempt goes on");
        let known = attempt.base_oid.as_ref().map(ToString::to_string);
        assert_eq!(known, Some(git(&attempt.worktree, &["rev-parse", "HEAD"])), "{at}");
        assert_eq!(git(&attempt.worktree, &["status", "--porcelain"]), "", "{at}");
    }
}

/// Notes each run, and ends as soon as it may.
const NOTES_RUNS: &str = "echo run >> $HOME/runs; \
                          while [ ! -e $STANDUP_DIR/go-$(wc -l < $HOME/runs) ]; do sleep 0.05; done; exit 3";

/// An attempt that has ended once, its log as it was then, and a second start of its agent, of which
/// that log knows nothing.
fn a_start_that_the_log_forgets() -> (Scene, impl Fn(&Scene)) {
    let mut scene = Scene::new(&scripted(NOTES_RUNS));
    scene.start();
    scene.live(1);
    scene.signal_file(1, "go-1");
    scene.until("the first end", |b| b.tasks[&id(1)].attempt().is_some_and(|a| a.end().is_some()));
    scene.kill();
    let backup = scene.home().join("backup");
    let keep = |from: &std::path::Path, to: &std::path::Path| {
        for file in ["", "-wal", "-shm"] {
            let at = |base: &std::path::Path| std::path::PathBuf::from(format!("{}{file}", base.display()));
            let _ = std::fs::remove_file(at(to));
            let _ = std::fs::copy(at(from), at(to));
        }
    };
    keep(&scene.place.layout.database(), &backup);
    scene.start();
    scene.wish(Wish::Start { task: id(1) }).expect("start");
    scene.until("the second start", |b| live(b) == 1);
    scene.kill();
    assert!(scene.record("T1-1-2").alive);
    (scene, move |scene: &Scene| keep(&backup, &scene.place.layout.database()))
}

fn runs_noted(scene: &Scene) -> usize {
    std::fs::read_to_string(scene.home().join("runs")).unwrap_or_default().lines().count()
}

#[test]
fn an_older_log_takes_no_end_of_another_start_for_its_own() {
    let (mut scene, restore) = a_start_that_the_log_forgets();
    poll("its run", || runs_noted(&scene) == 2);
    let worktree = std::fs::read_dir(scene.place.layout.worktrees_dir()).expect("worktrees").next().expect("one");
    std::fs::write(standup::store::layout::run_dir(&worktree.expect("entry").path()).join("go-2"), "").expect("write");
    poll("its end", || !scene.record("T1-1-2").alive);
    let forgotten = scene.record("T1-1-2").exit.expect("its end").nonce;
    restore(&scene);
    scene.start();
    scene.wish(Wish::Start { task: id(1) }).expect("start");
    poll("a run of its own", || runs_noted(&scene) == 3);
    let board = scene.until("it lives", |b| live(b) == 1);
    let facts = board.tasks[&id(1)].attempt().and_then(|a| a.host().cloned()).expect("a host");
    assert_eq!((facts.id.as_str(), facts.nonce == forgotten), ("T1-1-2", false));
    // What the other one left is still there.
    let kept = std::fs::read_dir(scene.place.layout.hosts_dir()).expect("hosts").flatten();
    let name = |entry: std::fs::DirEntry| entry.file_name().into_string().expect("UTF-8");
    assert!(kept.map(name).any(|name| name.starts_with("T1-1-2-") && name.contains(&forgotten[..8])));
    // A start that is told again finds its own host.
    scene.kill();
    scene.start();
    scene.until("it lives on", |b| live(b) == 1);
    assert_eq!(runs_noted(&scene), 3);
}

#[test]
fn an_older_log_takes_no_agent_of_another_start_for_its_own() {
    let (mut scene, restore) = a_start_that_the_log_forgets();
    let host = scene.record("T1-1-2").running.expect("who runs").host;
    restore(&scene);
    scene.start();
    let said = scene.client().board().expect("board").supervisor.banners.concat();
    assert!(said.contains("T1-1-2"), "{said}");
    scene.wish(Wish::Start { task: id(1) }).expect("start");
    let board = scene.until("the refusal", |b| {
        b.tasks[&id(1)].attempt().is_some_and(|a| matches!(a.end(), Some(End::Failed { .. })) || a.host().is_some())
    });
    let end = board.tasks[&id(1)].attempt().and_then(|a| a.end().cloned());
    let Some(End::Failed { error, .. }) = end else { panic!("it took the other's agent: {end:?}") };
    assert!(error.contains("T1-1-2") && error.contains("standup down --all"), "{error}");
    assert!(host.is_alive(), "nor is it ended for that");
    assert_eq!(runs_noted(&scene), 2);
}
