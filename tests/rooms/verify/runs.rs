//! Checks as real processes in real folders.

use std::ffi::OsString;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use standup::model::name::{CheckName, Oid, RepoPath};
use standup::model::settings::{CheckSettings, ReportFormat};
use standup::model::time::Span;
use standup::model::verdict::{CheckOutcome, CheckResult, Verdict, VerdictOutcome};
use standup::os::run::Run;
use standup::os::{locate, process};
use standup::verify::{self, Files, Job, Progress};

/// No test here takes longer; one that does has found a bug.
const DEADLINE: Duration = Duration::from_secs(60);

const MARKER: &str = "STANDUP_TEST_RUN";

/// A worktree with one file, a folder for logs, and a marker of its own.
struct Place {
    dir: tempfile::TempDir,
    marker: String,
}

impl Place {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let dir = tempfile::tempdir().expect("temp dir");
        std::fs::create_dir(dir.path().join("tree")).expect("mkdir");
        std::fs::write(dir.path().join("tree/code.txt"), "one").expect("write");
        let marker = format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        Self { dir, marker }
    }

    fn tree(&self) -> PathBuf {
        self.dir.path().join("tree")
    }

    fn logs(&self) -> PathBuf {
        self.dir.path().join("logs")
    }

    fn job(&self, checks: Vec<CheckSettings>) -> Job {
        let path = std::env::var_os("PATH").expect("PATH");
        Job {
            worktree: self.tree(),
            checks,
            env: vec![("PATH".into(), path), ("KEPT".into(), "yes".into())],
            log_dir: self.logs(),
            marker: (MARKER.into(), self.marker.clone()),
        }
    }

    /// Runs to the end and proves that nothing is left.
    fn run_job(&self, job: &Job, cancel: &AtomicBool) -> Verdict {
        let began = Instant::now();
        let verdict = verify::run(job, &|| hash(&self.tree()).map(Files::from), cancel, &mut |_| {});
        assert!(began.elapsed() < DEADLINE, "took {:?}", began.elapsed());
        assert_eq!(process::marked(&format!("{MARKER}={}", self.marker)), [], "left behind");
        verdict
    }

    fn run(&self, checks: Vec<CheckSettings>) -> Verdict {
        self.run_job(&self.job(checks), &AtomicBool::new(false))
    }

    /// One check, whose tree does not move unless the test says so.
    fn one(&self, report: ReportFormat, command: &str) -> CheckResult {
        let mut verdict = self.run(vec![check("test", report, command)]);
        verdict.checks.remove(0)
    }
}

impl Drop for Place {
    /// A test that fails leaves nothing either.
    fn drop(&mut self) {
        for id in process::marked(&format!("{MARKER}={}", self.marker)) {
            let _ = id.signal(rustix::process::Signal::KILL);
        }
    }
}

fn check(name: &str, report: ReportFormat, command: &str) -> CheckSettings {
    let name = CheckName::new(name).expect("a name");
    CheckSettings { name, run: command.into(), report, timeout: Span::secs(30) }
}

fn junit(path: &str) -> ReportFormat {
    ReportFormat::Junit(RepoPath::new(path).expect("a path"))
}

/// Names and contents of the files in a folder that do not start with a dot.
fn hash(dir: &Path) -> Result<Oid, String> {
    let mut files: Vec<_> = std::fs::read_dir(dir).map_err(|e| e.to_string())?.flatten().collect();
    files.sort_by_key(std::fs::DirEntry::file_name);
    let mut digest = Sha256::new();
    for file in files.iter().filter(|file| file.file_type().is_ok_and(|kind| kind.is_file())) {
        if !file.file_name().to_string_lossy().starts_with('.') {
            digest.update(file.file_name().as_encoded_bytes());
            digest.update(std::fs::read(file.path()).map_err(|e| e.to_string())?);
        }
    }
    let hex: String = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Oid::new(hex).map_err(|e| e.to_string())
}

const XML: &str = r#"<testsuite><testcase name="a"/><testcase name="b"/></testsuite>"#;

#[test]
fn checks_that_pass_are_green_and_bound_to_the_tree() {
    let place = Place::new();
    let mut seen = Vec::new();
    let mut note = |progress: Progress<'_>| {
        seen.push(match progress {
            Progress::Started { name, index, of } => format!("{name} {index}/{of}"),
            Progress::Finished(result) => format!("{} {:?}", result.name, result.outcome),
        });
    };
    let job = place.job(vec![
        check("fmt", ReportFormat::Exit, "echo formatted"),
        check("test", ReportFormat::Tap, "echo 1..1; echo ok 1"),
    ]);
    let verdict = verify::run(&job, &|| hash(&place.tree()).map(Files::from), &AtomicBool::new(false), &mut note);
    assert_eq!((verdict.outcome, verdict.tree), (VerdictOutcome::Green, hash(&place.tree()).ok()));
    assert_eq!(seen, ["fmt 0/2", "fmt Pass", "test 1/2", "test Pass"]);
    let fmt = &verdict.checks[0];
    assert_eq!((fmt.exit_code, fmt.tail.as_str(), fmt.command.as_str()), (Some(0), "formatted", "echo formatted"));
    assert_eq!(verdict.checks[1].tests.expect("counted").passed, 1);
    let log = verify::log_path(&place.logs(), &fmt.name);
    assert_eq!(std::fs::read(log).expect("log"), b"formatted\n");
}

#[test]
fn a_failing_check_does_not_stop_the_others() {
    let place = Place::new();
    let failing = "echo 1..2; echo ok 1; echo 'not ok 2 - sums'; exit 1";
    let verdict = place.run(vec![check("test", ReportFormat::Tap, failing), check("lint", ReportFormat::Exit, "true")]);
    assert_eq!(verdict.outcome, VerdictOutcome::Red);
    let test = &verdict.checks[0];
    assert_eq!((test.outcome, test.why.as_str()), (CheckOutcome::Fail, "1 of 2 tests failed"));
    assert_eq!(test.failures[0].test, "sums");
    assert_eq!(verdict.checks[1].outcome, CheckOutcome::Pass);
    assert!(verify::failure_key(&verdict).is_some());
}

#[test]
fn no_checks_prove_nothing() {
    assert_eq!(Place::new().run(Vec::new()).outcome, VerdictOutcome::None);
}

#[test]
fn a_time_limit_ends_a_check_that_ignores_term() {
    let place = Place::new();
    let command = "trap '' TERM; echo working; (trap '' TERM; sleep 600) & sleep 600";
    let mut slow = check("slow", ReportFormat::Exit, command);
    slow.timeout = Span(300);
    let verdict = place.run(vec![slow, check("next", ReportFormat::Exit, "true")]);
    let slow = &verdict.checks[0];
    assert_eq!((slow.outcome, slow.exit_code), (CheckOutcome::Timeout, None));
    assert_eq!((slow.why.as_str(), slow.tail.as_str()), ("it ran longer than its limit of 300ms", "working"));
    assert!(slow.notes.is_empty(), "{:?}", slow.notes);
    assert_eq!((verdict.checks[1].outcome, verdict.outcome), (CheckOutcome::Pass, VerdictOutcome::Red));
}

#[test]
fn what_a_check_leaves_behind_is_ended_and_said() {
    let place = Place::new();
    // One stays in the group, one leaves it and its parent, one keeps the output open as well.
    let command = "sleep 600 >/dev/null 2>&1 & \
        setsid sh -c 'trap \"\" TERM HUP; sleep 600 & sleep 600; :' >/dev/null 2>&1 & \
        setsid sleep 600 & sleep 0.2; exit 0";
    let result = place.one(ReportFormat::Exit, command);
    assert_eq!(result.outcome, CheckOutcome::Pass, "{result:?}");
    let note = result.notes.first().expect("said");
    assert!(note.starts_with("left 5 processes (") && note.contains("sleep"), "{note}");
}

#[test]
fn a_pipeline_that_ends_by_itself_leaves_nothing() {
    let result = Place::new().one(ReportFormat::Exit, "yes | head -n 100000 | tail -n 1; echo x | cat");
    assert_eq!((result.outcome, result.notes), (CheckOutcome::Pass, vec![]));
}

#[test]
fn a_tree_that_moves_under_the_checks_is_stale() {
    let place = Place::new();
    let verdict = place.run(vec![
        check("fmt", ReportFormat::Exit, "true"),
        check("test", ReportFormat::Exit, "echo two > code.txt"),
        check("undo", ReportFormat::Exit, "printf one > code.txt"),
    ]);
    assert_eq!(verdict.outcome, VerdictOutcome::Stale);
    assert!(verdict.why.starts_with("files changed while the check test ran"), "{}", verdict.why);
    assert!(verdict.checks.iter().all(|check| check.outcome == CheckOutcome::Pass));
    assert_eq!(hash(&place.tree()).ok(), verdict.tree, "moved and moved back is still stale");
}

#[test]
fn a_file_that_was_seen_otherwise_makes_it_stale_though_it_is_as_before() {
    let place = Place::new();
    let job = place.job(vec![
        check("fmt", ReportFormat::Exit, "true"),
        check("test", ReportFormat::Exit, "touch .ran"),
        check("lint", ReportFormat::Exit, "exit 1"),
    ]);
    let files = || {
        let moved = place.tree().join(".ran").exists().then(|| "code.txt".to_owned());
        hash(&place.tree()).map(|tree| Files { tree, moved })
    };
    let verdict = verify::run(&job, &files, &AtomicBool::new(false), &mut |_| {});
    assert_eq!((verdict.outcome, verdict.tree), (VerdictOutcome::Stale, hash(&place.tree()).ok()));
    assert!(verdict.why.starts_with("code.txt changed while the check test ran, and was put"), "{}", verdict.why);
}

#[test]
fn a_tree_that_cannot_be_read_is_an_error() {
    let place = Place::new();
    let job = place.job(vec![check("test", ReportFormat::Exit, "touch ran")]);
    let verdict = verify::run(&job, &|| Err("no index".into()), &AtomicBool::new(false), &mut |_| {});
    assert_eq!(verdict.outcome, VerdictOutcome::Error);
    assert_eq!(verdict.why, "the files cannot be read: no index");
    assert!(!place.tree().join("ran").exists());

    let gone = place.run(vec![check("test", ReportFormat::Exit, "rm -r ../tree")]);
    assert_eq!(gone.outcome, VerdictOutcome::Error);
}

#[test]
fn a_worktree_that_is_gone_is_an_error() {
    let place = Place::new();
    let mut job = place.job(vec![check("test", ReportFormat::Exit, "true")]);
    job.worktree = place.tree().join("nowhere");
    let verdict = place.run_job(&job, &AtomicBool::new(false));
    assert_eq!((verdict.outcome, verdict.checks[0].why.as_str()), (VerdictOutcome::Error, "the worktree is gone"));
}

#[test]
fn a_cancelled_run_never_passes() {
    for command in ["echo started > .started; sleep 600", "echo started > .started; exec >&- 2>&-; sleep 600"] {
        let place = Place::new();
        let job = place.job(vec![
            check("first", ReportFormat::Exit, "true"),
            check("long", ReportFormat::Exit, command),
            check("never", ReportFormat::Exit, "true"),
        ]);
        let cancel = Arc::new(AtomicBool::new(false));
        let (flag, started) = (Arc::clone(&cancel), place.tree().join(".started"));
        let canceller = thread::spawn(move || {
            let until = Instant::now() + DEADLINE;
            while !started.exists() && Instant::now() < until {
                thread::sleep(Duration::from_millis(5));
            }
            flag.store(true, Ordering::Relaxed);
        });
        let verdict = place.run_job(&job, &cancel);
        canceller.join().expect("joined");
        let ends: Vec<(CheckOutcome, &str)> = verdict.checks.iter().map(|c| (c.outcome, c.why.as_str())).collect();
        let expected = [
            (CheckOutcome::Pass, ""),
            (CheckOutcome::Error, "aborted"),
            (CheckOutcome::Error, "aborted before it started"),
        ];
        assert_eq!(ends, expected);
        assert_eq!(verdict.outcome, VerdictOutcome::Error);
    }
}

#[test]
fn a_check_that_runs_no_test_does_not_pass() {
    let place = Place::new();
    for (report, command, why) in [
        (ReportFormat::Tap, "echo '1..0 # SKIP none'", "no test ran"),
        (ReportFormat::Tap, "echo 1..1; echo 'ok 1 # skip'", "no test ran (1 skipped)"),
        (ReportFormat::Pytest, "echo '=== no tests ran in 0.01s ==='; exit 5", "no test ran (exit code 5)"),
        (ReportFormat::Libtest, "true", "no test ran: its output holds no report of the configured format"),
    ] {
        let result = place.one(report, command);
        assert_eq!((result.outcome, result.why.as_str()), (CheckOutcome::Fail, why), "{command}");
    }
}

#[test]
fn neither_a_lying_report_nor_a_lying_exit_code_passes() {
    let place = Place::new();
    let result = place.one(ReportFormat::Tap, "echo 1..1; echo not ok 1; exit 0");
    assert_eq!(
        (result.outcome, result.why.as_str()),
        (CheckOutcome::Fail, "1 of 1 tests failed, although it exited with 0")
    );
    let result = place.one(ReportFormat::Tap, "echo 1..1; echo ok 1; exit 9");
    assert_eq!((result.outcome, result.exit_code), (CheckOutcome::Fail, Some(9)));
    let result = place.one(ReportFormat::Tap, "echo 1..2; echo ok 1");
    assert_eq!(result.why, "the report contradicts itself: it announces 2 tests and lists 1");
}

#[test]
fn a_report_is_found_on_either_stream() {
    let place = Place::new();
    for command in ["echo noise >&2; echo 1..1; echo ok 1", "echo noise; echo 1..1 >&2; echo ok 1 >&2"] {
        assert_eq!(place.one(ReportFormat::Tap, command).outcome, CheckOutcome::Pass, "{command}");
    }
}

#[test]
fn a_report_file_written_by_this_run_counts() {
    let place = Place::new();
    std::fs::create_dir_all(place.tree().join("target/ci")).expect("mkdir");
    std::fs::write(place.dir.path().join("ready.xml"), XML).expect("write");
    for again in 0..5 {
        // The second time it replaces its own file by the same bytes.
        let result = place.one(junit("target/ci/j.xml"), "cat ../ready.xml > target/ci/j.xml");
        assert_eq!(result.outcome, CheckOutcome::Pass, "{again}: {}", result.why);
        assert_eq!(result.tests.expect("counted").passed, 2);
    }
    let result = place.one(junit("target/ci/j.xml"), "cp ../ready.xml target/ci/k && mv target/ci/k target/ci/j.xml");
    assert_eq!(result.outcome, CheckOutcome::Pass, "{}", result.why);
}

#[test]
fn a_report_file_that_is_no_evidence_does_not_count() {
    let place = Place::new();
    let outside = place.dir.path().join("outside");
    std::fs::create_dir(&outside).expect("mkdir");
    std::fs::write(outside.join("j.xml"), XML).expect("write");
    let tree = place.tree();
    std::fs::create_dir(tree.join("real")).expect("mkdir");
    std::fs::write(tree.join("real/stale.xml"), XML).expect("write");
    symlink(&outside, tree.join("linked")).expect("link");
    symlink(outside.join("j.xml"), tree.join("real/link.xml")).expect("link");
    for (path, command, why) in [
        ("none.xml", "true", "none.xml: there is no such file"),
        ("no/such/dir.xml", "true", "no: there is no such file"),
        ("real/stale.xml", "cat real/stale.xml", "real/stale.xml is from before this run"),
        ("linked/j.xml", "touch ../outside/j.xml", "linked is a symbolic link"),
        ("real/link.xml", "touch ../outside/j.xml", "real/link.xml is a symbolic link"),
        ("real/late.xml", "ln -s ../../outside/j.xml real/late.xml", "real/late.xml is a symbolic link"),
        ("real/fifo.xml", "mkfifo real/fifo.xml", "real/fifo.xml is a FIFO"),
        ("real", "true", "real is a folder"),
        ("code.txt/j.xml", "true", "code.txt is no regular file"),
        (
            "real/huge.xml",
            "truncate -s 10T real/huge.xml || truncate -s 1G real/huge.xml",
            "real/huge.xml has more than 32 MiB",
        ),
    ] {
        let result = place.one(junit(path), command);
        assert_eq!(result.outcome, CheckOutcome::Fail, "{path}: {}", result.why);
        assert!(result.why.starts_with(&format!("no report was written: {why}")), "{path}: {}", result.why);
    }
    let result = place.one(junit("real/bad.xml"), "echo '<testsuite><testcase name=\"a\"/>' > real/bad.xml");
    assert_eq!(result.why, "the report breaks off before its end");
}

#[test]
fn huge_output_is_kept_within_bounds() {
    let place = Place::new();
    let command =
        "echo 1..1; yes 'a line of some length to fill the pipe' | head -c 67108864; echo; echo ok 1; echo done";
    let result = place.one(ReportFormat::Tap, command);
    assert_eq!(result.outcome, CheckOutcome::Pass, "{}", result.why);
    assert!(result.tail.ends_with("done") && result.tail.len() <= 8 << 10);
    assert!(result.notes[0].starts_with("its log leaves out "), "{:?}", result.notes);
    let log = std::fs::metadata(verify::log_path(&place.logs(), &result.name)).expect("log");
    assert!(log.len() < 17 << 20, "{}", log.len());
}

#[test]
fn a_missing_program_is_an_error_with_a_hint() {
    let place = Place::new();
    let verdict = place.run(vec![check("test", ReportFormat::Libtest, "no-such-tool-anywhere test")]);
    let result = &verdict.checks[0];
    assert_eq!((verdict.outcome, result.outcome), (VerdictOutcome::Error, CheckOutcome::Error));
    assert_eq!(result.exit_code, Some(127));
    assert!(result.why.contains("install it") && result.tail.contains("no-such-tool-anywhere"), "{result:?}");
}

#[test]
fn the_command_is_a_shell_command_in_the_worktree() {
    let place = Place::new();
    let command = "printf '%s|' \"$PWD\" \"$(cat code.txt)\" 'a b' \"$KEPT\" $((1+1)) && ! false | cat; { echo; } 2>&1 | tr -d '\\n'";
    let result = place.one(ReportFormat::Exit, command);
    let tree = place.tree();
    assert_eq!(result.tail, format!("{}|one|a b|yes|2|", tree.display()));
}

#[test]
fn checks_inherit_neither_token_nor_gits_variables_nor_input() {
    let place = Place::new();
    let mut job = place.job(vec![check("test", ReportFormat::Exit, "env; cat; echo end")]);
    for name in ["STANDUP_TOKEN", "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR"] {
        job.env.push((OsString::from(name), "secret".into()));
    }
    job.env.push(("GIT_CONFIG_COUNT".into(), "0".into()));
    let verdict = place.run_job(&job, &AtomicBool::new(false));
    let tail = &verdict.checks[0].tail;
    assert!(!tail.contains("secret") && tail.ends_with("end"), "{tail}");
    assert!(tail.contains("GIT_CONFIG_COUNT=0") && tail.contains("KEPT=yes"));
    assert!(!tail.contains("HOME="), "only what the caller gave: {tail}");
}

#[test]
fn output_that_is_no_text_is_shown_as_text() {
    let command = "printf 'a\\377b\\033[31mred\\033[0m\\007\\n\\033]0;title\\007end\\r\\n'";
    let result = Place::new().one(ReportFormat::Exit, command);
    assert_eq!(result.tail, "a\u{fffd}bred\nend");
}

#[test]
fn a_check_that_closes_its_output_is_waited_for() {
    let place = Place::new();
    let result = place.one(ReportFormat::Exit, "exec >&- 2>&-; sleep 0.3; touch .after; exit 4");
    assert_eq!((result.outcome, result.exit_code), (CheckOutcome::Fail, Some(4)));
    assert!(place.tree().join(".after").exists());
    let mut slow = check("slow", ReportFormat::Exit, "exec >&- 2>&-; sleep 600");
    slow.timeout = Span(200);
    assert_eq!(place.run(vec![slow]).checks[0].outcome, CheckOutcome::Timeout);
}

#[test]
fn a_check_that_a_signal_ends_fails() {
    let result = Place::new().one(ReportFormat::Exit, "kill -ABRT $$");
    assert_eq!((result.outcome, result.exit_code), (CheckOutcome::Fail, None));
    assert_eq!(result.why, "it was ended by signal 6, ABRT");
}

#[test]
fn runs_in_different_worktrees_do_not_touch_each_other() {
    let (tx, rx) = mpsc::channel();
    let (one, two) = (Place::new(), Place::new());
    // The first ends, with its sweep, while the second is in the middle and has a child outside
    // its process group.
    let long = two.tree().join(".go");
    let (job_one, job_two) = (
        one.job(vec![check("test", ReportFormat::Exit, "setsid sleep 600 >/dev/null 2>&1 & sleep 0.1")]),
        two.job(vec![check(
            "test",
            ReportFormat::Exit,
            "setsid sh -c 'while [ ! -e .go ]; do sleep 0.02; done; echo helped > .helped' & echo up > .up; wait",
        )]),
    );
    thread::scope(|scope| {
        scope.spawn(|| tx.send(two.run_job(&job_two, &AtomicBool::new(false))).expect("sent"));
        let until = Instant::now() + DEADLINE;
        while !two.tree().join(".up").exists() && Instant::now() < until {
            thread::sleep(Duration::from_millis(5));
        }
        let first = one.run_job(&job_one, &AtomicBool::new(false));
        assert_eq!((first.outcome, first.checks[0].notes.len()), (VerdictOutcome::Green, 1));
        std::fs::write(&long, "").expect("write");
        let second = rx.recv_timeout(DEADLINE).expect("ended");
        assert_eq!((second.outcome, second.checks[0].notes.len()), (VerdictOutcome::Green, 0));
        assert!(two.tree().join(".helped").exists());
    });
}

#[test]
fn what_an_interrupted_run_had_started_is_found_again() {
    let place = Place::new();
    let shell = Run::new("/bin/sh").args(["-c", "setsid sh -c 'trap \"\" TERM; echo up; sleep 600; :' & sleep 600"]);
    let mut up = Vec::new();
    let run = shell.env(MARKER, &place.marker).timeout(DEADLINE);
    let ended = run.stream_then(
        |_, chunk| {
            up.extend_from_slice(chunk);
            up != b"up\n"
        },
        |_| {},
    );
    assert!(ended.expect("runs").aborted);
    assert!(!process::marked(&format!("{MARKER}={}", place.marker)).is_empty(), "one left its group");
    assert_eq!(verify::sweep(&(MARKER.into(), place.marker.clone())), 0);
    assert_eq!(process::marked(&format!("{MARKER}={}", place.marker)), []);
}

/// A file system of 256 KiB, unmounted when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path) -> Result<Self, String> {
        std::fs::create_dir_all(at).map_err(|e| e.to_string())?;
        let args = ["-t", "tmpfs", "-o", "size=256k", "tmpfs"].map(OsString::from);
        tool("mount", args.into_iter().chain([at.into()]))?;
        Ok(Self(at.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = tool("umount", [OsString::from("-l"), self.0.clone().into()]);
    }
}

fn tool(name: &str, args: impl IntoIterator<Item = OsString>) -> Result<(), String> {
    let program = locate::program(name.as_ref(), Path::new("/")).map_err(|e| e.to_string())?;
    let out = Run::new(program).args(args).timeout(DEADLINE).output().map_err(|e| e.to_string())?;
    if out.ended.is_success() { Ok(()) } else { Err(String::from_utf8_lossy(&out.stderr).trim().to_owned()) }
}

#[test]
fn a_full_disk_costs_the_log_and_not_the_check() {
    let place = Place::new();
    let _disk = match SmallDisk::mount(&place.logs()) {
        Ok(disk) => disk,
        Err(why) => return eprintln!("NOT RUN: no small file system can be mounted here: {why}"),
    };
    let result = place.one(ReportFormat::Tap, "echo 1..1; yes | head -c 4000000; echo; echo ok 1; echo end");
    assert_eq!((result.outcome, result.tail.ends_with("end")), (CheckOutcome::Pass, true), "{}", result.why);
    assert_eq!(result.notes, ["its log is incomplete: the disk is full"]);
}
