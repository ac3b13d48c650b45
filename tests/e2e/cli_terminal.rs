//! The command line on a terminal: ^C, attaching, the editor, questions.

use crate::cli_trial::Trial;

/// A task whose agent asks, and waits for its answer.
const ASKS: &str =
    "---\ntitle: Print a distance\n---\n## Outcome\n`bin/distance` prints.\n\n## Context\n<!-- demo: distance -->\n";

#[test]
fn an_interrupted_run_leaves_the_agents_alone() {
    // Each step of the agent takes a minute: the run goes on for longer than the test.
    let trial = Trial::with_agent_at("60000");
    trial.run(&["add", "Take your time"]).ok();
    trial.run(&["down", "--all"]).ok();
    let mut run = trial.on_terminal(&["run"], &[]);
    run.wait_for("agent runs");
    run.send("\x03");
    let ended = run.wait();
    assert_eq!(ended.exit_code(), 130, "{}", run.text());
    let status = trial.run(&["status", "--json"]).ok().json();
    assert_eq!((&status["supervisor"]["running"], &status["dispatch"]), (&false.into(), &false.into()), "{status}");
    let pid = status["tasks"][0]["attempt"]["agent_pid"].as_u64().expect("it goes on");
    assert!(std::path::Path::new(&format!("/proc/{pid}")).exists(), "{status}");
    assert_eq!(trial.run(&["down", "--all"]).ok().out, "Nothing runs any more.\n");
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists(), "{status}");
}

#[test]
fn one_attaches_to_who_needs_one_most_and_leaves_it_running() {
    let trial = Trial::with_agent();
    trial.write("asks.md", ASKS);
    trial.run(&["add", "--brief", "asks.md"]).ok();
    let run = trial.run(&["run"]);
    assert_eq!(run.code, 5, "{run:?}");
    assert!(run.out.contains("needs you\n  T1   Print a distance"), "{run:?}");
    let printed = trial.run(&["next"]).ok();
    assert!(printed.out.contains("In which unit should bin/distance print?"), "{printed:?}");
    let mut next = trial.on_terminal(&["next"], &[]);
    next.wait_for("Press a number");
    next.send("\x1dd");
    next.wait_for("[detached from T1; standup attach T1 returns]");
    assert_eq!(next.wait().exit_code(), 0);
    let mut attach = trial.on_terminal(&["attach", "1"], &[]);
    attach.wait_for("Press a number");
    attach.send("Miles\r");
    attach.wait_for("Miles it is");
    attach.send("\x1dd");
    assert_eq!(attach.wait().exit_code(), 0, "{}", attach.text());
    trial.run(&["wait", "T1", "--for", "review,red,needs-you", "--timeout", "60s"]).failed(2, "it is one of");
    trial.run(&["wait", "T1", "--for", "review", "--timeout", "60s"]).ok();
    let diff = trial.run(&["diff", "T1"]).ok();
    assert!(diff.out.contains("+++ b/bin/distance"), "{diff:?}");
}

#[test]
fn a_new_task_is_written_in_the_editor() {
    let trial = Trial::new();
    trial.write("edit.sh", "#!/bin/sh\nsed -i 's/^## Outcome$/## Outcome\\nIt prints 3./' \"$1\"\n");
    let script = trial.repo().join("edit.sh");
    let editor = format!("sh {}", script.display());
    let mut add = trial.on_terminal(&["add", "Print three"], &[("EDITOR", &editor)]);
    add.wait_for("T1  Print three");
    assert_eq!(add.wait().exit_code(), 0);
    let brief = trial.run(&["brief", "T1"]).ok().out;
    assert!(brief.contains("## Outcome\nIt prints 3.\n") && !brief.contains("## Context"), "{brief}");
    let mut broken = trial.on_terminal(&["edit", "T1"], &[("EDITOR", "false")]);
    broken.wait_for("did not end well; nothing was changed");
    assert_eq!(broken.wait().exit_code(), 1);
}

/// An editor that does this to its file.
fn editor(trial: &Trial, script: &str) -> String {
    trial.write("edit.sh", &format!("#!/bin/sh\n{script}\n"));
    format!("sh {}", trial.repo().join("edit.sh").display())
}

#[test]
fn what_was_changed_while_the_editor_was_open_stays() {
    let trial = Trial::new();
    trial.write("old.md", "---\ntitle: Old title\n---\nold words\n");
    trial.run(&["add", "--brief", "old.md"]).ok();
    // Another one edits the same task before this editor is closed.
    let meanwhile = |args: &str| format!("{} edit T1 {args} || exit 9", env!("CARGO_BIN_EXE_standup"));
    let also = meanwhile("--priority urgent --off-limits 'secrets/**' --title 'Better title'");
    let script = editor(&trial, &format!("{also}\nsed -i 's/old words/new words/' \"$1\""));
    let mut edit = trial.on_terminal(&["edit", "T1"], &[("EDITOR", &script)]);
    assert_eq!(edit.wait().exit_code(), 0, "{}", edit.text());
    let now = trial.spec("T1");
    let kept = (&now["priority"], &now["off_limits"], &now["title"]);
    assert_eq!(kept, (&"urgent".into(), &serde_json::json!(["secrets/**"]), &"Better title".into()), "{now}");
    assert!(trial.run(&["brief", "T1"]).ok().out.contains("new words"));
    // A title of its own stays also where the text, which has the old one, is changed later.
    let script = editor(&trial, "sed -i 's/new words/newer words/' \"$1\"");
    let mut edit = trial.on_terminal(&["edit", "T1"], &[("EDITOR", &script)]);
    assert_eq!(edit.wait().exit_code(), 0, "{}", edit.text());
    assert_eq!(trial.spec("T1")["title"], "Better title");
    // Two texts do not become one: the second is refused, and kept.
    trial.write("other.md", "---\ntitle: Old title\n---\nother words\n");
    let script =
        editor(&trial, &format!("{}\nsed -i 's/newer words/last words/' \"$1\"", meanwhile("--brief other.md")));
    let mut edit = trial.on_terminal(&["edit", "T1", "--label", "ui"], &[("EDITOR", &script)]);
    assert_eq!(edit.wait().exit_code(), 0, "flags open no editor: {}", edit.text());
    let mut edit = trial.on_terminal(&["edit", "T1"], &[("EDITOR", &script)]);
    assert_eq!(edit.wait().exit_code(), 7, "{}", edit.text());
    assert!(edit.text().contains("T1 was changed meanwhile, and both changed: brief"), "{}", edit.text());
    assert!(trial.run(&["brief", "T1"]).ok().out.contains("other words"));
    assert!(kept_text(&edit.text(), "standup edit T1 --brief ").contains("last words"));
}

/// The text in the file that a hint names after `command`.
#[track_caller]
fn kept_text(said: &str, command: &str) -> String {
    let path = said.split_once(command).unwrap_or_else(|| panic!("no {command:?} in {said}")).1;
    let path = path.split(|c: char| c.is_whitespace() || c == '\\').next().expect("a path");
    let text = std::fs::read_to_string(path).expect("the text that was kept");
    std::fs::remove_dir_all(std::path::Path::new(path).parent().expect("a folder")).expect("removed");
    text
}

#[test]
fn what_was_written_in_the_editor_survives_every_refusal() {
    let trial = Trial::new();
    trial.run(&["add", "First"]).ok();
    trial.run(&["add", "Second", "--after", "T1"]).ok();
    let on_terminal = |args: &[&str], script: &str, code: u32| {
        let script = editor(&trial, script);
        let mut verb = trial.on_terminal(args, &[("EDITOR", &script)]);
        assert_eq!(verb.wait().exit_code(), code, "{}", verb.text());
        verb.text()
    };
    let write = |needs: &str| format!("printf '%s\\n' --- 'title: It' 'needs: [{needs}]' --- 'a long text' > \"$1\"");
    // A circle, which only the supervisor sees; a task that is not there; a mistake of the text.
    let circle = on_terminal(&["edit", "T1"], &write("T2"), 2);
    assert!(kept_text(&circle, "standup edit T1 --brief ").contains("a long text"), "{circle}");
    let unknown = on_terminal(&["edit", "T1"], &write("T99"), 3);
    assert!(kept_text(&unknown, "standup edit T1 --brief ").contains("a long text"), "{unknown}");
    let wrong = on_terminal(&["edit", "T1"], "printf -- '---\\ntitel: x\\n---\\na long text\\n' > \"$1\"", 1);
    assert!(kept_text(&wrong, "standup edit T1 --brief ").contains("a long text"), "{wrong}");
    // A new task: with what was said beside it.
    let asked = ["add", "It", "--priority", "high", "--label", "two words"];
    let unknown = on_terminal(&asked, &write("T99"), 3);
    assert!(unknown.contains(r"--priority high --label \'two words\'"), "{unknown}");
    let text = kept_text(&unknown, "standup add --brief ");
    assert!(text.contains("a long text"), "{text}");
    // What the flags say is looked at before the editor opens.
    let early = on_terminal(&["add", "It", "--after", "T99"], "touch opened", 3);
    assert!(!trial.repo().join("opened").exists(), "{early}");
    // Nobody can be reached any more when the editor is closed.
    trial.run(&["down", "--all"]).ok();
    let gone = format!(
        "{}; find {} -name supervisor.lock -exec sh -c 'rm \"$0\"; mkdir \"$0\"' {{}} ';'",
        write(""),
        trial.home().display()
    );
    let unreachable = on_terminal(&["add", "It", "--mode", "own"], &gone, 69);
    assert!(kept_text(&unreachable, "standup add --brief ").contains("a long text"), "{unreachable}");
    assert!(unreachable.contains("--mode own"), "{unreachable}");
}

#[test]
fn what_is_not_approved_is_shown_and_asked_about_before_anything_starts() {
    let trial = Trial::with_agent();
    trial.run(&["trust", "--revoke"]).ok();
    trial.run(&["add", "Nothing to ask"]).ok();
    trial.run(&["up"]).failed(8, "are not approved");
    let mut no = trial.on_terminal(&["up"], &[]);
    no.wait_for("May these run on this machine?");
    assert!(no.text().contains("__demo-agent"), "{}", no.text());
    no.send("n\r");
    assert_eq!(no.wait().exit_code(), 8, "{}", no.text());
    let mut asked = trial.on_terminal(&["up"], &[]);
    asked.wait_for("May these run on this machine?");
    asked.send("y\r");
    assert_eq!(asked.wait().exit_code(), 0, "{}", asked.text());
    trial.run(&["wait", "T1", "--for", "review", "--timeout", "60s"]).ok();
}
