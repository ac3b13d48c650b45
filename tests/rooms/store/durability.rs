//! What was acknowledged is there: over kills, full disks and refused batches.

use std::io::Write;
use std::path::Path;

use standup::model::id::{ActionId, Seq};
use standup::os::locate::Dirs;
use standup::store::StoreError;
use standup::store::layout::Layout;
use standup::store::log::{Batch, Log};

use super::child::{self, Running};
use super::{FIRST, action, event, one};

/// How often the writer is killed; more where `STANDUP_TRIALS` says so.
fn trials() -> u32 {
    std::env::var("STANDUP_TRIALS").ok().and_then(|n| n.parse().ok()).unwrap_or(8)
}

#[test]
fn a_batch_is_stored_with_everything_in_it() {
    let dir = tempfile::tempdir().expect("temp dir");
    let path = dir.path().join("standup.db");
    let mut log = Log::open(&path).expect("open");
    assert_eq!((log.last_seq().expect("seq"), log.last_action().expect("action")), (Seq(0), ActionId(0)));
    let mut batch = Batch { must_not_lose: true, ..one(7, 1) };
    batch.events.push(event(8, 2));
    batch.actions = vec![action(1), action(2)];
    let digest = batch.put_text("the brief\0\x1b[31m");
    assert_eq!(log.append(&batch).expect("append"), Seq(1)..Seq(3));
    let done = Batch { finished: vec![ActionId(2), ActionId(99)], ..one(7, 3) };
    assert_eq!(log.append(&done).expect("append"), Seq(3)..Seq(4));
    assert_eq!(log.append(&Batch::default()).expect("nothing"), Seq(4)..Seq(4));
    assert_eq!(log.put_text("the brief\0\x1b[31m").expect("again"), digest);
    drop(log);

    let log = Log::open(&path).expect("reopen");
    assert!(log.set_aside().is_none());
    let events = log.events(FIRST, usize::MAX).expect("events");
    assert_eq!(events.iter().map(|e| e.seq.0).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!((events[0].at, events[0].task, events[0].attempt), {
        let given = &batch.events[0];
        (given.at, given.task, given.attempt)
    });
    assert_eq!((events[1].event.as_str(), &events[1].data), ("tested", &batch.events[1].data));
    let of_seven = log.events_of("T7".parse().expect("task"), Seq(2), 10).expect("events");
    assert_eq!(of_seven.iter().map(|e| e.seq.0).collect::<Vec<_>>(), [3]);
    assert_eq!(log.events(Seq(2), 1).expect("events")[0].seq, Seq(2));
    let pending = log.pending_actions().expect("pending");
    assert_eq!(pending.iter().map(|a| a.id.0).collect::<Vec<_>>(), [1]);
    assert_eq!(pending[0].data, action(1).data);
    assert_eq!(log.last_action().expect("action"), ActionId(2), "an id that was finished must not come back");
    assert_eq!(log.text(&digest).expect("text").as_deref(), Some("the brief\0\x1b[31m"));
}

#[test]
fn a_refused_batch_leaves_nothing_behind() {
    let dir = tempfile::tempdir().expect("temp dir");
    let mut log = Log::open(&dir.path().join("standup.db")).expect("open");
    log.append(&Batch { actions: vec![action(1)], ..one(7, 1) }).expect("append");
    let mut twice = Batch { actions: vec![action(2), action(1)], finished: vec![ActionId(1)], ..one(7, 2) };
    let digest = twice.put_text("never stored");
    assert!(matches!(log.append(&twice), Err(StoreError::Sql { .. })));
    assert_eq!(log.last_seq().expect("seq"), Seq(1));
    assert_eq!(log.pending_actions().expect("pending").len(), 1);
    assert_eq!(log.text(&digest).expect("text"), None);
    assert_eq!(log.append(&one(7, 2)).expect("goes on"), Seq(2)..Seq(3));
}

#[test]
fn no_acknowledged_event_is_lost_when_the_writer_is_killed() {
    let dir = tempfile::tempdir().expect("temp dir");
    let path = dir.path().join("standup.db");
    let mut acknowledged = 0;
    for trial in 0..trials() {
        let mut writer = Running::start("store::durability::writer", dir.path());
        let enough = acknowledged + 20 + u64::from(trial) * 7;
        while acknowledged < enough {
            acknowledged = writer.next("stored ").expect("the writer goes on").parse().expect("a number");
        }
        writer.kill();
        while let Some(seq) = writer.next("stored ") {
            // One line is one write into a pipe, so the kill cuts none.
            acknowledged = seq.parse().expect("a number");
        }
        let log = if trial % 2 == 0 { Log::open_read_only(&path) } else { Log::open(&path) }.expect("open");
        assert!(log.set_aside().is_none());
        let events = log.events(FIRST, usize::MAX).expect("events");
        assert!(events.len() as u64 >= acknowledged, "{} of {acknowledged} are there", events.len());
        for (event, n) in events.iter().zip(1..) {
            assert_eq!((event.seq.0, event.data["n"].as_u64()), (n, Some(n)), "a hole, or events out of order");
        }
        // Each batch of the writer finishes the action of the one before and adds its own: more or
        // fewer pending ones would be half a batch.
        assert_eq!(log.pending_actions().expect("pending").len(), 1);
    }
}

#[test]
#[ignore = "the child of another test"]
fn writer() {
    let Some(dir) = child::told() else { return };
    let mut log = Log::open(&dir.join("standup.db")).expect("open");
    let mut out = std::io::stdout();
    // Ends by itself, should the parent die.
    for _ in 0..200_000 {
        let last = log.last_seq().expect("seq").0;
        let number = log.last_action().expect("action").0;
        let batch = Batch {
            events: vec![event(1, last + 1), event(2, last + 2)],
            actions: vec![action(number + 1)],
            finished: vec![ActionId(number)],
            must_not_lose: last.is_multiple_of(3),
            ..Batch::default()
        };
        let stored = log.append(&batch).expect("append");
        if out.write_all(format!("stored {}\n", stored.end.0 - 1).as_bytes()).is_err() {
            return;
        }
    }
}

#[test]
fn a_file_that_may_not_grow_refuses_whole_batches_and_recovers() {
    let dir = tempfile::tempdir().expect("temp dir");
    assert!(Running::start("store::durability::limited", dir.path()).finish(), "the child's own checks");
    intact(&dir.path().join("standup.db"));
}

#[test]
#[ignore = "the child of another test"]
fn limited() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let Some(dir) = child::told() else { return };
    // SAFETY: no handler is installed, the signal is only ignored, in a process of this test's own.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
    let limit = |current| setrlimit(Resource::Fsize, Rlimit { current, maximum: None }).expect("limit");
    let mut log = Log::open(&dir.join("standup.db")).expect("open");
    log.append(&one(1, 1)).expect("append");
    limit(Some(256 << 10));
    until_full(&mut log);
    limit(None);
    log.append(&one(1, 0)).expect("goes on once there is room");
}

#[test]
fn a_full_disk_refuses_whole_batches_and_recovers() {
    let dir = tempfile::tempdir().expect("temp dir");
    // A small disk of its own for the child alone; needs user namespaces, or root.
    let script = "mount -t tmpfs -o size=1m,mode=0700 none \"$STANDUP_TEST_DIR\" 2>&1 || { echo unmounted; exit 0; }
                  exec \"$@\"";
    let own = child::own();
    let mut command = child::command(Path::new("unshare"), "", dir.path());
    command.args(["--mount", "--map-root-user", "sh", "-c", script, "sh"]).arg(&own);
    command.args(child::arguments("store::durability::crowded"));
    let out = command.stderr(std::process::Stdio::piped()).output();
    match out {
        Ok(out) if String::from_utf8_lossy(&out.stdout).contains("filled and emptied") => {
            assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stdout));
        }
        Ok(out) if out.status.code() == Some(101) => {
            panic!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr))
        }
        other => eprintln!("not run: no small disk can be mounted here ({other:?})"),
    }
}

#[test]
#[ignore = "the child of another test"]
fn crowded() {
    let Some(dir) = child::told() else { return };
    let path = dir.join("standup.db");
    let mut log = Log::open(&path).expect("open");
    log.append(&one(1, 1)).expect("append");
    let ballast = dir.join("ballast");
    std::fs::write(&ballast, vec![0; 512 << 10]).expect("ballast");
    until_full(&mut log);
    let full = standup::store::token::Token::load_or_create(&dir.join("user.token"));
    assert!(matches!(full, Err(StoreError::Full { .. })), "{full:?}");
    // Whoever is to start is told before anything else.
    let mut rest = std::fs::File::create(dir.join("rest")).expect("ballast");
    while rest.write_all(&[0; 512]).is_ok() {}
    let at = |name| dir.join(name);
    let dirs = Dirs { config: at("c"), state: at("s"), data: at("d"), runtime: at("r") };
    let full = Layout::new(&dirs, "shop", "0a1b2c3d").expect("layout").prepare();
    assert!(matches!(full, Err(StoreError::Full { .. })), "{full:?}");
    // As long as its file has room for so little, it may be written.
    assert!((0..1_000).any(|_| matches!(log.try_out(), Err(StoreError::Full { .. }))));
    std::fs::remove_file(dir.join("rest")).expect("room again");
    std::fs::remove_file(&ballast).expect("room again");
    log.try_out().expect("there is room");
    log.append(&one(1, 0)).expect("goes on once there is room");
    drop(log);
    intact(&path);
    println!("filled and emptied");
}

/// Appends until the disk is full; a batch that was refused must have left nothing, and reading
/// must go on.
fn until_full(log: &mut Log) {
    let mut stored = log.last_seq().expect("seq").0;
    loop {
        assert!(stored < 10_000, "the disk never got full");
        let mut batch = one(1, stored + 1);
        batch.must_not_lose = stored.is_multiple_of(2);
        batch.events[0].data["fill"] = "x".repeat(8 << 10).into();
        match log.append(&batch) {
            Ok(range) => stored = range.end.0 - 1,
            Err(StoreError::Full { .. }) => break,
            Err(other) => panic!("not known as a full disk: {other:?}"),
        }
    }
    for _ in 0..3 {
        let batch = Batch { must_not_lose: true, ..one(1, 0) };
        // A small batch may find room in a file that a large one did not; it must be all or nothing.
        match log.append(&batch) {
            Ok(range) => stored = range.end.0 - 1,
            Err(error) => assert!(matches!(error, StoreError::Full { .. }), "{error:?}"),
        }
        assert_eq!(log.last_seq().expect("still readable"), Seq(stored));
    }
}

/// The database opens without being set aside, and its events have no holes.
fn intact(path: &Path) {
    let log = Log::open(path).expect("open");
    assert_eq!(log.set_aside(), None);
    let events = log.events(FIRST, usize::MAX).expect("events");
    assert!(events.len() > 10 && events.iter().zip(1..).all(|(e, n)| e.seq.0 == n));
}

/// Prints the cost of both kinds of append beside that of a bare commit with a flush; run it with
/// `--release -- --ignored --nocapture` on a quiet machine.
#[test]
#[ignore = "a measurement"]
fn the_cost_of_an_event() {
    use std::time::Instant;
    let dir = tempfile::tempdir().expect("temp dir");
    let mut log = Log::open(&dir.path().join("standup.db")).expect("open");
    let bare = |name, synchronous| {
        let conn = rusqlite::Connection::open(dir.path().join(name)).expect("open");
        conn.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(())).expect("wal");
        let table = format!("PRAGMA synchronous = {synchronous}; CREATE TABLE t (i INTEGER PRIMARY KEY, d TEXT)");
        conn.execute_batch(&table).expect("table");
        conn
    };
    let (normal, full) = (bare("normal.db", 1), bare("full.db", 2));
    let insert = |conn: &rusqlite::Connection| {
        conn.prepare_cached("INSERT INTO t (d) VALUES ('{\"n\":1}')").expect("sql").execute([]).expect("row");
    };
    for round in 0..7 {
        let took = |n: u32, f: &mut dyn FnMut()| {
            let began = Instant::now();
            (0..n).for_each(|_| f());
            began.elapsed().as_secs_f64() * 1e6 / f64::from(n)
        };
        let mut append = |must_not_lose| {
            log.append(&Batch { must_not_lose, ..one(7, 1) }).expect("append");
        };
        let (ordinary, flushed) = (took(10_000, &mut || append(false)), took(300, &mut || append(true)));
        let (normal, full) = (took(10_000, &mut || insert(&normal)), took(300, &mut || insert(&full)));
        println!(
            "round {round}: ordinary {ordinary:.1} µs = {:.2} x bare; must not lose {flushed:.1} µs = {:.2} x bare",
            ordinary / normal,
            flushed / full
        );
    }
}
