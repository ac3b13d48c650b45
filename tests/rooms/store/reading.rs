//! Reading beside a writer, without one, and where nothing may be written.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use standup::model::id::Seq;
use standup::store::StoreError;
use standup::store::log::Log;

use super::child::{self, Running};
use super::{FIRST, one};

#[test]
fn before_the_first_supervisor_there_is_no_log() {
    let dir = tempfile::tempdir().expect("temp dir");
    let path = dir.path().join("standup.db");
    assert!(matches!(Log::open_read_only(&path), Err(StoreError::Absent { .. })));
    assert_eq!(fs::read_dir(dir.path()).expect("folder").count(), 0, "reading makes no file");
    fs::write(&path, "").expect("as a supervisor that is just starting");
    assert!(matches!(Log::open_read_only(&path), Err(StoreError::Absent { .. })));
}

#[test]
fn a_reader_sees_each_event_and_writes_none() {
    let dir = tempfile::tempdir().expect("temp dir");
    let path = dir.path().join("standup.db");
    let mut writer = Log::open(&path).expect("open");
    writer.append(&one(7, 1)).expect("append");
    let mut reader = Log::open_read_only(&path).expect("reader");
    assert_eq!(reader.last_seq().expect("seq"), Seq(1));
    assert!(!reader.changed_since().expect("nothing new"));
    for n in 2..5 {
        writer.append(&one(7, n)).expect("append");
        assert!(reader.changed_since().expect("new"));
        assert!(!reader.changed_since().expect("said once"));
        assert_eq!(reader.events(Seq(n), 10).expect("events").len(), 1);
    }
    assert!(matches!(reader.append(&one(7, 9)), Err(StoreError::ReadOnly { .. })));
    drop(writer);
    assert_eq!(reader.last_seq().expect("after the writer left"), Seq(4));
}

#[test]
fn a_log_is_readable_after_its_writer_left() {
    let dir = tempfile::tempdir().expect("temp dir");
    let path = dir.path().join("standup.db");
    Log::open(&path).expect("open").append(&one(7, 1)).expect("append");
    let before = fs::read(&path).expect("read");
    for _ in 0..2 {
        let reader = Log::open_read_only(&path).expect("reader");
        assert_eq!(reader.events(FIRST, 10).expect("events").len(), 1);
    }
    assert_eq!(fs::read(&path).expect("read"), before);
    // A reader's leftovers do not hinder the next writer.
    assert_eq!(Log::open(&path).expect("writer").append(&one(7, 2)).expect("append"), Seq(2)..Seq(3));
}

#[test]
fn only_the_user_can_read_the_database() {
    let dir = tempfile::tempdir().expect("temp dir");
    let path = dir.path().join("state/standup.db");
    let mut log = Log::open(&path).expect("open");
    log.append(&one(7, 1)).expect("append");
    for suffix in ["", "-wal", "-shm"] {
        let meta = fs::metadata(format!("{}{suffix}", path.display())).expect("meta");
        assert_eq!(meta.mode() & 0o777, 0o600, "{suffix}");
    }
    assert_eq!(fs::metadata(dir.path().join("state")).expect("meta").mode() & 0o777, 0o700);
}

#[test]
fn a_read_only_state_directory_is_read_or_named() {
    let dir = tempfile::tempdir().expect("temp dir");
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).expect("chmod");
    let clean = dir.path().join("clean/standup.db");
    Log::open(&clean).expect("open").append(&one(7, 1)).expect("append");
    // A crash: the changes lie in the write-ahead file alone, and its index is gone.
    let crashed = dir.path().join("crashed/standup.db");
    let mut log = Log::open(&dir.path().join("alive/standup.db")).expect("open");
    log.append(&one(7, 1)).expect("append");
    fs::create_dir(dir.path().join("crashed")).expect("mkdir");
    for suffix in ["", "-wal"] {
        let from = dir.path().join(format!("alive/standup.db{suffix}"));
        fs::copy(from, format!("{}{suffix}", crashed.display())).expect("copy");
    }
    for path in [&clean, &crashed] {
        read_only(path.parent().expect("folder"));
    }
    // Modes do not bind root, so the child leaves root first.
    assert!(Running::start("store::reading::unprivileged", dir.path()).finish(), "the child's own checks");
    for path in [&clean, &crashed] {
        fs::set_permissions(path.parent().expect("folder"), Permissions::from_mode(0o700)).expect("chmod");
    }
}

fn read_only(dir: &Path) {
    for entry in fs::read_dir(dir).expect("folder") {
        fs::set_permissions(entry.expect("entry").path(), Permissions::from_mode(0o444)).expect("chmod");
    }
    fs::set_permissions(dir, Permissions::from_mode(0o555)).expect("chmod");
}

#[test]
#[ignore = "the child of another test"]
fn unprivileged() {
    let Some(dir) = child::told() else { return };
    if rustix::process::geteuid().is_root() {
        // SAFETY: changes the ids of this process alone, which is a child of the test; nobody's.
        let left = unsafe { libc::setgid(65_534) == 0 && libc::setuid(65_534) == 0 };
        assert!(left, "{}", std::io::Error::last_os_error());
    }
    let log = Log::open_read_only(&dir.join("clean/standup.db")).expect("readable without writing");
    assert_eq!(log.events(FIRST, 10).expect("events").len(), 1);
    let error = Log::open_read_only(&dir.join("crashed/standup.db")).expect_err("needs a writer");
    assert!(matches!(error, StoreError::ReadOnly { .. }), "{error:?}");
    let error = Log::open(&dir.join("clean/standup.db")).expect_err("not to write");
    assert!(matches!(error, StoreError::ReadOnly { .. }), "{error:?}");
    let error = Log::open(&dir.join("clean/below/standup.db")).expect_err("not to make");
    assert!(error.to_string().ends_with("the state directory is read-only"), "{error}");
    assert!(error.hint().expect("hint").contains("STANDUP_HOME"));
}
