//! The event log: what happened, what is still to be done, and the long texts both name.
//!
//! **Invariant:** a batch is stored whole or not at all; once [`Log::append`] returned, a crash of
//! this process loses nothing of it, and a power cut nothing of a batch that must not be lost.
//! Sequence numbers have no holes. There is one writer, which holds the supervisor's lock.
//! Must not know: what events and actions mean.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, params};

use crate::model::id::{ActionId, AttemptNo, Seq, TaskId};
use crate::model::time::{Boot, Mono, Now, Wall};

use super::StoreError;
pub use super::batch::{Batch, DigestError, NewAction, NewEvent, PendingAction, StoredEvent, TextDigest, Texts};
use super::error::io;
use super::files::{make_private, move_aside, size, takes_files, uri, wal_without_database, with_suffix};
use super::schema::{self, Format};

/// How long another process's write is waited for. Nobody but us writes for longer than a commit;
/// a person with a database shell may.
pub(super) const BUSY_MS: u64 = 5_000;

/// Up to this size a database is read through when it is opened, to find damage before it is
/// built upon: about 0.1 s. Larger ones show damage where they are read.
const CHECKED_BYTES: u64 = 64 << 20;

/// No database is smaller: the smallest page.
const SMALLEST_BYTES: u64 = 512;

/// The write-ahead file is cut back to this after a reader had made it grow.
const WAL_BYTES: u64 = 16 << 20;

/// Statements kept prepared: all there are.
const STATEMENTS: usize = 24;

/// A damaged database that was moved out of the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetAside {
    /// Where it lies now; its write-ahead files lie beside it.
    pub path: PathBuf,
    /// What was wrong with it.
    pub why: String,
}

/// The open log.
#[derive(Debug)]
pub struct Log {
    conn: Connection,
    path: PathBuf,
    set_aside: Option<SetAside>,
    full_sync: Option<bool>,
    data_version: i64,
}

impl Log {
    /// Opens the log to write, making or migrating it. The caller holds the supervisor's lock. A
    /// damaged database is never overwritten: it is set aside as `standup.db.corrupt-<wall ms>`
    /// and a fresh one opened; see [`Log::set_aside`].
    ///
    /// # Errors
    /// [`StoreError::Newer`] for a newer version's, [`StoreError::ReadOnly`], [`StoreError::Full`].
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let orphan = wal_without_database(path);
        let first = match orphan {
            Some(why) => Err(StoreError::Damaged { path: path.to_owned(), why: why.to_owned() }),
            None => Self::open_checked(path),
        };
        match first {
            Err(StoreError::Damaged { why, .. }) => {
                let aside = move_aside(path)?;
                let mut log = Self::open_checked(path)?;
                log.set_aside = Some(SetAside { path: aside, why });
                Ok(log)
            }
            other => other,
        }
    }

    /// Opens the log to read, beside a running supervisor or without one. Nothing is appended and
    /// nothing migrated; where the folder can be written, the database's own index of its
    /// write-ahead file may be made there.
    ///
    /// # Errors
    /// [`StoreError::Absent`] before the first supervisor ran, [`StoreError::Damaged`],
    /// [`StoreError::Newer`], and [`StoreError::ReadOnly`] where the folder cannot be written and
    /// the last writer left changes that only a writer can merge.
    pub fn open_read_only(path: &Path) -> Result<Self, StoreError> {
        match fs::metadata(path) {
            Ok(meta) if meta.len() > 0 => {}
            Ok(_) => return Err(StoreError::Absent { path: path.to_owned() }),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Err(StoreError::Absent { path: path.to_owned() });
            }
            Err(e) => return Err(io("read", path, e)),
        }
        let first = Self::open_reader(path, "");
        let merged = size(&with_suffix(path, "-wal")) == 0;
        match first {
            // Without a write-ahead file and in a folder that takes none, nobody can be writing.
            Err(StoreError::ReadOnly { .. } | StoreError::Sql { .. }) if merged && !takes_files(path) => {
                Self::open_reader(path, "?immutable=1")
            }
            Err(StoreError::Sql { verb, path, .. }) if !takes_files(&path) => Err(StoreError::ReadOnly { verb, path }),
            other => other,
        }
    }

    /// The damaged database that was moved out of the way when this one was opened.
    #[must_use]
    pub fn set_aside(&self) -> Option<&SetAside> {
        self.set_aside.as_ref()
    }

    /// Where it lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Stores a batch in one transaction and returns the places of its events; an empty range
    /// where it has none.
    ///
    /// # Errors
    /// [`StoreError::Full`], [`StoreError::ReadOnly`] and others; nothing of it is then stored.
    pub fn append(&mut self, batch: &Batch<'_>) -> Result<Range<Seq>, StoreError> {
        self.set_sync(batch.must_not_lose)?;
        insert(&self.conn, batch).map_err(|e| self.failed("write", e))
    }

    /// Writes what is there already, which takes the room of a small batch.
    ///
    /// # Errors
    /// As [`Log::append`].
    pub fn try_out(&mut self) -> Result<(), StoreError> {
        self.set_sync(true)?;
        let again = format!("PRAGMA user_version = {}", schema::VERSION);
        self.conn.execute_batch(&again).map_err(|e| self.failed("write", e))
    }

    /// Stores a text by itself. Prefer [`Batch::put_text`], which stores it with what names it.
    ///
    /// # Errors
    /// As [`Log::append`].
    pub fn put_text(&mut self, text: &str) -> Result<TextDigest, StoreError> {
        let mut batch = Batch::default();
        let digest = batch.put_text(text);
        self.append(&batch)?;
        Ok(digest)
    }

    /// A stored text; `None` where there is none of this digest.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn text(&self, digest: &TextDigest) -> Result<Option<String>, StoreError> {
        self.conn
            .prepare_cached("SELECT body FROM text WHERE digest = ?1")
            .and_then(|mut s| s.query_row([digest.as_str()], |row| row.get(0)).optional())
            .map_err(|e| self.failed("read", e))
    }

    /// At most `limit` events from `from` on, that one included, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn events(&self, from: Seq, limit: usize) -> Result<Vec<StoredEvent>, StoreError> {
        const SQL: &str = "SELECT seq, wall, mono, boot, task, attempt, name, data FROM event
                           WHERE seq >= ?1 ORDER BY seq LIMIT ?2";
        self.rows(SQL, params![signed(from.0), limited(limit)], stored_event)
    }

    /// Like [`Log::events`], of one task alone.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn events_of(&self, task: TaskId, from: Seq, limit: usize) -> Result<Vec<StoredEvent>, StoreError> {
        const SQL: &str = "SELECT seq, wall, mono, boot, task, attempt, name, data FROM event
                           WHERE task = ?1 AND seq >= ?2 ORDER BY seq LIMIT ?3";
        self.rows(SQL, params![task.number(), signed(from.0), limited(limit)], stored_event)
    }

    /// What is still to be done, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn pending_actions(&self) -> Result<Vec<PendingAction>, StoreError> {
        self.rows("SELECT id, data FROM action ORDER BY id", params![], |row| {
            Ok(PendingAction { id: ActionId(unsigned(row.get(0)?)), data: json(row, 1)? })
        })
    }

    /// The place of the last event; 0 in an empty log.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn last_seq(&self) -> Result<Seq, StoreError> {
        self.number("SELECT coalesce(max(seq), 0) FROM event").map(Seq)
    }

    /// The largest action id there ever was; 0 without any.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn last_action(&self) -> Result<ActionId, StoreError> {
        self.number("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'action'").map(ActionId)
    }

    /// Whether somebody else stored anything since this was last asked (or the log opened). Cheap
    /// enough to poll: no table is read.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn changed_since(&mut self) -> Result<bool, StoreError> {
        let version = self.data_version()?;
        let changed = version != self.data_version;
        self.data_version = version;
        Ok(changed)
    }

    fn open_checked(path: &Path) -> Result<Self, StoreError> {
        make_private(path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut log = Self::connect(path, Connection::open_with_flags(path, flags))?;
        let version = match log.format()? {
            Format::Foreign => return Err(log.damaged("it is not a database of standup")),
            Format::Ours(version) => version,
            // The database takes a file of a few bytes for an empty one, and would write over it.
            Format::Fresh if (1..SMALLEST_BYTES).contains(&size(path)) => {
                return Err(log.damaged("it was cut off in its first page"));
            }
            Format::Fresh => 0,
        };
        log.set_up().map_err(|e| log.failed("open", e))?;
        schema::migrate(&mut log.conn, version).map_err(|e| log.failed("migrate", e))?;
        log.check()?;
        log.data_version = log.data_version()?;
        Ok(log)
    }

    fn open_reader(path: &Path, query: &str) -> Result<Self, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
        let opened = if query.is_empty() {
            Connection::open_with_flags(path, flags)
        } else {
            Connection::open_with_flags(uri(path, query), flags)
        };
        let mut log = Self::connect(path, opened)?;
        match log.format()? {
            Format::Foreign => Err(log.damaged("it is not a database of standup")),
            Format::Fresh => Err(StoreError::Absent { path: path.to_owned() }),
            Format::Ours(_) => {
                log.data_version = log.data_version()?;
                Ok(log)
            }
        }
    }

    fn connect(path: &Path, opened: rusqlite::Result<Connection>) -> Result<Self, StoreError> {
        let failed = |e| StoreError::sql("open", path, e, std::io::Error::last_os_error().raw_os_error());
        let conn = opened.map_err(failed)?;
        conn.set_prepared_statement_cache_capacity(STATEMENTS);
        conn.busy_timeout(Duration::from_millis(BUSY_MS)).map_err(failed)?;
        Ok(Self { conn, path: path.to_owned(), set_aside: None, full_sync: None, data_version: 0 })
    }

    fn format(&self) -> Result<Format, StoreError> {
        match schema::format(&self.conn).map_err(|e| self.failed("open", e))? {
            Format::Ours(found) if found > schema::VERSION => {
                Err(StoreError::Newer { path: self.path.clone(), found, known: schema::VERSION })
            }
            format => Ok(format),
        }
    }

    fn set_up(&self) -> rusqlite::Result<()> {
        self.conn.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
        self.conn.query_row(&format!("PRAGMA journal_size_limit = {WAL_BYTES}"), [], |_| Ok(()))?;
        // Where a flush of the system is no flush of the disk; elsewhere it does nothing.
        self.conn.execute_batch("PRAGMA fullfsync = 1; PRAGMA checkpoint_fullfsync = 1")
    }

    /// Reads the database through, unless it is large, and counts that no event is missing.
    fn check(&self) -> Result<(), StoreError> {
        if size(&self.path) > CHECKED_BYTES {
            return Ok(());
        }
        let failed = |e| self.failed("check", e);
        let said: String = self.conn.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(failed)?;
        if said != "ok" {
            return Err(self.damaged(&said));
        }
        let (count, first, last): (i64, i64, i64) = self
            .conn
            .query_row("SELECT count(*), coalesce(min(seq), 1), coalesce(max(seq), 0) FROM event", [], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })
            .map_err(failed)?;
        if first != 1 || last != count {
            return Err(self.damaged(&format!("{count} events are numbered {first} to {last}")));
        }
        Ok(())
    }

    /// Commits from here on flush the disk, or do not. Only said to the database when it changes.
    fn set_sync(&mut self, full: bool) -> Result<(), StoreError> {
        if self.full_sync == Some(full) {
            return Ok(());
        }
        let sql = if full { "PRAGMA synchronous = 2" } else { "PRAGMA synchronous = 1" };
        let set = self.conn.prepare_cached(sql).and_then(|mut s| s.raw_execute());
        set.map_err(|e| self.failed("write", e))?;
        self.full_sync = Some(full);
        Ok(())
    }

    fn data_version(&self) -> Result<i64, StoreError> {
        self.conn
            .prepare_cached("PRAGMA data_version")
            .and_then(|mut s| s.query_row([], |row| row.get(0)))
            .map_err(|e| self.failed("read", e))
    }

    fn number(&self, sql: &str) -> Result<u64, StoreError> {
        self.conn
            .prepare_cached(sql)
            .and_then(|mut s| s.query_row([], |row| row.get(0)))
            .map(unsigned)
            .map_err(|e| self.failed("read", e))
    }

    fn rows<T>(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        self.conn
            .prepare_cached(sql)
            .and_then(|mut s| s.query_map(params, read)?.collect())
            .map_err(|e| self.failed("read", e))
    }

    fn damaged(&self, why: &str) -> StoreError {
        StoreError::Damaged { path: self.path.clone(), why: why.to_owned() }
    }

    fn failed(&self, verb: &'static str, error: rusqlite::Error) -> StoreError {
        use rusqlite::Error as E;
        match error {
            // A value that cannot be read back was not written by us: the bytes changed.
            E::FromSqlConversionFailure(..) | E::InvalidColumnType(..) | E::IntegralValueOutOfRange(..) => {
                self.damaged(&error.to_string())
            }
            // Tables are made with the file; without them it is not the file that was made.
            E::SqlInputError { ref msg, .. } if msg.starts_with("no such") => self.damaged(msg),
            error => StoreError::sql(verb, &self.path, error, Some(system_errno(&self.conn))),
        }
    }
}

/// What the operating system said when the last call of this connection failed.
fn system_errno(conn: &Connection) -> i32 {
    // SAFETY: the handle is open for the life of the borrow, and the call only reads a number.
    unsafe { rusqlite::ffi::sqlite3_system_errno(conn.handle()) }
}

/// Stores a batch whole or not at all. The transaction's own statements are prepared too: they
/// would cost as much again as an event.
fn insert(conn: &Connection, batch: &Batch<'_>) -> rusqlite::Result<Range<Seq>> {
    let run = |sql| conn.prepare_cached(sql)?.execute([]);
    run("BEGIN IMMEDIATE")?;
    let stored = insert_rows(conn, batch).and_then(|range| run("COMMIT").map(|_| range));
    // Some failures have rolled back by themselves.
    if stored.is_err() && !conn.is_autocommit() {
        run("ROLLBACK")?;
    }
    stored
}

fn insert_rows(conn: &Connection, batch: &Batch<'_>) -> rusqlite::Result<Range<Seq>> {
    for (digest, text) in &batch.texts.0 {
        conn.prepare_cached("INSERT OR IGNORE INTO text (digest, body) VALUES (?1, ?2)")?
            .execute(params![digest.as_str(), text])?;
    }
    let last: i64 = conn.prepare_cached("SELECT coalesce(max(seq), 0) FROM event")?.query_row([], |row| row.get(0))?;
    let mut end = last + 1;
    for event in &batch.events {
        conn.prepare_cached(
            "INSERT INTO event (seq, wall, mono, boot, task, attempt, name, data)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            end,
            event.at.wall.0,
            event.at.mono.0,
            event.at.boot.0.cast_signed(),
            event.task.map(TaskId::number),
            event.attempt.map(AttemptNo::get),
            event.name,
            event.data.to_string(),
        ])?;
        end += 1;
    }
    for action in &batch.actions {
        conn.prepare_cached("INSERT INTO action (id, data) VALUES (?1, ?2)")?
            .execute(params![signed(action.id.0), action.data.to_string()])?;
    }
    for id in &batch.finished {
        conn.prepare_cached("DELETE FROM action WHERE id = ?1")?.execute([signed(id.0)])?;
    }
    Ok(Seq(unsigned(last + 1))..Seq(unsigned(end)))
}

fn stored_event(row: &Row<'_>) -> rusqlite::Result<StoredEvent> {
    Ok(StoredEvent {
        seq: Seq(unsigned(row.get(0)?)),
        at: Now { wall: Wall(row.get(1)?), mono: Mono(row.get(2)?), boot: Boot(row.get::<_, i64>(3)?.cast_unsigned()) },
        task: row.get::<_, Option<u32>>(4)?.and_then(TaskId::new),
        attempt: row.get::<_, Option<u32>>(5)?.and_then(AttemptNo::new),
        event: row.get(6)?,
        data: json(row, 7)?,
    })
}

fn json(row: &Row<'_>, column: usize) -> rusqlite::Result<serde_json::Value> {
    let text = row.get_ref(column)?.as_str()?;
    serde_json::from_str(text)
        .map_err(|e| rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(e)))
}

/// Places and ids are never negative in the database; one that is shows as 0.
fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn limited(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
