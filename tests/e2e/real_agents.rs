//! The real CLIs. These tests are `ignored` so that a run without npm cannot report them as
//! passed; `scripts/check` runs them where it can.

mod alone;
mod answers;
mod asks;
mod deadlines;
mod faults;
mod hands;
mod limits;
mod mail;
mod notify;
mod stage;
mod terminal;
mod truth;
mod turns;
mod usage;

use std::fs;
use std::path::Path;

use standup::os::run::Run;

use crate::support::pty::OnPty;
use crate::support::rig::{Cli, Clis, Home, Model};

/// Which renderer is the default depends on switches that the vendor turns from afar; the warning
/// about skipped approvals is a dialog that nobody would answer.
const CLAUDE_SETTINGS: &str = r#"{"tui":"default","skipDangerousModePermissionPrompt":true}"#;

fn git(dir: &Path, line: &str) -> String {
    let out = Run::new("/bin/sh").args(["-c", line]).cwd(dir).output().expect("sh runs");
    assert!(out.ended.is_success(), "{line}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).trim().to_owned()
}

/// A repository with one commit and a worktree for each CLI.
fn repository(dir: &Path) {
    fs::create_dir(dir.join("main")).expect("mkdir");
    fs::write(dir.join("main/calc.py"), "def add(a, b):\n    return a - b\n").expect("write");
    git(
        &dir.join("main"),
        "git init -q -b main && git config user.name T && git config user.email t@localhost && git add -A \
         && git commit -qm 'A repository with a fault' \
         && git worktree add -q ../claude -b claude && git worktree add -q ../codex -b codex",
    );
}

#[test]
#[ignore = "needs npm; scripts/check runs it"]
fn real_agents_commit_without_a_terminal() {
    let clis = Clis::require();
    let model = Model::start();
    let dir = tempfile::tempdir().expect("temp dir");
    repository(dir.path());
    let home = Home::new(&clis, &model);
    home.trust(&dir.path().join("main"));
    for (cli, name) in [(Cli::Claude, "claude"), (Cli::Codex, "codex")] {
        let prompt = format!("[[script:commit file={name}.txt msg=\"add {name}\"]] please");
        let out = home.headless(cli, &dir.path().join(name), &prompt);
        let said = String::from_utf8_lossy(&out.stdout);
        assert!(out.ended.is_success(), "{name}: {said}\n{}", String::from_utf8_lossy(&out.stderr));
        let log = git(&dir.path().join("main"), &format!("git log --format=%s main..{name}"));
        assert_eq!(log, format!("add {name}"), "{said}");
    }
    let turns = model.log().iter().filter(|line| line["kind"] == "turn").count();
    assert!(turns >= 6, "three answers each, got {turns}");
}

#[test]
#[ignore = "needs npm; scripts/check runs it"]
fn real_agents_report_their_state_on_a_terminal() {
    let clis = Clis::require();
    let model = Model::start();
    let dir = tempfile::tempdir().expect("temp dir");
    repository(dir.path());
    let home = Home::new(&clis, &model);
    home.trust(&dir.path().join("main"));
    let prompt = "[[steps:[{\"gate\":\"g\",\"bash\":\"git commit -q --allow-empty -m here\"},{\"say\":\"done\"}]]]";
    for (cli, name) in [(Cli::Claude, "claude"), (Cli::Codex, "codex")] {
        model.close("g");
        let (flags, skip): (&[&str], &[&str]) = match cli {
            Cli::Claude => (&["--settings", CLAUDE_SETTINGS], &["--dangerously-skip-permissions", "--"]),
            Cli::Codex => (&["--no-daemon"], &["--dangerously-bypass-approvals-and-sandbox"]),
        };
        let mut args: Vec<String> = flags.iter().map(|arg| (*arg).to_owned()).collect();
        args.extend(home.arguments(cli));
        args.extend(skip.iter().chain([&prompt]).map(|arg| (*arg).to_owned()));
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let mut agent = OnPty::start(&clis.bin.join(name), &args, &dir.path().join(name), &home.environment());
        if cli == Cli::Claude {
            // It reports only to a terminal that says it understands.
            agent.wait_for("\x1b]7501;?");
            agent.send("\x1b]7501;?:states=idle,working,done,blocked,error:kinds=permission,question,auth\x1b\\");
        }
        model.wait("g");
        agent.wait_for("state=working");
        model.open("g");
        agent.wait_for("state=done");
        assert_eq!(git(&dir.path().join("main"), &format!("git log --format=%s main..{name}")), "here");
    }
    model.log();
}
