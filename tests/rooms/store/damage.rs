//! Damaged and foreign databases: set aside as they are, never overwritten.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use standup::model::id::Seq;
use standup::store::StoreError;
use standup::store::log::{Batch, Log};

use super::one;

/// A database with a few hundred events, closed.
fn filled(dir: &Path) -> PathBuf {
    let path = dir.join("standup.db");
    let mut log = Log::open(&path).expect("open");
    for n in 0..40 {
        let batch = Batch { events: (0..10).map(|i| super::event(7, n * 10 + i)).collect(), ..Batch::default() };
        log.append(&batch).expect("append");
    }
    path
}

/// The files set aside, without their write-ahead files.
fn aside(path: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(path.parent().expect("folder"))
        .expect("folder")
        .map(|entry| entry.expect("entry").path())
        .filter(|p| p.to_str().expect("utf-8").contains(".corrupt-") && !p.to_str().expect("utf-8").ends_with("-wal"))
        .collect();
    found.sort();
    found
}

/// Opens a damaged database and checks that its bytes were kept and that work goes on.
fn is_set_aside(path: &Path, damaged: &[u8]) -> String {
    // Damage inside of a page shows to a reader where it reads, not when it opens.
    let read = Log::open_read_only(path).and_then(|log| log.events(Seq(1), usize::MAX));
    assert!(matches!(read, Err(StoreError::Damaged { .. } | StoreError::Absent { .. })), "{read:?}");
    assert_eq!(fs::read(path).expect("untouched by a reader"), damaged);
    let mut log = Log::open(path).expect("open");
    let set_aside = log.set_aside().expect("reported").clone();
    assert_eq!(fs::read(&set_aside.path).expect("kept"), damaged);
    assert_eq!(log.append(&one(7, 1)).expect("goes on"), Seq(1)..Seq(2));
    drop(log);
    assert!(Log::open(path).expect("reopen").set_aside().is_none());
    set_aside.why
}

#[test]
fn bytes_that_are_no_database_are_set_aside() {
    for bytes in [&b"not a database, just some words that were saved under its name"[..], &[0xff; 9000], &[0; 4096]] {
        let dir = tempfile::tempdir().expect("temp dir");
        let path = dir.path().join("standup.db");
        fs::write(&path, bytes).expect("write");
        is_set_aside(&path, bytes);
    }
}

#[test]
fn a_database_cut_short_is_set_aside() {
    for keep in [1, 99, 4096, 20_000] {
        let dir = tempfile::tempdir().expect("temp dir");
        let path = filled(dir.path());
        let bytes = fs::read(&path).expect("read");
        fs::write(&path, &bytes[..keep]).expect("cut");
        is_set_aside(&path, &bytes[..keep]);
    }
}

#[test]
fn a_damaged_page_is_found_before_it_is_built_upon() {
    let dir = tempfile::tempdir().expect("temp dir");
    let path = filled(dir.path());
    let size = fs::metadata(&path).expect("meta").len();
    let file = fs::OpenOptions::new().write(true).open(&path).expect("open");
    for page in 2..size / 4096 {
        file.write_all_at(&[0x5a; 512], page * 4096).expect("damage");
    }
    let bytes = fs::read(&path).expect("read");
    is_set_aside(&path, &bytes);
}

#[test]
fn a_missing_event_is_damage() {
    let dir = tempfile::tempdir().expect("temp dir");
    let path = filled(dir.path());
    let conn = rusqlite::Connection::open(&path).expect("open");
    conn.execute_batch("DROP TRIGGER event_is_never_removed; DELETE FROM event WHERE seq = 17").expect("hole");
    drop(conn);
    let log = Log::open(&path).expect("open");
    assert_eq!(log.set_aside().expect("reported").why, "399 events are numbered 1 to 400");
}

#[test]
fn another_programs_database_is_set_aside() {
    let dir = tempfile::tempdir().expect("temp dir");
    let path = dir.path().join("standup.db");
    let conn = rusqlite::Connection::open(&path).expect("open");
    conn.execute_batch("CREATE TABLE event (mine TEXT); INSERT INTO event VALUES ('keep')").expect("table");
    drop(conn);
    let bytes = fs::read(&path).expect("read");
    assert_eq!(is_set_aside(&path, &bytes), "it is not a database of standup");
}

#[test]
fn each_damaged_database_keeps_a_name_of_its_own() {
    let dir = tempfile::tempdir().expect("temp dir");
    let path = dir.path().join("standup.db");
    for n in 1..=5 {
        fs::write(&path, format!("damage {n}").repeat(100)).expect("write");
        let log = Log::open(&path).expect("open");
        assert!(log.set_aside().is_some());
        drop(log);
        assert_eq!(aside(&path).len(), n);
    }
}

#[test]
fn a_write_ahead_file_without_its_database_is_kept() {
    let dir = tempfile::tempdir().expect("temp dir");
    let path = dir.path().join("standup.db");
    let mut log = Log::open(&path).expect("open");
    log.append(&one(7, 1)).expect("append");
    let wal = fs::read(dir.path().join("standup.db-wal")).expect("wal");
    assert!(!wal.is_empty());
    // As after a crash, with the database itself gone.
    let crashed = tempfile::tempdir().expect("temp dir");
    let path = crashed.path().join("standup.db");
    fs::write(crashed.path().join("standup.db-wal"), &wal).expect("copy");
    let log = Log::open(&path).expect("open");
    let set_aside = log.set_aside().expect("reported");
    let kept = format!("{}-wal", set_aside.path.display());
    assert_eq!(fs::read(kept).expect("kept"), wal);
}

#[test]
fn a_newer_database_is_refused_and_left_as_it_is() {
    let dir = tempfile::tempdir().expect("temp dir");
    let path = filled(dir.path());
    let conn = rusqlite::Connection::open(&path).expect("open");
    conn.execute_batch("PRAGMA user_version = 7").expect("version");
    drop(conn);
    let bytes = fs::read(&path).expect("read");
    for opened in [Log::open(&path), Log::open_read_only(&path)] {
        let error = opened.expect_err("refused");
        assert!(matches!(error, StoreError::Newer { found: 7, known: 1, .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.contains("format 7") && text.contains("up to 1"), "{text}");
    }
    assert_eq!(fs::read(&path).expect("read"), bytes);
    assert!(aside(&path).is_empty());
}

#[test]
fn events_cannot_be_changed_or_removed() {
    let dir = tempfile::tempdir().expect("temp dir");
    let conn = rusqlite::Connection::open(filled(dir.path())).expect("open");
    for sql in ["UPDATE event SET name = 'x' WHERE seq = 1", "DELETE FROM event WHERE seq = 400"] {
        let error = conn.execute_batch(sql).expect_err("refused");
        assert!(error.to_string().contains("events are never"), "{error}");
    }
}
