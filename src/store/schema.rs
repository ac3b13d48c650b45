//! The database's tables, and how an older database becomes a current one.
//!
//! **Invariant:** a migration is one transaction, and a format once released is never edited:
//! what changes is a new step at the end of [`STEPS`]. Must not know: what events mean.

use rusqlite::{Connection, TransactionBehavior};

/// Marks the file as ours (`PRAGMA application_id`), so that a stranger's database is not
/// migrated by accident: "stup".
pub(super) const APPLICATION: i64 = 0x7374_7570;

/// The format this version writes; also the number of steps.
#[expect(clippy::cast_possible_wrap, reason = "a handful of steps")]
pub(super) const VERSION: i64 = STEPS.len() as i64;

/// Step *n* leads from format *n* to *n* + 1.
///
/// `seq` has no AUTOINCREMENT on purpose: rows are never deleted, so the next one is always the
/// largest plus one, without a second table to write. `action` has it: its rows go when they are
/// finished, and an id must not come back. There is no index by task: it would cost half as much
/// again for every event, to save milliseconds when a person looks at one task.
const STEPS: [&str; 1] = ["
    CREATE TABLE event (
        seq     INTEGER PRIMARY KEY,
        wall    INTEGER NOT NULL,
        mono    INTEGER NOT NULL,
        boot    INTEGER NOT NULL,
        task    INTEGER,
        attempt INTEGER,
        name    TEXT NOT NULL,
        data    TEXT NOT NULL
    ) STRICT;
    CREATE TRIGGER event_is_never_changed BEFORE UPDATE ON event
        BEGIN SELECT RAISE(ABORT, 'events are never changed'); END;
    CREATE TRIGGER event_is_never_removed BEFORE DELETE ON event
        BEGIN SELECT RAISE(ABORT, 'events are never removed'); END;
    CREATE TABLE action (
        id   INTEGER PRIMARY KEY AUTOINCREMENT,
        data TEXT NOT NULL
    ) STRICT;
    CREATE TABLE text (
        digest TEXT PRIMARY KEY,
        body   TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
"];

/// What kind of file lies there.
pub(super) enum Format {
    /// An empty one.
    Fresh,
    /// One of ours, in this format.
    Ours(i64),
    /// Somebody else's.
    Foreign,
}

/// Looks at a database without changing it.
pub(super) fn format(conn: &Connection) -> rusqlite::Result<Format> {
    let application: i64 = conn.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    let version: i64 = conn.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let tables: i64 = conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok(match (application, version, tables) {
        (APPLICATION, 1.., _) => Format::Ours(version),
        (0, 0, 0) => Format::Fresh,
        _ => Format::Foreign,
    })
}

/// Brings a database of format `from` to [`VERSION`], whole or not at all.
pub(super) fn migrate(conn: &mut Connection, from: i64) -> rusqlite::Result<()> {
    let done = usize::try_from(from).unwrap_or(0);
    if done >= STEPS.len() {
        return Ok(());
    }
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for step in &STEPS[done..] {
        tx.execute_batch(step)?;
    }
    tx.execute_batch(&format!("PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION};"))?;
    tx.commit()
}
