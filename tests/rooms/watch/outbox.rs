//! Outboxes: told at once, read safely, whatever an agent puts there.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use standup::watch::WatchEvent;
use standup::watch::outbox::{self, Kind, MAX_BYTES, OutboxError, UNFINISHED};

use super::{DEADLINE, Watched, key, write};

const LETTER: &str = r#"{"schemaVersion":1,"kind":"check-in","state":"working"}"#;

/// The outbox of a worktree in a new folder.
fn place() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("temp dir");
    let outbox = super::outbox(dir.path());
    fs::create_dir_all(&outbox).expect("mkdir");
    (dir, outbox)
}

fn names(outbox: &Path, cap: usize) -> Vec<String> {
    outbox::read(outbox, cap)
        .into_iter()
        .map(|letter| letter.expect("a letter").file.into_string().expect("utf-8"))
        .collect()
}

fn told_letter(tree: &Watched, name: &str) {
    let told = WatchEvent::Outbox { key: key(1), file: name.into() };
    tree.until(|event| *event == told);
}

#[test]
fn a_letter_is_told_at_once_however_it_was_written() {
    // The folder keeps itself out of commits, and the repository may ignore all of it besides.
    let tree = Watched::with(&["src/f"]);
    fs::write(tree.path(".gitignore"), ".standup/\n").expect("write");
    tree.told(".gitignore");
    tree.rest();
    fs::create_dir_all(tree.path(".standup/run/outbox")).expect("mkdir");
    fs::write(tree.path(".standup/run/.gitignore"), "*\n").expect("write");
    let outbox = super::outbox(tree.root.path());

    fs::write(outbox.join(".1.tmp"), LETTER).expect("write");
    fs::rename(outbox.join(".1.tmp"), outbox.join("1.json")).expect("rename");
    told_letter(&tree, "1.json");
    fs::write(outbox.join("2.json"), LETTER).expect("write by hand");
    told_letter(&tree, "2.json");
    fs::hard_link(outbox.join("2.json"), outbox.join("3.json")).expect("link");
    told_letter(&tree, "3.json");
    // Not before its writer is done with it.
    let mut slow = fs::File::create(outbox.join("4.json")).expect("create");
    slow.write_all(&LETTER.as_bytes()[..10]).expect("write");
    assert_eq!(tree.rest(), []);
    slow.write_all(&LETTER.as_bytes()[10..]).expect("write");
    drop(slow);
    told_letter(&tree, "4.json");
    // Neither these names nor what lies deeper.
    fs::write(outbox.join(".hidden.json"), LETTER).expect("write");
    fs::write(outbox.join("note.txt"), LETTER).expect("write");
    fs::create_dir(outbox.join("dir.json")).expect("mkdir");
    fs::write(outbox.join("dir.json/5.json"), LETTER).expect("write");
    assert_eq!(tree.rest(), []);
    assert_eq!(names_of_letters(&outbox), ["1.json", "2.json", "3.json", "4.json"]);
}

fn names_of_letters(outbox: &Path) -> Vec<String> {
    let mut names: Vec<String> = outbox::read(outbox, 100)
        .into_iter()
        .flatten()
        .map(|letter| letter.file.into_string().expect("utf-8"))
        .collect();
    names.sort();
    names
}

#[test]
fn what_stands_in_the_way_of_an_outbox_is_told() {
    for (at, ignored) in [(".standup", false), (".standup/run", true), (".standup/run/outbox", true)] {
        for what in ["a link to a folder", "a FIFO", "a file, moved there"] {
            let tree = Watched::with(&["src/f", ".standup/run/outbox/.keep"]);
            if ignored {
                fs::write(tree.path(".standup/.gitignore"), "*\n").expect("write");
            }
            tree.rest();
            let (place, aside) = (tree.path(at), tree.path("src/aside"));
            fs::rename(&place, &aside).expect("rename");
            match what {
                "a link to a folder" => symlink(&aside, &place).expect("link"),
                "a FIFO" => {
                    let mode = rustix::fs::Mode::from_raw_mode(0o600);
                    rustix::fs::mknodat(rustix::fs::CWD, &place, rustix::fs::FileType::Fifo, mode, 0).expect("FIFO");
                }
                _ => fs::rename(tree.path("src/f"), &place).expect("rename"),
            }
            tree.until(|event| *event == WatchEvent::NoOutbox { key: key(1) });
            fs::remove_file(&place).expect("remove");
            fs::rename(&aside, &place).expect("rename");
            fs::write(tree.path(".standup/run/outbox/1.json"), LETTER).expect("write");
            told_letter(&tree, "1.json");
        }
    }
}

#[test]
fn letters_that_lie_there_already_are_told() {
    let tree = Watched::with(&["src/f", ".standup/run/outbox/1.json", ".standup/run/outbox/.2.json"]);
    told_letter(&tree, "1.json");
    // A new outbox, with a letter in it from the start.
    fs::remove_dir_all(tree.path(".standup")).expect("remove");
    write(tree.root.path(), "elsewhere/run/outbox/3.json", LETTER);
    fs::rename(tree.path("elsewhere"), tree.path(".standup")).expect("rename");
    told_letter(&tree, "3.json");
}

#[test]
fn a_flood_of_letters_is_told_by_a_few_and_read_to_the_end() {
    let tree = Watched::with(&[".standup/run/outbox/.keep"]);
    let outbox = super::outbox(tree.root.path());
    for n in 0..10_000 {
        fs::write(outbox.join(format!("{n:05}.json")), LETTER).expect("write");
    }
    let mut read = Vec::new();
    let deadline = Instant::now() + DEADLINE;
    while read.len() < 10_000 {
        assert!(Instant::now() < deadline, "{} letters", read.len());
        tree.until(|event| matches!(event, WatchEvent::Outbox { .. }));
        loop {
            let batch = names(&outbox, 1_000);
            assert!(batch.len() <= 1_000);
            if batch.is_empty() {
                break;
            }
            for name in &batch {
                outbox::take(&outbox, OsStr::new(name)).expect("take");
            }
            read.extend(batch);
        }
    }
    assert!(read.is_sorted(), "those that came first come first");
}

#[test]
fn taking_and_refusing_can_be_repeated() {
    let (_dir, outbox) = place();
    fs::write(outbox.join("1.json"), LETTER).expect("write");
    fs::write(outbox.join("2.json"), LETTER).expect("write");
    assert_eq!(names(&outbox, 1), ["1.json"]);
    for _ in 0..2 {
        outbox::take(&outbox, OsStr::new("1.json")).expect("take");
        outbox::refuse(&outbox, OsStr::new("2.json")).expect("refuse");
    }
    assert_eq!(names(&outbox, 9), [""; 0]);
    assert_eq!(fs::read_to_string(outbox.join(".refused-2.json")).expect("kept"), LETTER);
    fs::remove_dir_all(&outbox).expect("remove");
    assert!(outbox::read(&outbox, 9).is_empty());
    outbox::take(&outbox, OsStr::new("1.json")).expect("nothing left to do");
    outbox::refuse(&outbox, OsStr::new("1.json")).expect("nothing left to do");
}

#[test]
fn what_is_no_letter_is_refused_without_being_opened() {
    let (dir, outbox) = place();
    fs::write(dir.path().join("secret"), r#"{"secret":1}"#).expect("write");
    symlink(dir.path().join("secret"), outbox.join("link.json")).expect("link");
    symlink("nowhere", outbox.join("dangling.json")).expect("link");
    fs::create_dir(outbox.join("dir.json")).expect("mkdir");
    fs::write(outbox.join("dir.json/inside"), "").expect("write");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, outbox.join("fifo.json"), rustix::fs::FileType::Fifo, mode, 0).expect("fifo");
    let _socket = std::os::unix::net::UnixListener::bind(outbox.join("socket.json")).expect("socket");
    fs::write(outbox.join("large.json"), format!("\"{}\"", "x".repeat(MAX_BYTES))).expect("write");
    fs::write(outbox.join("fits.json"), format!("\"{}\"", "x".repeat(MAX_BYTES - 2))).expect("write");
    let sparse = fs::File::create(outbox.join("sparse.json")).expect("create");
    sparse.set_len(1 << 40).expect("a terabyte of nothing");

    let mut refused = Vec::new();
    for letter in outbox::read(&outbox, 100) {
        match letter {
            Ok(letter) => assert_eq!(letter.file, "fits.json"),
            Err(error) => refused.push(error),
        }
    }
    assert_eq!(refused.len(), 7);
    for error in &refused {
        let name = error.refused().expect("to be refused");
        let large = name == "large.json" || name == "sparse.json";
        assert_eq!(matches!(error, OutboxError::TooLarge { .. }), large, "{error}");
        assert_eq!(matches!(error, OutboxError::NotRegular { .. }), !large, "{error}");
        outbox::refuse(&outbox, name).expect("refuse");
    }
    assert_eq!(names(&outbox, 100), ["fits.json"], "what was refused does not come again");
    assert_eq!(fs::read_to_string(dir.path().join("secret")).expect("untouched"), r#"{"secret":1}"#);
}

#[test]
fn a_half_written_letter_is_left_until_nobody_can_be_writing_it() {
    let (_dir, outbox) = place();
    for (name, text) in [("cut.json", &LETTER[..20]), ("empty.json", ""), ("binary.json", "\u{1}\u{2}")] {
        fs::write(outbox.join(name), text).expect("write");
    }
    let mut waited = Duration::ZERO;
    for error in outbox::read(&outbox, 100) {
        let Err(OutboxError::Unfinished { again_in, .. }) = error else { panic!("{error:?}") };
        assert!(again_in <= UNFINISHED && again_in.0 > 0);
        waited = waited.max(again_in.to_std());
    }
    assert!(waited > Duration::ZERO);
    let deadline = Instant::now() + DEADLINE;
    loop {
        let errors: Vec<_> = outbox::read(&outbox, 100).into_iter().map(Result::unwrap_err).collect();
        if errors.iter().all(|error| matches!(error, OutboxError::NotJson { .. })) {
            assert_eq!(errors.iter().filter_map(OutboxError::refused).count(), 3);
            break;
        }
        assert!(Instant::now() < deadline, "{errors:?}");
        std::thread::park_timeout(waited / 10);
    }
    // Finished after all: a letter like any other.
    fs::write(outbox.join("cut.json"), LETTER).expect("write");
    assert!(outbox::read(&outbox, 100).into_iter().flatten().any(|letter| letter.file == "cut.json"));
}

#[test]
fn an_outbox_that_leads_elsewhere_is_not_read() {
    let victim = tempfile::tempdir().expect("temp dir");
    write(victim.path(), "run/outbox/1.json", LETTER);
    for link in [".standup", ".standup/run", ".standup/run/outbox"] {
        let dir = tempfile::tempdir().expect("temp dir");
        let outbox = super::outbox(dir.path());
        let (at, target) = match link {
            ".standup" => (dir.path().join(link), victim.path().to_owned()),
            ".standup/run" => (dir.path().join(link), victim.path().join("run")),
            _ => (dir.path().join(link), victim.path().join("run/outbox")),
        };
        fs::create_dir_all(at.parent().expect("parent")).expect("mkdir");
        symlink(target, at).expect("link");
        assert!(outbox.join("1.json").exists(), "the link works for who follows it");
        let read = outbox::read(&outbox, 9);
        assert!(matches!(read.as_slice(), [Err(OutboxError::NotOwn { .. })]), "{link}: {read:?}");
        assert!(outbox::take(&outbox, OsStr::new("1.json")).is_err());
        assert!(outbox::refuse(&outbox, OsStr::new("1.json")).is_err());
        assert!(victim.path().join("run/outbox/1.json").exists());
    }
    let dir = tempfile::tempdir().expect("temp dir");
    write(dir.path(), ".standup/run/outbox", "a file");
    let read = outbox::read(&super::outbox(dir.path()), 9);
    assert!(matches!(read.as_slice(), [Err(OutboxError::NotOwn { .. })]), "{read:?}");
}

#[test]
fn thinning_out_keeps_the_newest_and_removes_only_letters() {
    let (dir, outbox) = place();
    assert_eq!(outbox::thin(&super::outbox(&dir.path().join("nowhere")), Kind::CheckIn, 3).expect("nothing there"), 0);
    for n in 0..20 {
        fs::write(outbox.join(format!("{n:02}.json")), LETTER).expect("write");
    }
    for name in [".refused-1.json", "notes.txt"] {
        fs::write(outbox.join(name), LETTER).expect("write");
    }
    fs::write(dir.path().join("kept"), "x").expect("write");
    symlink(dir.path().join("kept"), outbox.join("zz.json")).expect("link");
    assert_eq!(outbox::thin(&outbox, Kind::CheckIn, 30).expect("thin"), 0);
    // The link is the newest of the four that stay.
    assert_eq!(outbox::thin(&outbox, Kind::CheckIn, 4).expect("thin"), 17);
    assert_eq!(names_of_letters(&outbox), ["17.json", "18.json", "19.json"]);
    assert_eq!(outbox::thin(&outbox, Kind::CheckIn, 0).expect("thin"), 4);
    assert!(outbox.join(".refused-1.json").exists() && outbox.join("notes.txt").exists());
    assert!(dir.path().join("kept").exists(), "what a link leads to is not removed");
}

#[test]
fn hooks_that_are_left_are_few_whole_and_nowhere_else() {
    let (dir, outbox) = place();
    fs::write(outbox.join("1.json"), LETTER).expect("write");
    for n in 0..5 {
        outbox::leave_hook(&outbox, format!("[{n}]").as_bytes(), 3).expect("left");
    }
    let left: Vec<outbox::Letter> = outbox::read(&outbox, 9).into_iter().flatten().collect();
    let hooks: Vec<&[u8]> = left.iter().filter(|l| l.kind == Kind::Hook).map(|l| l.bytes.as_slice()).collect();
    assert_eq!(hooks, [b"[2]", b"[3]", b"[4]"], "the newest, in order");
    assert_eq!(left.iter().filter(|l| l.kind == Kind::CheckIn).count(), 1, "and no check-in is lost for them");
    assert_eq!(fs::read_dir(&outbox).expect("list").count(), 4, "nothing half-written lies there");
    // It is made where it is missing, and no link is followed.
    fs::remove_dir_all(&outbox).expect("remove");
    outbox::leave_hook(&outbox, b"{}", 3).expect("left");
    assert_eq!(outbox::read(&outbox, 9).len(), 1);
    fs::remove_dir_all(&outbox).expect("remove");
    symlink(dir.path(), &outbox).expect("link");
    let before = fs::read_dir(dir.path()).expect("list").count();
    assert!(matches!(outbox::leave_hook(&outbox, b"{}", 3), Err(OutboxError::NotOwn { .. })));
    assert_eq!(fs::read_dir(dir.path()).expect("list").count(), before);
    assert!(outbox::leave_hook(&dir.path().join("no/where"), b"{}", 3).is_err(), "and only in an outbox");
}
