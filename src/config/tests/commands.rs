//! What a file could make run, and the digest that approves it.

use super::*;

/// The digest of what a repository's file could make run.
fn digest(text: &str) -> String {
    effective(text).commands.digest()
}

#[test]
fn the_digest_changes_with_every_command_and_with_nothing_else() {
    let base = digest(DOCUMENTED);
    for (from, to) in [
        ("[\"npm ci\"]", "[\"npm install\"]"),
        ("teardown = []", "teardown = [\"rm -rf x\"]"),
        ("\"cargo nextest run --profile ci\"", "\"cargo test\""),
        ("name = \"test\"", "name = \"tests\""),
        ("\"notify-send\"", "\"curl\""),
        ("command = [\"claude\"]", "command = [\"claude2\"]"),
        ("\"acceptEdits\"", "\"bypassPermissions\""),
        ("\"--permission-mode\", \"acceptEdits\"", "\"--permission-mode acceptEdits\""),
        ("IS_SANDBOX = \"1\"", "IS_SANDBOX = \"0\""),
        ("IS_SANDBOX =", "LD_PRELOAD ="),
        ("prompt = \"none\"", "prompt = \"type\""),
        ("adapter = \"codex\"", "adapter = \"generic\""),
        ("mode = \"worktree\"", "mode = \"off\""),
        ("~/.cargo/registry", "~/.ssh"),
    ] {
        let changed = DOCUMENTED.replacen(from, to, 1);
        assert_ne!(changed, DOCUMENTED, "{from} is in the example");
        assert_ne!(digest(&changed), base, "{from} → {to}");
    }
    for (from, to) in [
        ("build = 3", "build = 2"),
        ("# at once", "# no more than this"),
        ("schema = 1", "\n\n# moved down\nschema = 1"),
        ("every = \"15m\"", "every = \"5m\""),
        ("crates/**", "src/**"),
        ("\"squash\"", "\"rebase\""),
        ("timeout = \"15m\"", "timeout = \"5m\""),
        ("max = 2", "max = 1"),
    ] {
        let changed = DOCUMENTED.replacen(from, to, 1);
        assert_ne!(changed, DOCUMENTED, "{from} is in the example");
        assert_eq!(digest(&changed), base, "{from} → {to}");
    }
}

#[test]
fn commands_are_shown_with_what_and_where() {
    let commands = effective(DOCUMENTED).commands.unconfined(agent("claude"), "its approvals are skipped");
    let before = effective(DOCUMENTED).commands.digest();
    assert_eq!(commands.digest(), before, "a remark is no command");
    let lines = commands.lines();
    let line = |what: &str| lines.iter().find(|line| line.what == what).unwrap_or_else(|| panic!("{what}"));
    assert_eq!(line("agents.claude").command, "claude --permission-mode acceptEdits");
    assert!(line("agents.claude").place.starts_with("agents.toml:"));
    assert_eq!(line("agents.claude").unconfined.as_deref(), Some("its approvals are skipped"));
    assert_eq!(line("agents.codex").unconfined, None);
    assert_eq!(line("agents.claude.env").command, "IS_SANDBOX=1");
    assert_eq!(
        (line("worktrees.setup").command.as_str(), line("worktrees.setup").place.as_str()),
        ("npm ci", "agents.toml:9")
    );
    assert_eq!(line("verify.check test").command, "cargo nextest run --profile ci");
    assert_eq!(line("notify.command").command, "notify-send {title} {body}");
}

#[test]
fn filter_drivers_count_in_any_order() {
    let filter = |operation: &str| crate::config::commands::FilterDriver {
        name: "lfs".into(),
        operation: operation.into(),
        command: format!("git-lfs {operation} -- %f"),
        file: ".git/config".into(),
    };
    let none = effective("schema = 1").commands;
    assert!(none.is_empty());
    let two = none.clone().with_filters([filter("smudge"), filter("clean")]);
    assert_eq!(two.digest(), none.clone().with_filters([filter("clean"), filter("smudge")]).digest());
    assert_ne!(two.digest(), none.digest());
    assert_eq!(two.lines()[0].what, "filter.lfs.clean");
}

#[test]
fn the_users_own_commands_need_no_approval() {
    let mine = "schema = 1\n[agents.codex]\ncommand = [\"/opt/codex\"]\n";
    let commands = |theirs: &str| {
        merge([parse(&user(mine)).expect("mine"), parse(&repository(theirs)).expect("theirs")]).expect("both").commands
    };
    assert!(commands("schema = 1\n[wip]\nbuild = 2\n").is_empty());
    assert!(commands("schema = 1\n[agents.codex]\nmax = 2\n").is_empty());
    let lines = commands("schema = 1\n[agents.codex]\nargs = [\"--yolo\"]\n").lines();
    assert_eq!(lines[0].command, "(the command of your own settings) --yolo");
    assert_eq!(effective("schema = 1\n[agents.codex]\nmax = 2\n").commands.lines()[0].command, "codex");
}
