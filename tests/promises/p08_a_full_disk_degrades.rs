//! A full disk degrades and corrupts nothing: agents run on, hosts serve, nothing is decided that
//! cannot be stored, and all goes on by itself once there is room again.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use standup::client::control::{Client, ClientError};
use standup::model::attempt::{End, Exit, HostFacts, StopWhy};
use standup::model::board::Board;
use standup::model::id::TaskId;
use standup::model::input::{Command as Wish, NewTask, Reply};
use standup::model::task::{TaskSpec, TextRef};
use standup::store::log::{Log, TextDigest};
use standup::wire::control::Request;

use crate::peer::Peer;
use crate::scene::{Scene, id, playing, poll, runs, trials};

/// What the parent tells the child: a folder on which a small disk could be mounted.
const TOLD: &str = "STANDUP_TEST_SMALL_DISK";

/// The disk of all state: room for a database, two dozen hosts and nothing else.
const DISK: &str = "size=8m,mode=0700";

#[test]
fn agents_run_on_and_nothing_that_was_acknowledged_is_missing() {
    let dir = tempfile::tempdir().expect("temp dir");
    // A small disk for the child alone; needs user namespaces, or root.
    let script =
        "mount -t tmpfs -o size=64k none \"$STANDUP_TEST_SMALL_DISK\" || { echo unmounted; exit 0; }; exec \"$@\"";
    #[expect(clippy::disallowed_methods, reason = "the child gets mounts of its own")]
    let mut command = Command::new("unshare");
    command.args(["--mount", "--map-root-user", "sh", "-c", script, "sh"]);
    command.arg(std::env::current_exe().expect("this binary"));
    command.args(["p08_a_full_disk_degrades::on_a_small_disk", "--exact", "--ignored", "--nocapture"]);
    match command.env(TOLD, dir.path()).stdin(Stdio::null()).output() {
        Ok(out) if String::from_utf8_lossy(&out.stdout).contains("filled and emptied") => {
            assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        }
        Ok(out) if out.status.code() == Some(101) => {
            panic!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr))
        }
        other => eprintln!("not run: no small disk can be mounted here ({other:?})"),
    }
}

#[test]
#[ignore = "not a test: the child of one, with mounts of its own"]
fn on_a_small_disk() {
    if std::env::var_os(TOLD).is_none() {
        return;
    }
    let rounds = trials(2).min(8);
    let mut scene = Scene::new(&playing(&["count=5", "exit=7"]));
    let disk = SmallDisk::under(&scene);
    scene.start();
    let count = u32::try_from(rounds).expect("few") + 1;
    let facts = scene.live(count);
    let mut added: Vec<TaskId> = (1..=count).map(id).collect();
    for (n, ends) in (1..count).zip(&facts) {
        disk.fill();
        let on = &facts[n as usize - 1..];
        // A little may find room in a file that more does not.
        poll("that it is said", || {
            until_refused(&scene, &mut added);
            is_said(&scene)
        });
        assert_at_work(&scene, on);
        assert!(is_said(&scene), "nothing has changed");
        // Nobody waits for what will not come.
        for verb in [&["stop", "T1"][..], &["down", "--all"]] {
            let (code, refused) = said(&scene, verb);
            assert!(code == Some(1) && refused.contains("the disk is full"), "{verb:?}: {code:?} {refused}");
        }
        let (_, doctor) = said(&scene, &["doctor"]);
        assert!(doctor.contains("the disk is full"), "{doctor}");
        if n % 2 == 0 {
            scene.kill();
            assert_alone(&scene, on, &mut added);
        }
        // Another reports by a file of its own, without an id: it is read until it is stored.
        let letter = leave_by_hand(count, n, &scene);
        // One ends meanwhile. What its host says of that is kept, though nobody can take note of it.
        signal_stop(&scene, n);
        poll("the host's end", || !runs(ends.host.pid));
        let exit = scene.record(ends.id.as_str()).exit.expect("an exit record");
        assert_eq!((exit.code, exit.signal), (Some(7), None));
        assert!(exit.transcript_lost > 0, "{exit:?}");
        disk.empty();
        if n % 2 == 0 {
            scene.start();
        }
        once_there_is_room(&scene, n, &mut added);
        poll("the report is taken", || !letter.exists());
        let reports: Vec<_> = scene.task(count).check_ins.iter().map(|c| c.check_in.did.clone()).collect();
        assert_eq!(reports, (1..=n).map(by_hand).collect::<Vec<_>>(), "each counts once");
    }
    assert_whole(&mut scene, &added);
    disk.leave(scene);
    println!("filled and emptied");
}

/// Adds tasks until one is refused, which is said to be the disk's fault. What was acknowledged before
/// that is kept in mind.
fn until_refused(scene: &Scene, added: &mut Vec<TaskId>) {
    for n in 0..1_000 {
        let text = format!("# Another {n}\n{}", "x".repeat(4 << 10));
        let spec = TaskSpec::new(&format!("Another {n}"), TextRef(TextDigest::of(&text).to_string()));
        let tasks = vec![NewTask { spec, needs_new: Vec::new() }];
        match scene.client().command(Wish::Add { tasks }, vec![text]) {
            Ok((Reply::Tasks { added: more, .. }, _)) => added.extend(more),
            Err(ClientError::Refused(why)) => {
                assert!(why.text.contains("nothing can be stored") && why.text.contains("the disk is full"), "{why:?}");
                return;
            }
            other => panic!("{other:?}"),
        }
    }
    panic!("the disk never got full");
}

/// Whether who looks is told why nothing moves.
fn is_said(scene: &Scene) -> bool {
    let (code, status) = said(scene, &["status"]);
    assert!(code == Some(0) && status.contains("T1"), "{status}");
    status.contains("nothing can be stored") && status.contains("the disk is full")
}

/// Agents work, hosts serve, and each loses what it cannot keep and knows how much.
fn assert_at_work(scene: &Scene, facts: &[HostFacts]) {
    for one in facts {
        assert!(runs(one.host.pid) && runs(one.agent.pid));
        let socket = scene.host_socket(&one.id);
        let mut person = Peer::client(&socket, 100);
        assert!(person.until_painted().contains("count "));
        let seen = Peer::status(&socket).output_bytes;
        poll("progress", || Peer::status(&socket).output_bytes > seen);
        poll("a loss that is counted", || Peer::status(&socket).transcript_lost > 0);
    }
}

/// One that takes the place of a killed supervisor dispatches nothing, says why, and harms nobody.
fn assert_alone(scene: &Scene, facts: &[HostFacts], added: &mut Vec<TaskId>) {
    let (code, up) = said(scene, &["up"]);
    let (_, status) = said(scene, &["status"]);
    assert!(status.contains("T1"), "{status}");
    assert_at_work(scene, facts);
    // It comes up at all only where there is room for what says who it is.
    match Client::connect(&scene.place.layout) {
        Ok(mut client) => {
            poll("that it is said", || {
                until_refused(scene, added);
                is_said(scene)
            });
            let pid = client.welcome().process.pid;
            client.ask(&Request::Shutdown {}).expect("shutdown");
            poll("its end", || !runs(pid));
        }
        Err(_) => assert!(code != Some(0) && up.contains("the disk is full"), "{code:?} {up}"),
    }
}

/// What ended is heard of, new tasks are taken, and nobody is told of a full disk any more.
fn once_there_is_room(scene: &Scene, ended: u32, added: &mut Vec<TaskId>) {
    let over = |b: &Board| b.tasks[&id(ended)].attempt().is_some_and(|a| a.end().is_some());
    let board = scene.until("the end", over);
    let exit = Exit { code: Some(7), signal: None };
    assert_eq!(board.tasks[&id(ended)].attempt().and_then(|a| a.end()), Some(&End::Exited { exit }));
    added.extend(scene.add(&[&format!("After {ended}")]));
    assert_eq!(scene.client().board().expect("board").supervisor.banners, [""; 0]);
    let (_, shown) = said(scene, &["show", &format!("T{ended}")]);
    assert!(shown.contains("transcript lacks"), "{shown}");
    let (_, logged) = said(scene, &["logs", &format!("T{ended}")]);
    assert!(logged.contains("bytes of output were not kept"), "{logged}");
}

/// Nothing that was acknowledged is missing, and the database is as it should be.
fn assert_whole(scene: &mut Scene, added: &[TaskId]) {
    let before = scene.board();
    scene.kill();
    let path = scene.place.layout.database();
    let read = rusqlite::Connection::open(&path).expect("open");
    let said: String = read.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("check");
    assert_eq!(said, "ok");
    drop(read);
    assert_eq!(Log::open(&path).expect("open").set_aside(), None);
    scene.start();
    let board = scene.board();
    assert!(
        added.iter().all(|task| board.tasks.contains_key(task)),
        "{added:?} are not all in {:?}",
        board.tasks.keys()
    );
    assert_eq!(board.tasks.len(), added.len());
    assert_eq!(board.tasks.keys().collect::<Vec<_>>(), before.tasks.keys().collect::<Vec<_>>());
}

fn by_hand(n: u32) -> String {
    format!("by hand {n}")
}

/// Leaves a report in an outbox, without a supervisor to ask; returns its file.
fn leave_by_hand(number: u32, n: u32, scene: &Scene) -> PathBuf {
    let file = standup::store::layout::outbox(&worktree(scene, number)).join(format!("{n}.json"));
    let text = format!(r#"{{"schemaVersion":1,"kind":"check-in","state":"working","did":"{}"}}"#, by_hand(n));
    let part = file.with_file_name(".part");
    std::fs::write(&part, text).expect("write");
    std::fs::rename(&part, &file).expect("rename");
    file
}

/// As `Scene::signal_file`, without a supervisor to ask.
fn signal_stop(scene: &Scene, number: u32) {
    std::fs::write(standup::store::layout::run_dir(&worktree(scene, number)).join("stop"), "").expect("write");
}

fn worktree(scene: &Scene, number: u32) -> PathBuf {
    let attempt = format!("T{number}/1").parse().expect("id");
    let slug = standup::model::name::Slug::from_title(&format!("Task number {number}"));
    scene.place.layout.worktree(attempt, &slug)
}

/// The exit code of a command, and what it printed on both of its streams.
fn said(scene: &Scene, args: &[&str]) -> (Option<i32>, String) {
    let mut command = scene.command(env!("CARGO_BIN_EXE_standup"));
    let out = command.arg("-C").arg(scene.repo()).args(args).output().expect("it runs");
    let text = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    (out.status.code(), text)
}

/// All state of a scene on a disk of its own.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn under(scene: &Scene) -> Self {
        let at = scene.home().join("state");
        tool("mount", &["-t", "tmpfs", "-o", DISK, "none"], &at);
        scene.place.layout.prepare().expect("layout");
        scene.approve();
        Self(at)
    }

    fn ballast(&self) -> PathBuf {
        self.0.join("ballast")
    }

    /// Leaves no byte free.
    fn fill(&self) {
        let mut file = File::create(self.ballast()).expect("ballast");
        for size in [64 << 10, 1 << 10, 1] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
    }

    fn empty(&self) {
        std::fs::remove_file(self.ballast()).expect("room again");
    }

    /// Ends everything on it, and takes it away.
    fn leave(self, mut scene: Scene) {
        scene.client().ask(&Request::Down { why: StopWhy::Down }).expect("down");
        scene.wait_dead();
        tool("umount", &[], &self.0);
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // What a failed test leaves can be ended only where that can be stored.
        let _ = std::fs::remove_file(self.ballast());
    }
}

fn tool(name: &str, args: &[&str], at: &Path) {
    #[expect(clippy::disallowed_methods, reason = "a test's own disk")]
    let out = Command::new(name).args(args).arg(at).output().expect(name);
    assert!(out.status.success(), "{name}: {}", String::from_utf8_lossy(&out.stderr));
}
