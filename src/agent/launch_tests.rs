use proptest::prelude::*;

use crate::agent::adapter::{self, builtin};
use crate::model::settings::Limit;

use super::*;

const UUID: &str = "7af4742c-8f3a-4f18-934b-d862dd9b7d8c";

fn settings(command: &[&str], args: &[&str]) -> AgentSettings {
    let own = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect();
    AgentSettings {
        adapter: String::new(),
        command: own(command),
        args: own(args),
        env: BTreeMap::new(),
        max: Limit::of(2),
        prompt: None,
    }
}

fn branch() -> BranchName {
    BranchName::new("standup/T7/1-pager").expect("branch")
}

fn request<'a>(branch: &'a BranchName, prompt: &'a str) -> LaunchRequest<'a> {
    LaunchRequest {
        task: TaskId::new(7).expect("task"),
        attempt: AttemptNo::FIRST,
        worktree: Path::new("/w/T7"),
        branch,
        brief: Path::new("/w/T7/.standup/run/brief.md"),
        prompt: Some(prompt),
        mode: Mode::Delegate,
        plan_approved: false,
        session: Some(UUID),
        resume: None,
        standup: Path::new("/opt/it's here/standup"),
        writable_roots: &[],
        hooks: true,
        notify: &[],
        own_settings: None,
        mcp: false,
    }
}

fn run(name: &str, settings: &AgentSettings, request: &LaunchRequest<'_>) -> Launch {
    launch(&builtin(name).expect(name), settings, request).expect("a launch")
}

fn after<'a>(argv: &'a [String], flag: &str) -> &'a str {
    let at = argv.iter().position(|w| w == flag).unwrap_or_else(|| panic!("{flag} in {argv:?}"));
    &argv[at + 1]
}

#[test]
fn claude_gets_its_id_its_mode_its_hooks_and_the_prompt_behind_two_dashes() {
    let branch = branch();
    let launch = run("claude", &settings(&[], &["--model", "opus"]), &request(&branch, "-x marks the spot"));
    assert_eq!(launch.argv[..3], ["claude", "--session-id", UUID]);
    assert_eq!(after(&launch.argv, "--permission-mode"), "acceptEdits");
    assert_eq!(launch.argv[launch.argv.len() - 4..], ["--model", "opus", "--", "-x marks the spot"]);
    let json: Value = serde_json::from_str(after(&launch.argv, "--settings")).expect("JSON");
    assert_eq!(json["tui"], "default");
    assert_eq!(json["hooks"]["Stop"][0]["hooks"][0]["command"], r"'/opt/it'\''s here/standup' hook claude");
    assert_eq!(launch.session, Session::Chosen(UUID.to_owned()));
    assert_eq!((launch.unconfined, launch.hooks, launch.prompt_via), (None, true, PromptVia::Arg));
    assert!(launch.env_unset.iter().any(|n| n == "TERM_PROGRAM") && launch.env_unset.iter().any(|n| n == "CLAUDECODE"));
    assert_eq!(launch.answers[0].reply.as_bytes()[..7], *b"\x1b]7501;");
}

#[test]
fn codex_runs_without_its_daemon_and_may_commit_but_not_write_hooks() {
    let branch = branch();
    let roots = commit_roots(Path::new("/r/.git"), Path::new("/r/.git/worktrees/T7"));
    let request = LaunchRequest { writable_roots: &roots, ..request(&branch, "do it") };
    let launch = run("codex", &settings(&[], &[]), &request);
    assert_eq!(launch.argv[..6], ["codex", "--no-daemon", "-s", "workspace-write", "-a", "on-request"]);
    let dirs: Vec<&str> = launch.argv.windows(2).filter(|w| w[0] == "--add-dir").map(|w| w[1].as_str()).collect();
    assert_eq!(dirs, ["/r/.git/objects", "/r/.git/refs", "/r/.git/logs", "/r/.git/worktrees/T7"]);
    let stop = launch.argv.iter().find_map(|w| w.strip_prefix("hooks.Stop=")).expect("a Stop hook");
    let table: toml::Table = format!("x={stop}").parse().expect("TOML");
    let command = &table["x"][0]["hooks"][0]["command"];
    assert_eq!(command.as_str(), Some(r"'/opt/it'\''s here/standup' hook codex"));
    assert!(launch.argv.iter().any(|w| w == "--dangerously-bypass-hook-trust"));
    assert!(!launch.argv.iter().any(|w| w.starts_with("notify=")), "hooks tell more than notify");
    assert_eq!(launch.session, Session::Learned);
}

#[test]
fn without_hooks_codex_is_not_told_to_trust_any_and_has_notify_instead() {
    let branch = branch();
    let launch = run("codex", &settings(&[], &[]), &LaunchRequest { hooks: false, ..request(&branch, "x") });
    assert!(!launch.argv.iter().any(|w| w.contains("hook-trust") || w.starts_with("hooks.")));
    let notify = launch.argv.iter().find_map(|w| w.strip_prefix("notify=")).expect("notify");
    assert_eq!(notify, r#"["/opt/it's here/standup","hook","codex-notify"]"#);
}

#[test]
fn resume_is_a_flag_here_and_a_subcommand_there_and_needs_no_new_id() {
    let branch = branch();
    let request = LaunchRequest { resume: Some("01a1f919-cee8"), session: None, ..request(&branch, "go on") };
    let claude = run("claude", &settings(&[], &[]), &request);
    assert_eq!(after(&claude.argv, "--resume"), "01a1f919-cee8");
    assert!(!claude.argv.iter().any(|w| w == "--session-id"));
    let codex = run("codex", &settings(&["codex", "-m", "x"], &[]), &request);
    assert_eq!(codex.argv[..6], ["codex", "-m", "x", "resume", "01a1f919-cee8", "--no-daemon"]);
    assert_eq!(codex.session, Session::Chosen("01a1f919-cee8".to_owned()));
    let generic = launch(&builtin("generic").expect("generic"), &settings(&["aider"], &[]), &request);
    assert!(matches!(generic, Err(LaunchError::Resume { .. })));
}

#[test]
fn a_session_id_out_of_a_file_never_becomes_an_option() {
    let branch = branch();
    for id in ["--dangerously-skip-permissions", "", "a b", "a/b", &"x".repeat(65)] {
        let request = LaunchRequest { resume: Some(id), ..request(&branch, "x") };
        let error = launch(&builtin("claude").expect("claude"), &settings(&[], &[]), &request);
        assert!(matches!(error, Err(LaunchError::SessionForm { .. })), "{id}");
    }
}

#[test]
fn where_the_users_arguments_speak_of_approvals_the_adapter_is_silent() {
    let branch = branch();
    let silent = |name: &str, args: &[&str]| {
        let argv = run(name, &settings(&[], args), &request(&branch, "x")).argv;
        !argv.iter().any(|w| w == "acceptEdits" || w == "workspace-write" || w == "on-request")
    };
    assert!(silent("claude", &["--permission-mode", "plan"]));
    assert!(silent("claude", &["--permission-mode=plan"]));
    assert!(silent("claude", &["--dangerously-skip-permissions"]));
    assert!(silent("claude", &["--settings", r#"{"permissions":{"defaultMode":"plan"}}"#]));
    assert!(silent("codex", &["-sread-only"]) && silent("codex", &["--sandbox=read-only"]));
    assert!(silent("codex", &["-c", "sandbox_mode=\"read-only\""]));
    assert!(silent("codex", &["--config=permissions.mine.extends=\":workspace\""]));
    assert!(!silent("codex", &["-c", "model=\"x\"", "--search"]));
    assert!(!silent("claude", &["--allowedTools", "Bash(git:*)"]), "a tool list refines the mode");
    assert!(!silent("claude", &["--append-system-prompt", "mind the --permission-mode flag"]));
}

#[test]
fn skipped_approvals_are_called_by_name_however_they_are_written() {
    let branch = branch();
    let why = |name: &str, args: &[&str]| run(name, &settings(&[], args), &request(&branch, "--yolo")).unconfined;
    for (name, args, want) in [
        ("claude", &["--dangerously-skip-permissions"] as &[&str], Some("--dangerously-skip-permissions")),
        ("claude", &["--permission-mode", "bypassPermissions"], Some("--permission-mode bypassPermissions")),
        ("claude", &["--permission-mode", "plan"], None),
        ("codex", &["-s", "danger-full-access"], Some("-s danger-full-access")),
        ("codex", &["-sdanger-full-access"], Some("-sdanger-full-access")),
        ("codex", &["--config=sandbox_mode='danger-full-access'"], Some("--config=sandbox_mode='danger-full-access'")),
        ("codex", &["--search"], None),
    ] {
        assert_eq!(why(name, args).as_deref(), want, "{args:?}");
    }
    let json = r#"{"permissions":{"defaultMode":"bypassPermissions"}}"#;
    assert!(why("claude", &["--settings", json]).is_some());
    assert_eq!(
        unconfined(&builtin("generic").expect("generic"), &settings(&["x", "--yolo"], &[])).as_deref(),
        Some("--yolo")
    );
}

#[test]
fn the_users_settings_are_joined_with_ours_and_hold_where_they_differ() {
    let branch = branch();
    let own = r#"{"tui":"fullscreen","hooks":{"Stop":[{"hooks":[{"type":"command","command":"mine"}]}]}}"#;
    let argv = run("claude", &settings(&[], &["--settings", own, "-n", "x"]), &request(&branch, "x")).argv;
    assert_eq!(argv.iter().filter(|w| *w == "--settings").count(), 1);
    let json: Value = serde_json::from_str(after(&argv, "--settings")).expect("JSON");
    assert_eq!(json["tui"], "fullscreen");
    assert_eq!(json["hooks"]["Stop"].as_array().map(Vec::len), Some(2));
    assert_eq!(json["hooks"]["Stop"][1]["hooks"][0]["command"], "mine");

    let file = settings(&[], &["--settings=my/file.json", "-v"]);
    assert_eq!(
        own_settings_file(&builtin("claude").expect("claude"), &file).as_deref(),
        Some(Path::new("my/file.json"))
    );
    let own = r#"{"tui":"fullscreen","hooks":{"Stop":[{"hooks":[{"type":"command","command":"mine"}]}]}}"#;
    let launch = run("claude", &file, &LaunchRequest { own_settings: Some(own), ..request(&branch, "x") });
    let given: Value = serde_json::from_str(after(&launch.argv, "--settings")).expect("JSON");
    assert_eq!((given["tui"].as_str(), given["hooks"]["Stop"].as_array().map(Vec::len)), (Some("fullscreen"), Some(2)));
    assert!(launch.hooks && launch.argv.iter().all(|word| word != "--settings=my/file.json"));

    let broken = LaunchRequest { own_settings: Some("tui = 1"), ..request(&branch, "x") };
    let error = super::launch(&builtin("claude").expect("claude"), &file, &broken).expect_err("no JSON").to_string();
    assert!(error.contains("--settings my/file.json"), "{error}");
}

#[test]
fn a_prompt_too_long_for_an_argument_names_the_brief_instead() {
    let branch = branch();
    let (fits, long) = ("x".repeat(MAX_ARG_BYTES), "x".repeat(MAX_ARG_BYTES + 1));
    assert!(!run("claude", &settings(&[], &[]), &request(&branch, &fits)).prompt_by_file);
    let launch = run("claude", &settings(&[], &[]), &request(&branch, &long));
    assert!(launch.prompt_by_file);
    assert!(launch.argv.last().expect("prompt").contains("/w/T7/.standup/run/brief.md"));
    let stdin = AgentSettings { prompt: Some(PromptVia::Stdin), ..settings(&["cat"], &[]) };
    let launch = run("generic", &stdin, &request(&branch, &long));
    assert!(launch.prompt_by_file && launch.stdin.expect("a prompt").contains("/w/T7/.standup/run/brief.md"));
    for (bytes, by_file) in [(MAX_LINE_BYTES, false), (MAX_LINE_BYTES + 1, true)] {
        let text = format!("short\n{}\nshort", "y".repeat(bytes));
        let launch = run("generic", &stdin, &request(&branch, &text));
        assert_eq!((launch.prompt_by_file, launch.stdin.as_deref() == Some(&text)), (by_file, !by_file));
    }
    let many = "a line that fits\n".repeat(MAX_ARG_BYTES / 8);
    let launch = run("generic", &stdin, &request(&branch, &many));
    assert_eq!((launch.prompt_by_file, launch.stdin.as_deref()), (false, Some(many.as_str())));
}

/// A terminal takes such bytes for keys: it would end the agent, or edit what it is told.
#[test]
fn a_prompt_that_a_terminal_would_obey_names_the_brief_instead() {
    let branch = branch();
    let stdin = AgentSettings { prompt: Some(PromptVia::Stdin), ..settings(&["cat"], &[]) };
    for c in (0..=0x9fu8).map(char::from).filter(|c| c.is_ascii() && *c != '\0') {
        let text = format!("do{c}this");
        let launch = run("generic", &stdin, &request(&branch, &text));
        let by_file = c.is_control() && !matches!(c, '\n' | '\t');
        assert_eq!((launch.prompt_by_file, launch.stdin.as_deref() == Some(&text)), (by_file, !by_file), "{c:?}");
        let named = launch.stdin.expect("a prompt");
        assert!(!by_file || named.contains("/w/T7/.standup/run/brief.md"), "{c:?}: {named}");
    }
}

#[test]
fn what_the_users_command_says_counts_like_his_arguments() {
    let branch = branch();
    let claude = |command: &[&str], args: &[&str]| {
        let argv = run("claude", &settings(command, args), &request(&branch, "x")).argv;
        assert_eq!(argv.iter().filter(|w| w.starts_with("--settings")).count(), 1, "{argv:?}");
        let json: Value = serde_json::from_str(after(&argv, "--settings")).expect("JSON");
        assert!(json["hooks"]["Stop"].is_array(), "{json}");
        (argv[0].clone(), json["model"].clone())
    };
    let (a, b) = (r#"{"model":"a"}"#, r#"{"model":"b"}"#);
    let joined = format!("--settings={a}");
    assert_eq!(claude(&["wrap", "--settings", a], &[]), ("wrap".to_owned(), json!("a")));
    assert_eq!(claude(&["npx", "--", "claude", &joined], &["-v"]).1, json!("a"));
    assert_eq!(claude(&["claude", "--settings", a], &["--settings", b]).1, json!("b"), "the last one holds");
    assert_eq!(claude(&[], &["--settings", a, "--settings", b]).1, json!("b"));

    let file = settings(&["claude", "--settings=my/file.json"], &[]);
    let adapter = builtin("claude").expect("claude");
    assert_eq!(own_settings_file(&adapter, &file).as_deref(), Some(Path::new("my/file.json")));
    let both = settings(&["claude", "--settings=my/file.json"], &["--settings", b]);
    assert_eq!(own_settings_file(&adapter, &both), None, "the last one holds");

    let codex = |command: &[&str], args: &[&str]| {
        let request = LaunchRequest { hooks: false, ..request(&branch, "x") };
        let argv = run("codex", &settings(command, args), &request).argv;
        let given: Vec<String> = argv.iter().filter(|w| w.contains("notify=")).cloned().collect();
        assert_eq!(given.len(), 1, "{argv:?}");
        given[0].split_once("codex-notify\"").map(|(_, rest)| rest.to_owned()).expect("ours")
    };
    let own = r#"notify=["play","--soft"]"#;
    for command in [&["codex", "-c", own][..], &["npx", "--", "codex", "-c", own], &["codex", "-m", "x", "-c", own]] {
        assert_eq!(codex(command, &[]), r#","--then","play","--soft"]"#, "{command:?}");
    }
    assert_eq!(codex(&["codex", "-c", own], &["-c", r#"notify=["b"]"#]), r#","--then","b"]"#);
    let rules = builtin("codex").expect("codex").notify.expect("rules");
    let files = |command: &[&str], args: &[&str]| own_notify_files(&rules, &settings(command, args))[0].clone();
    assert_eq!(files(&["npx", "--", "codex", "-p", "work"], &[]), "work.config.toml");
    assert_eq!(files(&["codex", "-p", "work"], &["-p", "play"]), "play.config.toml");
}

#[test]
fn a_generic_agent_gets_its_prompt_the_way_its_settings_say() {
    let branch = branch();
    let brief = "/w/T7/.standup/run/brief.md";
    let named = run("generic", &settings(&["aider", "--message-file", "{brief}"], &[]), &request(&branch, "do"));
    assert_eq!(named.argv, ["aider", "--message-file", brief]);
    assert_eq!(run("generic", &settings(&["aider"], &["-x"]), &request(&branch, "do")).argv, ["aider", "-x", "do"]);
    let typed = AgentSettings { prompt: Some(PromptVia::Type), ..settings(&["sh"], &["{task}", "{branch}"]) };
    let typed = run("generic", &typed, &request(&branch, "do"));
    assert_eq!(typed.argv, ["sh", "T7", "standup/T7/1-pager"]);
    assert_eq!(typed.type_after_start.as_deref(), Some("do"));
    assert!(matches!(
        launch(&builtin("generic").expect("generic"), &settings(&[], &[]), &request(&branch, "do")),
        Err(LaunchError::NoProgram)
    ));
}

#[test]
fn a_misspelt_placeholder_is_found_before_anything_starts() {
    let error = check_placeholders(&settings(&["aider"], &["--at={worktre}"])).expect_err("misspelt");
    assert_eq!(error.name, "worktre");
    assert!(check_placeholders(&settings(&["codex"], &["-c", "projects={\"/x\"={trust_level=\"trusted\"}}"])).is_ok());
}

#[test]
fn metacharacters_of_a_shell_stay_what_they_are() {
    let branch = branch();
    let prompt = "$(touch /tmp/x); `id` && \"q\" 'r' {task} \\ \n#";
    let argv = run("codex", &settings(&[], &["{prompt}"]), &request(&branch, prompt)).argv;
    assert_eq!(argv[argv.len() - 3..], [prompt, "--", prompt]);
}

#[test]
fn checkpoint_plans_first_and_edits_once_approved() {
    let branch = branch();
    let mode = |name: &str, mode: Mode, plan_approved: bool| {
        let request = LaunchRequest { mode, plan_approved, ..request(&branch, "x") };
        let argv = run(name, &settings(&[], &[]), &request).argv;
        after(&argv, if name == "claude" { "--permission-mode" } else { "-s" }).to_owned()
    };
    assert_eq!(mode("claude", Mode::Checkpoint, false), "plan");
    assert_eq!(mode("claude", Mode::Checkpoint, true), "acceptEdits");
    assert_eq!(mode("claude", Mode::Own, true), "default");
    assert_eq!(mode("codex", Mode::Checkpoint, false), "read-only");
    assert_eq!(mode("codex", Mode::Checkpoint, true), "workspace-write");
    assert_eq!(mode("codex", Mode::Own, true), "read-only");
}

#[test]
fn the_plan_stage_is_enforced_unless_the_users_own_arguments_speak_of_approvals() {
    let why = |name: &str, args: &[&str]| plan_unenforced(&builtin(name).expect(name), &settings(&[], args));
    assert_eq!(why("claude", &[]), None);
    assert_eq!(why("codex", &["--search"]), None);
    let own = why("claude", &["--permission-mode", "acceptEdits"]).expect("it is the user's word");
    assert!(own.contains("--permission-mode"), "{own}");
    assert!(why("codex", &["-s", "workspace-write"]).is_some_and(|why| why.contains("-s")));
    assert!(why("generic", &[]).is_some_and(|why| why.contains("generic")));
}

#[test]
fn an_agent_hears_its_prompt_unless_it_is_given_the_briefs_file_alone() {
    let generic = builtin("generic").expect("generic");
    let hears = |command: &[&str], prompt| is_prompted(&generic, &AgentSettings { prompt, ..settings(command, &[]) });
    assert!(hears(&["x"], None) && hears(&["x", "--file", "{brief}", "{prompt}"], None));
    assert!(!hears(&["aider", "--message-file", "{brief}"], None) && !hears(&["x"], Some(PromptVia::None)));
    assert!(hears(&["x", "{prompt}"], Some(PromptVia::None)) && hears(&["x", "{brief}"], Some(PromptVia::Stdin)));
    assert!(is_prompted(&builtin("claude").expect("claude"), &settings(&[], &[])));
}

#[test]
fn what_cannot_be_an_argument_is_refused_by_name() {
    let branch = branch();
    let claude = builtin("claude").expect("claude");
    let nul = launch(&claude, &settings(&[], &[]), &request(&branch, "ab\0c"));
    assert_eq!(nul, Err(LaunchError::Nul { what: "the prompt".to_owned(), offset: 2 }));
    let mut bad = settings(&[], &[]);
    bad.env.insert("A=B".to_owned(), String::new());
    assert!(matches!(launch(&claude, &bad, &request(&branch, "x")), Err(LaunchError::Env { .. })));
    let no_id = LaunchRequest { session: None, ..request(&branch, "x") };
    assert!(matches!(launch(&claude, &settings(&[], &[]), &no_id), Err(LaunchError::Session { .. })));
}

#[test]
fn the_agents_own_environment_wins_over_what_is_scrubbed() {
    let branch = branch();
    let mut own = settings(&[], &[]);
    own.env.insert("COLORTERM".to_owned(), "truecolor".to_owned());
    let launch = run("claude", &own, &request(&branch, "x"));
    assert_eq!(launch.env_set["COLORTERM"], "truecolor");
    assert_eq!(launch.env_set["TERM"], "xterm-256color");
    assert!(!launch.env_unset.iter().any(|n| n == "COLORTERM"));
}

proptest! {
    #[test]
    fn any_path_of_ours_survives_json_toml_and_shell(path in "/[^\\x00]{1,20}") {
        let branch = branch();
        let request = LaunchRequest { standup: Path::new(&path), mcp: true, ..request(&branch, "x") };
        let claude = run("claude", &settings(&[], &[]), &request);
        let json: Value = serde_json::from_str(after(&claude.argv, "--settings")).expect("JSON");
        let command = json["hooks"]["Stop"][0]["hooks"][0]["command"].as_str().expect("command").to_owned();
        prop_assert_eq!(&command, &format!("{} hook claude", quote::sh(&path)));
        let json: Value = serde_json::from_str(after(&claude.argv, "--mcp-config")).expect("JSON");
        prop_assert_eq!(json["mcpServers"]["standup"]["command"].as_str(), Some(path.as_str()));
        let codex = run("codex", &settings(&[], &[]), &request);
        for word in codex.argv.iter().filter(|w| w.starts_with("hooks.") || w.starts_with("mcp_servers")) {
            let table: toml::Table = word.parse().expect("TOML");
            if let Some(hooks) = table.get("hooks") {
                let (_, event) = hooks.as_table().expect("events").iter().next().expect("one");
                let command = event[0]["hooks"][0]["command"].as_str().expect("command");
                prop_assert_eq!(command, format!("{} hook codex", quote::sh(&path)));
            } else {
                prop_assert_eq!(table["mcp_servers"]["standup"]["command"].as_str(), Some(path.as_str()));
            }
        }
    }
}

#[test]
fn a_user_may_replace_an_adapter() {
    let text = adapter::source("codex").expect("codex").replace("args = [\"--no-daemon\"]", "args = []");
    let own = adapter::parse(&text).expect("still an adapter");
    let branch = branch();
    let launch = launch(&own, &settings(&[], &[]), &request(&branch, "x")).expect("a launch");
    assert!(!launch.argv.iter().any(|w| w == "--no-daemon"));
}

#[test]
fn hooks_that_would_lift_the_review_of_the_repositorys_own_are_not_passed_unasked() {
    let by_default = |name: &str| builtin(name).expect(name).hooks.expect("hooks").by_default;
    assert!(by_default("claude") && !by_default("codex"));
    let branch = branch();
    let launch =
        run("codex", &settings(&[], &[]), &LaunchRequest { hooks: by_default("codex"), ..request(&branch, "x") });
    assert!(!launch.argv.iter().any(|word| word == "--dangerously-bypass-hook-trust"), "{:?}", launch.argv);
    assert!(launch.argv.iter().any(|word| word.starts_with("notify=")), "{:?}", launch.argv);
}

#[test]
fn our_tools_stand_beside_the_users_own_and_may_be_called_unasked() {
    let branch = branch();
    let request = LaunchRequest { standup: Path::new("/opt/standup"), mcp: true, ..request(&branch, "x") };
    let own = settings(&[], &["--mcp-config", "mine.json", "--allowedTools", "Bash(make:*)"]);
    let claude = run("claude", &own, &request).argv;
    assert!(!claude.iter().any(|word| word.contains("strict")), "{claude:?}");
    let ours = claude.iter().position(|w| w == "--mcp-config").expect("ours");
    let server: Value = serde_json::from_str(&claude[ours + 1]).expect("JSON");
    assert_eq!(server, serde_json::json!({"mcpServers": {"standup": {"command": "/opt/standup", "args": ["mcp"]}}}));
    let allowed = claude[ours + 2..ours + 6].join(" ");
    assert!(allowed.starts_with("--allowedTools mcp__standup__check_in,"), "{allowed}");
    assert!(allowed.contains("Bash(/opt/standup check-in:*)") && !allowed.contains("{standup}"), "{allowed}");
    assert!(
        claude.ends_with(&own.args.iter().cloned().chain(["--".into(), "x".into()]).collect::<Vec<_>>()),
        "{claude:?}"
    );
    let codex = run("codex", &settings(&[], &[]), &request).argv;
    let table: toml::Table =
        codex.iter().find(|w| w.starts_with("mcp_servers.standup=")).expect("ours").parse().expect("TOML");
    let server = &table["mcp_servers"]["standup"];
    assert_eq!(server["default_tools_approval_mode"].as_str(), Some("approve"));
    let passed: Vec<&str> = server["env_vars"].as_array().expect("a list").iter().filter_map(|v| v.as_str()).collect();
    assert!(["STANDUP_SOCKET", "STANDUP_TOKEN", "STANDUP_DIR"].iter().all(|name| passed.contains(name)), "{passed:?}");
    // The token itself is on no command line.
    assert!(!claude.iter().chain(&codex).any(|word| word.contains("STANDUP_TOKEN=")));
    // A path that a list of what is allowed could not hold.
    let odd = LaunchRequest { standup: Path::new("/opt/a,b)/standup"), ..request };
    let claude = run("claude", &settings(&[], &[]), &odd).argv;
    assert!(claude.iter().filter(|w| w.starts_with("Bash(")).all(|w| !w.contains("a,b")), "{claude:?}");
}
