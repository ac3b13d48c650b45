//! Damage to what a supervisor keeps: nothing is guessed, nothing is overwritten.

use standup::model::board::Board;

use crate::scene::{Scene, id, playing, poll};

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
    std::fs::create_dir(&lock).expect("folder");
    assert_eq!(scene.try_start(&[]), "", "better no supervisor than one that lies");
    scene.wait_dead();
    std::fs::remove_dir(&lock).expect("remove");
    std::fs::rename(&kept, &lock).expect("rename");
    scene.start();
    assert_eq!(live(&scene.board()), 1);
    assert!(scene.task(1).needs_you.is_none());
}

#[test]
fn what_a_killed_host_left_is_ended_before_its_name_is_used_again() {
    let file = tempfile::NamedTempFile::new().expect("temp file");
    let pids = || -> Vec<u32> {
        let text = std::fs::read_to_string(file.path()).unwrap_or_default();
        text.lines().filter_map(|line| line.parse().ok()).collect()
    };
    let runs = |pid: u32| standup::os::process::Stat::read(pid).is_some_and(|s| !matches!(s.state, b'Z' | b'X'));
    let settings = playing(&["orphans=1", "count=20", "exit=0"]);
    let with_pids = format!("\"--pids\", \"{}\", \"--ttl\"", file.path().display());
    let mut scene = Scene::new(&settings.replace("\"--ttl\"", &with_pids));
    scene.start_with(&[("STANDUP_FAILPOINT", "launch.started:abort")]);
    scene.start_tasks(1);
    scene.wait_dead();
    poll("the first orphan", || pids().len() == 1);
    let running = scene.record("T1-1-1").running.expect("who runs");
    assert!(running.host.signal(rustix::process::Signal::KILL));
    poll("the host's end", || !runs(running.host.pid));
    let first = pids()[0];
    assert!(runs(first), "it outlives its host");
    // The order to launch is still under way, so the same name is used again.
    scene.start();
    scene.until("the second start", |b| b.tasks[&id(1)].attempt().is_some_and(|a| a.host().is_some()));
    poll("the second orphan", || pids().len() == 2);
    assert!(!runs(first), "two agents' worth of processes in one worktree");
}
