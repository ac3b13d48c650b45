//! The number of a process may be another's by the time a signal is sent to it.

use std::cell::{Cell, RefCell};
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use standup::os::run::Run;

/// Where the kernel is told which number it gave last; a namespace of one's own has its own.
const LAST: &str = "/proc/sys/kernel/ns_last_pid";

/// What the parent tells the child.
const TOLD: &str = "STANDUP_TEST_OWN_NUMBERS";

#[test]
fn a_group_whose_number_was_given_out_again_is_not_hit() {
    // Numbers that only the child sees; needs user namespaces, or root.
    #[expect(clippy::disallowed_methods, reason = "the child gets numbers of its own")]
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--pid", "--fork", "--mount-proc", "--kill-child"]);
    command.arg(std::env::current_exe().expect("this binary"));
    command.args(["p10_never_an_innocent::with_numbers_of_its_own", "--exact", "--ignored", "--nocapture"]);
    match command.env(TOLD, "1").stdin(Stdio::null()).output() {
        Ok(out) if String::from_utf8_lossy(&out.stdout).contains("given out again") => {
            let said = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
            assert!(out.status.success(), "{}{}", said.0, said.1);
        }
        Ok(out) if out.status.code() == Some(101) => {
            panic!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr))
        }
        other => eprintln!("not run: no numbers of one's own can be had here ({other:?})"),
    }
}

/// An innocent of this number with a group of its own, if it can be had now.
fn innocent(number: u32) -> Option<Child> {
    #[expect(clippy::disallowed_methods, reason = "a process that the promise is about")]
    let mut command = Command::new("cat");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0);
    std::fs::write(LAST, (number - 1).to_string()).ok()?;
    let mut child = command.spawn().ok()?;
    if child.id() == number {
        return Some(child);
    }
    let _ = child.kill();
    let _ = child.wait();
    None
}

/// Whether a process still answers; one that a signal is on its way to does not.
fn answers(innocent: &mut Child) -> bool {
    let (mut said, mut heard) = (innocent.stdin.take().expect("piped"), [0]);
    let _ = said.write_all(b"x");
    innocent.stdout.take().expect("piped").read_exact(&mut heard).is_ok()
}

/// The state of a process, `None` where there is none.
fn state(pid: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(')').next()?.trim_start().chars().next()
}

#[test]
#[ignore = "not a test: the child of one, with numbers of its own"]
fn with_numbers_of_its_own() {
    if std::env::var_os(TOLD).is_none() || std::fs::write(LAST, "1000").is_err() {
        return;
    }
    // It can be done at all: a number is given out again as soon as its process is gone.
    let mut first = innocent(2_000).expect("a number that was never used");
    let _ = first.kill();
    let _ = first.wait();
    let mut second = innocent(2_000).expect("the same number once more");
    let _ = second.kill();
    let _ = second.wait();
    println!("given out again");

    // One program ends and leaves a child in another session with its output: its group is empty,
    // and it is waited for a while. Another closes its output, and a third meets its time limit.
    let programs = [
        "setsid sleep 60 & echo $$; exit 0",
        "echo $$; exec >&- 2>&-; sleep 0.1; exit 0",
        "trap 'exit 0' TERM; echo $$; while :; do sleep 0.05; done",
    ];
    for program in programs {
        let (number, hit) = (RefCell::new(String::new()), RefCell::new(None));
        let run = Run::new("/bin/sh").args(["-c", program]).timeout(Duration::from_secs(1));
        let looked = Cell::new(false);
        let look = || {
            let number = number.borrow().trim().parse::<u32>().ok();
            let ended = number.filter(|number| matches!(state(*number), None | Some('Z')));
            if let Some(number) = ended.filter(|_| hit.borrow().is_none()) {
                *hit.borrow_mut() = innocent(number);
            }
            looked.set(looked.get() || ended.is_some());
        };
        let ended = run.stream_then(
            |_, chunk| {
                number.borrow_mut().push_str(&String::from_utf8_lossy(chunk));
                look();
                true
            },
            |_| look(),
        );
        ended.expect("runs");
        assert!(looked.get(), "{program}: there was a moment at which it had ended");
        let Some(mut innocent) = hit.take() else { continue };
        let answers = answers(&mut innocent);
        let _ = innocent.kill();
        let _ = innocent.wait();
        assert!(answers, "{program}: somebody else had its number");
    }
}
