//! The logs in which an agent counts what it uses, found and followed.
//!
//! **Invariant:** a log is read on from where the last look ended, a bounded piece at a time, and
//! anew only where it is another file or was cut off; neither takes back what was counted. Only
//! regular files are opened. Must not know: what a line means; that is the adapter's.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::agent::adapter::UsageRules;
use crate::agent::transcript::{Owner, rollout_owner};
use crate::agent::usage::Counter;
use crate::agent::{placeholder, plain, status_file, transcript};
use crate::model::id::AttemptId;
use crate::model::input::{Input, Observation};
use crate::model::name::HostId;
use crate::model::usage::{Counted, Seen};
use crate::os::file;

use super::effects::blocking;
use super::hosts::Voice;
use super::world::World;

/// Bytes read at one look, over all logs of a conversation: some milliseconds.
const PIECE: u64 = 1 << 20;

/// The most logs that are followed for one conversation: its own and those of its parts.
const MAX_LOGS: usize = 200;

/// The most names that are looked through in one folder.
const MAX_NAMES: usize = 20_000;

/// What a look brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reading {
    /// What the logs say, as far as they were read; `None` where nothing was said yet.
    pub counted: Option<Counted>,
    /// Whether there is more to be read now.
    pub more: bool,
}

/// Tells what an agent has used that ended while nobody followed its logs.
pub(super) fn tell_of_ended(world: &Arc<World>, attempt: AttemptId, host: HostId, voice: &Voice) {
    let Some(session) = voice.session.clone() else { return };
    let Some(mut meter) = Meter::new(voice, &session) else { return };
    let inputs = world.inputs.clone();
    tokio::spawn(async move {
        let Some(counted) = blocking(move || meter.finish()).await else { return };
        let seen = Observation::Used { seen: Seen { host, cpu: None, log: Some((session, counted)) } };
        let _ = inputs.send(Input::Observed { attempt, seen }).await;
    });
}

/// Follows the logs of one conversation.
#[derive(Debug, Clone)]
pub(super) struct Meter {
    rules: UsageRules,
    session: String,
    /// Where the log may lie, name by name.
    place: PathBuf,
    pattern: String,
    parts: Vec<String>,
    own: Option<PathBuf>,
    /// Logs that lie beside it, and whether they are of its parts: their first lines were read.
    beside: BTreeMap<PathBuf, bool>,
    logs: BTreeMap<PathBuf, Log>,
}

/// One log and how far it was read.
#[derive(Debug, Clone)]
struct Log {
    number: u64,
    offset: u64,
    counter: Counter,
    /// What it said before it was begun anew.
    before: Option<Counted>,
}

impl Meter {
    /// For a conversation of this agent; `None` where its logs count nothing, or cannot be found.
    pub(super) fn new(voice: &Voice, session: &str) -> Option<Self> {
        let adapter = &voice.adapter;
        let rules = adapter.usage.clone()?;
        // It becomes part of a path.
        if session.is_empty() || !session.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
            return None;
        }
        let place = status_file::root(adapter.transcripts.as_ref()?, &voice.env)?;
        let cwd = voice.worktree.canonicalize().unwrap_or_else(|_| voice.worktree.clone());
        let slug = transcript::claude_slug(&cwd.to_string_lossy());
        let values = [("slug", slug), ("session", session.to_owned())].into();
        let pattern = placeholder::fill(&rules.file, &values).ok()?;
        let parts = rules.parts.iter().map(|part| placeholder::fill(part, &values)).collect::<Result<_, _>>().ok()?;
        let (own, beside, logs) = (None, BTreeMap::new(), BTreeMap::new());
        Some(Self { rules, session: session.to_owned(), place, pattern, parts, own, beside, logs })
    }

    /// The conversation.
    pub(super) fn session(&self) -> &str {
        &self.session
    }

    /// Reads on. Blocks.
    pub(super) fn look(&mut self) -> Reading {
        if self.own.as_ref().is_none_or(|own| !own.exists()) {
            self.own = matching(&self.place, &self.pattern, 1).pop();
        }
        self.look_beside();
        let mut budget = PIECE;
        for path in self.found() {
            budget -= self.read(path, budget).min(budget);
        }
        let counted = self.logs.values().filter_map(Log::counted).reduce(Counted::plus);
        Reading { counted, more: budget == 0 }
    }

    /// Reads all there is. Blocks.
    pub(super) fn finish(&mut self) -> Option<Counted> {
        loop {
            let reading = self.look();
            if !reading.more {
                return reading.counted;
            }
        }
    }

    /// Learns which of the logs beside its own are of its parts. None of them is older.
    fn look_beside(&mut self) {
        let (Some(pattern), Some(own)) = (&self.rules.beside, &self.own) else { return };
        let mut found = Vec::new();
        collect(&self.place, pattern, MAX_NAMES, own.parent(), &mut found);
        self.beside.retain(|path, _| found.contains(path));
        for path in found.into_iter().filter(|path| path != own) {
            if !self.beside.contains_key(&path)
                && let Some(line) = first_line(&path)
            {
                let of_it = |owner: Owner| !owner.main && owner.of.as_ref() == Some(&self.session);
                self.beside.insert(path, rollout_owner(&line).is_ok_and(of_it));
            }
        }
    }

    /// Its log and those of its parts, the ones that are followed already among them.
    fn found(&self) -> Vec<PathBuf> {
        let Some(own) = &self.own else { return self.logs.keys().cloned().collect() };
        let mut all = vec![own.clone()];
        let folder = own.parent().unwrap_or(own);
        for part in &self.parts {
            all.extend(matching(folder, part, MAX_LOGS));
        }
        all.extend(self.beside.iter().filter(|(_, of_it)| **of_it).map(|(path, _)| path.clone()));
        all.truncate(MAX_LOGS);
        all
    }

    /// Reads on in one log; says how many bytes.
    fn read(&mut self, path: PathBuf, max: u64) -> u64 {
        let offset = self.logs.get(&path).map_or(0, |log| log.offset);
        let Ok(mut piece) = file::read_from(&path, offset, max) else { return 0 };
        let new = || Log { number: piece.number, offset: 0, counter: Counter::new(&self.rules), before: None };
        let log = self.logs.entry(path.clone()).or_insert_with(new);
        if log.number != piece.number || piece.len < log.offset {
            *log = Log { before: log.counted(), ..new() };
            match file::read_from(&path, 0, max) {
                Ok(again) => piece = again,
                Err(_) => return 0,
            }
        }
        let read = u64::try_from(piece.bytes.len()).unwrap_or(u64::MAX);
        log.counter.feed(&piece.bytes);
        log.offset += read;
        read
    }
}

impl Log {
    fn counted(&self) -> Option<Counted> {
        match (self.before, self.counter.counted()) {
            (Some(before), Some(now)) => Some(before.at_least(now)),
            (one, None) | (None, one) => one,
        }
    }
}

/// The files below a folder whose names are as in a pattern, in which `*` stands for anything within
/// one name; the last names first, so that of dated folders the newest come first.
fn matching(folder: &Path, pattern: &str, max: usize) -> Vec<PathBuf> {
    let mut found = Vec::new();
    collect(folder, pattern, max, None, &mut found);
    found
}

/// The first line of a file; `None` while it is not written to its end.
fn first_line(path: &Path) -> Option<Vec<u8>> {
    let mut bytes = file::read_from(path, 0, transcript::MAX_LINE as u64 + 1).ok()?.bytes;
    let end =
        bytes.iter().position(|byte| *byte == b'\n').or((bytes.len() > transcript::MAX_LINE).then_some(bytes.len()))?;
    bytes.truncate(end);
    Some(bytes)
}

/// `from`: nothing whose name comes before those on the way to this folder.
fn collect(folder: &Path, pattern: &str, max: usize, from: Option<&Path>, found: &mut Vec<PathBuf>) {
    let (name, rest) = pattern.split_once('/').map_or((pattern, None), |(name, rest)| (name, Some(rest)));
    for path in named(folder, name) {
        let depth = path.components().count();
        let first = from.and_then(|from| from.ancestors().find(|way| way.components().count() == depth));
        if first.is_some_and(|first| *path < *first) {
            continue;
        }
        match rest {
            _ if found.len() >= max => return,
            Some(rest) => collect(&path, rest, max, from, found),
            None if path.is_file() => found.push(path),
            None => {}
        }
    }
}

fn named(folder: &Path, name: &str) -> Vec<PathBuf> {
    if !name.contains('*') {
        return vec![folder.join(name)];
    }
    let entries = std::fs::read_dir(folder).into_iter().flatten().take(MAX_NAMES);
    let fits = |entry: &std::fs::DirEntry| entry.file_name().to_str().is_some_and(|found| plain::matches(name, found));
    let mut paths: Vec<PathBuf> = entries.flatten().filter(fits).map(|entry| entry.path()).collect();
    paths.sort_unstable_by(|a, b| b.cmp(a));
    paths
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::agent::adapter::builtin;
    use crate::model::time::Span;

    const SESSION: &str = "c47faca6-96d6-4d64-9fed-e48a984c6b1d";

    struct Home {
        dir: tempfile::TempDir,
        voice: Voice,
    }

    fn home(agent: &str) -> Home {
        let dir = tempfile::tempdir().expect("temp dir");
        let worktree = dir.path().join("wt");
        std::fs::create_dir(&worktree).expect("mkdir");
        let env = [("HOME".to_owned(), dir.path().display().to_string())].into();
        let voice = Voice {
            adapter: Arc::new(builtin(agent).expect("built in")),
            silence: Span::mins(1),
            prompted: true,
            session: None,
            unknown_version: None,
            type_after_start: None,
            env,
            worktree,
            last_words: false,
            plans: false,
            before: None,
            reads_outbox: false,
            memory: None,
        };
        Home { dir, voice }
    }

    impl Home {
        /// Where Claude Code keeps the log of the conversation.
        fn log(&self) -> PathBuf {
            let worktree = self.voice.worktree.canonicalize().expect("it is there");
            let slug = transcript::claude_slug(&worktree.to_string_lossy());
            let folder = self.dir.path().join(".claude/projects").join(slug);
            std::fs::create_dir_all(&folder).expect("mkdir");
            folder.join(format!("{SESSION}.jsonl"))
        }

        fn meter(&self) -> Meter {
            Meter::new(&self.voice, SESSION).expect("it counts")
        }
    }

    fn line(id: &str, output: u64) -> String {
        format!("{{\"type\":\"assistant\",\"message\":{{\"id\":\"{id}\",\"usage\":{{\"output_tokens\":{output}}}}}}}\n")
    }

    fn append(path: &Path, text: &str) {
        let mut file = std::fs::File::options().create(true).append(true).open(path).expect("open");
        file.write_all(text.as_bytes()).expect("write");
    }

    fn tokens(reading: Reading) -> Option<u64> {
        reading.counted.map(|counted| counted.tokens)
    }

    #[test]
    fn a_log_is_followed_from_where_it_was_read_to() {
        let home = home("claude");
        let (log, mut meter) = (home.log(), home.meter());
        assert_eq!(tokens(meter.look()), None, "there is none yet");
        append(&log, &line("a", 5));
        assert_eq!(tokens(meter.look()), Some(5));
        let (head, tail) = (line("b", 7), line("c", 1));
        append(&log, &head[..20]);
        assert_eq!(tokens(meter.look()), Some(5), "half a line");
        append(&log, &(head[20..].to_owned() + &tail));
        assert_eq!(tokens(meter.look()), Some(13));
        let read = meter.logs[&log].offset;
        assert_eq!(read, std::fs::metadata(&log).expect("meta").len(), "each byte once");
    }

    #[test]
    fn what_was_counted_stays_where_a_log_is_cut_off_replaced_or_removed() {
        let home = home("claude");
        let (log, mut meter) = (home.log(), home.meter());
        append(&log, &[line("a", 50), line("b", 50)].concat());
        assert_eq!(tokens(meter.look()), Some(100));
        std::fs::write(&log, line("c", 30)).expect("cut off");
        assert_eq!(tokens(meter.look()), Some(100), "nothing is taken back");
        append(&log, &line("d", 90));
        assert_eq!(tokens(meter.look()), Some(120), "what it says by now is more");
        file::write_atomic(&log, line("e", 200).as_bytes(), 0o600).expect("replaced");
        assert_eq!(tokens(meter.look()), Some(200));
        std::fs::remove_file(&log).expect("removed");
        assert_eq!(tokens(meter.look()), Some(200));
    }

    #[test]
    fn a_large_log_is_read_piece_by_piece() {
        let home = home("claude");
        let (log, mut meter) = (home.log(), home.meter());
        let noise = format!("{{\"type\":\"user\",\"text\":\"{}\"}}\n", "x".repeat(200_000));
        for n in 0..20 {
            append(&log, &(noise.clone() + &line(&format!("m{n}"), 1)));
        }
        assert!(meter.look().more);
        assert_eq!(meter.finish().map(|counted| counted.tokens), Some(20));
        assert!(!meter.look().more);
    }

    #[test]
    fn parts_count_with_it_and_other_conversations_do_not() {
        let home = home("claude");
        let (log, mut meter) = (home.log(), home.meter());
        append(&log, &line("a", 1));
        let parts = log.with_extension("").join("subagents");
        std::fs::create_dir_all(&parts).expect("mkdir");
        append(&parts.join("agent-1.jsonl"), &line("a", 10));
        append(&parts.join("agent-2.jsonl"), &line("b", 100));
        append(&parts.join("agent-1.meta.json"), &line("c", 1_000));
        append(&log.with_file_name("another.jsonl"), &line("d", 10_000));
        assert_eq!(tokens(meter.look()), Some(111));
    }

    #[test]
    fn a_rollout_is_found_below_its_day() {
        let home = home("codex");
        let day = home.dir.path().join(".codex/sessions/2026/11/20");
        std::fs::create_dir_all(&day).expect("mkdir");
        std::fs::create_dir_all(home.dir.path().join(".codex/sessions/2026/11/21")).expect("mkdir");
        let usage = "{\"type\":\"event_msg\",\"payload\":{\"type\":\"token_count\",\"info\":{\"total_token_usage\":\
                     {\"input_tokens\":10,\"cached_input_tokens\":4,\"output_tokens\":3}}}}\n";
        append(&day.join(format!("rollout-2026-11-20T10-00-00-{SESSION}.jsonl")), usage);
        append(&day.join("rollout-2026-11-20T11-00-00-another.jsonl"), &usage.repeat(3));
        assert_eq!(tokens(home.meter().look()), Some(9));
    }

    #[test]
    fn a_rollout_of_a_sub_agent_counts_with_its_parents() {
        let recorded = include_str!("../../tests/recordings/codex-rollout-subagent.jsonl");
        let (first, rest) = recorded.split_once('\n').expect("a first line");
        let owner = transcript::rollout_owner(first.as_bytes()).expect("recorded");
        let session = owner.of.expect("named");
        let home = home("codex");
        let day = |day: &str| {
            let folder = home.dir.path().join(".codex/sessions/2026/11").join(day);
            std::fs::create_dir_all(&folder).expect("mkdir");
            folder
        };
        let mut meter = Meter::new(&home.voice, &session).expect("it counts");
        let usage = "{\"type\":\"event_msg\",\"payload\":{\"type\":\"token_count\",\"info\":{\"total_token_usage\":\
                     {\"input_tokens\":10,\"cached_input_tokens\":4,\"output_tokens\":3}}}}\n";
        append(&day("20").join(format!("rollout-2026-11-20T23-59-59-{session}.jsonl")), usage);
        assert_eq!(tokens(meter.look()), Some(9));
        // Its beginning is being written.
        let part = day("21").join(format!("rollout-2026-11-21T00-00-01-{}.jsonl", owner.session));
        append(&part, &first[..100]);
        assert_eq!(tokens(meter.look()), Some(9));
        append(&part, &format!("{}\n", &first[100..]));
        assert_eq!(tokens(meter.look()), Some(9), "it has used nothing yet");
        append(&part, rest);
        assert_eq!(tokens(meter.look()), Some(9 + 15_484), "each of them once");
        assert_eq!(tokens(meter.look()), Some(9 + 15_484));
        // Others': of another conversation, a conversation of its own, one that is older than this.
        append(&day("21").join("rollout-2026-11-21T00-00-02-a.jsonl"), &recorded.replace(&session, "another"));
        append(
            &day("21").join("rollout-2026-11-21T00-00-03-b.jsonl"),
            &recorded.replace("\"subagent\",\"agent_n", "\"user\",\"agent_n"),
        );
        append(&day("19").join("rollout-2026-11-19T00-00-00-c.jsonl"), recorded);
        append(&day("21").join("rollout-2026-11-21T00-00-04-d.jsonl"), "no line at all\n");
        assert_eq!(tokens(meter.look()), Some(9 + 15_484));
        assert_eq!(Meter::new(&home.voice, &session).expect("it counts").finish().map(|c| c.tokens), Some(9 + 15_484));
    }

    #[test]
    fn what_is_no_file_or_no_name_is_passed_over() {
        let home = home("claude");
        let log = home.log();
        std::fs::create_dir(&log).expect("a folder of that name");
        assert_eq!(tokens(home.meter().look()), None);
        std::fs::remove_dir(&log).expect("removed");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &log,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::from_raw_mode(0o600),
            0,
        )
        .expect("a fifo");
        assert_eq!(tokens(home.meter().look()), None, "nobody is waited for");
        for session in ["", "../../etc/passwd", "a*", "a/b"] {
            assert!(Meter::new(&home.voice, session).is_none(), "{session:?}");
        }
    }
}
