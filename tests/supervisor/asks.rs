//! Dialogs, their answers from outside, and who is told of them.

use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use standup::model::board::{Board, HoldKind};
use standup::model::dialog::Way;
use standup::model::event::{Event, NeedKind};
use standup::model::input::{Command as Wish, Reply};
use standup::model::time::Wall;
use standup::os::clock;

use crate::peer::Peer;
use crate::scene::{Scene, id, poll};

/// What such an agent prints when it asks; the key it then gets lies in its folder.
const DIALOG: &str = r#"
ask() { printf '\033[2J\033[H\r\n  Would you like to run the following command?\r\n  $ %s\r\n' "$1"
  printf '› 1. Yes, proceed (y)\r\n  2. No, and tell Codex what to do differently (esc)\r\n'
  printf '  Press enter to confirm or esc to cancel\r\n\033]7501;state=blocked:app=codex:kind=permission\007'; }
key() { dd bs=1 count=1 2>/dev/null; }
begin() { stty raw -echo; printf '\033]7501;state=working:app=codex\007'; }
goes_on() { printf '\033[2J\033[H\033]7501;state=working:app=codex\007'; }
rest() { while [ ! -e $STANDUP_DIR/stop ]; do sleep 0.1; done; }
"#;

/// Settings with one agent of an adapter, a script.
fn agent(adapter: &str, script: &str, more: &str) -> String {
    format!(
        "schema = 1\n{more}\n[wip]\nbuild = 60\n[agents.it]\nadapter = \"{adapter}\"\n\
         command = [\"sh\", \"-c\", '''{DIALOG}{script}''']\n"
    )
}

fn asks(board: &Board, number: u32) -> bool {
    let need = board.tasks.get(&id(number)).and_then(|t| t.needs_you.as_ref());
    need.is_some_and(|n| n.kind == NeedKind::Permission && n.options.len() == 2)
}

fn answer(scene: &Scene, choice: &str) -> Result<Reply, standup::client::control::ClientError> {
    scene.wish(Wish::Answer { task: id(1), choice: choice.into() })
}

/// Runs a verb: its exit code, what it answered, what it said.
fn cli(scene: &Scene, args: &[&str]) -> (i32, String, String) {
    let mut command = scene.command(env!("CARGO_BIN_EXE_standup"));
    let out = command.arg("-C").arg(scene.repo()).args(args).output().expect("it runs");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (out.status.code().unwrap_or(-1), text(out.stdout), text(out.stderr))
}

fn given(events: &[Event]) -> Vec<Way> {
    events.iter().filter_map(|e| if let Event::AnswerGiven { way, .. } = e { Some(*way) } else { None }).collect()
}

fn taken(events: &[Event]) -> usize {
    events.iter().filter(|e| matches!(e, Event::AnswerTaken { .. })).count()
}

fn until_file(path: &Path) -> String {
    poll(&format!("{} is written", path.display()), || path.exists());
    std::fs::read_to_string(path).expect("read")
}

#[test]
fn one_key_answers_the_dialog_on_the_screen_and_only_that_one() {
    let script = "begin; for n in 1 2; do ask \"make $n\"; key > $HOME/k; mv $HOME/k $HOME/key-$n; goes_on; \
                  while [ ! -e $HOME/again ]; do sleep 0.1; done; done; rest";
    let mut scene = Scene::new(&agent("codex", script, ""));
    scene.start();
    scene.start_tasks(1);
    let board = scene.until("it asks", |b| asks(b, 1));
    let need = board.tasks[&id(1)].needs_you.clone().expect("a need");
    assert!(need.question.contains("make 1"), "{}", need.question);
    assert!(answer(&scene, "maybe").is_err(), "that is none of the options");
    answer(&scene, "yes").expect("accepted");
    assert_eq!(until_file(&scene.home().join("key-1")), "1");
    scene.until("nobody is needed", |b| b.tasks[&id(1)].needs_you.is_none());
    assert!(answer(&scene, "yes").is_err(), "nobody asks");
    std::fs::write(scene.home().join("again"), "").expect("write");
    scene.until("it asks again", |b| asks(b, 1));
    let (code, out, said) = cli(&scene, &["answer", "T1", "perhaps"]);
    assert!(code == 2 && out.is_empty() && said.contains("hint: standup answer T1 yes"), "{code} {said}");
    let (code, out, said) = cli(&scene, &["next", "--print"]);
    assert!(code == 0 && out.contains("make 2") && out.contains("no   No, and tell"), "{out} {said}");
    let (code, out, said) = cli(&scene, &["answer", "T1", "no", "--json"]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(serde_json::from_str::<serde_json::Value>(&out).expect("JSON")["kind"], "answer");
    assert_eq!(until_file(&scene.home().join("key-2")), "2");
    scene.until("taken", |b| b.tasks[&id(1)].attempt().is_some_and(|a| a.answer.is_none()));
    let events = scene.events(1);
    assert_eq!((given(&events), taken(&events)), (vec![Way::Key, Way::Key], 2));
}

#[test]
fn an_answer_that_a_killed_supervisor_had_written_is_not_written_again() {
    let script = "begin; ask make; key > $HOME/k; mv $HOME/k $HOME/first; goes_on; sleep 1; ask make; \
                  key > $HOME/k; mv $HOME/k $HOME/second; goes_on; rest";
    let mut scene = Scene::new(&agent("codex", script, ""));
    scene.start_with(&[("STANDUP_FAILPOINT", "answer.answered:abort")]);
    scene.start_tasks(1);
    scene.until("it asks", |b| asks(b, 1));
    let _ = answer(&scene, "yes");
    scene.wait_dead();
    assert_eq!(until_file(&scene.home().join("first")), "1");
    scene.start();
    // The second dialog looks like the first, and nobody answered it.
    scene.until("it asks again", |b| asks(b, 1) && b.tasks[&id(1)].attempt().is_some_and(|a| a.answer.is_none()));
    assert!(!scene.home().join("second").exists());
    assert_eq!(given(&scene.events(1)).len(), 1);
}

#[test]
fn a_question_that_offers_answers_is_answered_by_one_of_them() {
    let script = "standup ask 'Which store?' --option sqlite --option 'flat files' --wait > $HOME/h; \
                  mv $HOME/h $HOME/heard; rest";
    let mut scene = Scene::new(&agent("generic", script, ""));
    scene.start();
    scene.start_tasks(1);
    scene.until("it asks", |b| b.tasks[&id(1)].needs_you.as_ref().is_some_and(|n| n.options.len() == 2));
    let (code, out, said) = cli(&scene, &["next", "--print"]);
    assert!(code == 0 && out.contains("Which store?\n  1    sqlite\n  2    flat files"), "{out} {said}");
    assert!(said.contains("hint: standup answer T1 1"), "{said}");
    let (code, out, said) = cli(&scene, &["answer", "T1", "neither"]);
    assert!(code == 2 && out.is_empty() && said.contains("hint: standup answer T1 2    # flat files"), "{code} {said}");
    let (code, out, said) = cli(&scene, &["answer", "T1", "flat"]);
    assert!(code == 0 && out == "T1: flat files\n", "{code} {out} {said}");
    assert_eq!(until_file(&scene.home().join("heard")), "flat files\n");
    scene.until("nobody is needed", |b| b.tasks[&id(1)].needs_you.is_none());
}

#[test]
fn one_that_listens_for_an_answer_waits_whoever_asks() {
    let script = "begin; standup ask 'Which way?' --wait > $HOME/h; mv $HOME/h $HOME/heard; rest";
    let mut scene = Scene::new(&agent("codex", script, ""));
    scene.start();
    scene.start_tasks(1);
    let (code, out, said) = cli(&scene, &["wait", "T1", "--for", "waiting", "--timeout", "30s"]);
    assert!(code == 0 && out.contains("waiting"), "{code} {out} {said}");
    let json = |args: &[&str]| {
        let (code, out, said) = cli(&scene, args);
        assert_eq!(code, 0, "{said}");
        serde_json::from_str::<serde_json::Value>(&out).expect("JSON")
    };
    let (state, status) = (json(&["state", "T1", "--json"]), json(&["status", "--json"]));
    assert_eq!((&state["state"]["kind"], &state["text"]), (&"waiting".into(), &"Which way?".into()), "{state}");
    assert_eq!(status["tasks"][0]["state"]["kind"], "waiting", "{status}");
    let raw = json(&["state", "T1", "--explain", "--json"]);
    assert_eq!((&raw["state"]["kind"], &raw["signals"][0]["kind"]), (&"waiting".into(), &"working".into()), "{raw}");
    let (code, ..) = cli(&scene, &["send", "T1", "left"]);
    assert_eq!((code, until_file(&scene.home().join("heard")).trim()), (0, "left"));
    let (code, out, said) = cli(&scene, &["wait", "T1", "--for", "working", "--timeout", "30s"]);
    assert!(code == 0 && out.contains("working"), "it goes on: {code} {out} {said}");
}

#[test]
fn the_end_of_a_limit_is_told_to_people_in_their_own_time_and_to_programs_in_utc() {
    let end = Wall((clock::now().wall.0 / 60_000 + 120) * 60_000);
    let said = STANDARD.encode(format!("usage limit reached|{}", end.0 / 1_000));
    let script = format!("begin; printf '\\033]7501;state=error:app=codex:msg={said}\\007'; rest");
    let mut scene = Scene::new(&agent("codex", &script, ""));
    scene.start();
    scene.start_tasks(1);
    let held = |b: &Board| b.holds.iter().any(|h| h.because == HoldKind::Limited);
    let board = scene.until("out of quota", held);
    assert!(board.holds.iter().any(|h| h.text.contains(&end.minute())), "{:?}", board.holds);
    let status = |more: &[&str]| {
        let mut command = scene.command(env!("CARGO_BIN_EXE_standup"));
        command.arg("-C").arg(scene.repo()).arg("status").args(more).env("TZ", "XXX-5:30");
        String::from_utf8(command.output().expect("it runs").stdout).expect("text")
    };
    let there = jiff::Timestamp::from_millisecond(end.0 + 19_800_000).expect("a time").strftime("%H:%M").to_string();
    let text = status(&[]);
    assert!(text.contains("limited until ") && text.contains(&there) && !text.contains("UTC"), "{text}");
    let json = status(&["--json"]);
    assert!(json.contains(&end.minute()) && !json.contains("+05:30"), "{json}");
}

#[test]
fn a_limit_that_the_screen_names_after_the_error_is_never_told_as_one() {
    let dir = tempfile::tempdir().expect("temp dir");
    let file = dir.path().join("told");
    // Codex reports the error without a word, and paints what it was a moment later.
    let fails = |words: &str| format!("printf '\\033]7501;state=error:app=codex\\007'; printf '■ {words}\\r\\n'");
    let script = format!(
        "begin; {}; while [ ! -e $HOME/again ]; do sleep 0.1; done; goes_on; {}; rest",
        fails("You’ve hit your usage limit."),
        fails("stream disconnected"),
    );
    let mut scene = Scene::new(&agent("codex", &script, &notifying(&file)));
    scene.start();
    scene.start_tasks(1);
    let needs = |kind: NeedKind| move |b: &Board| b.tasks[&id(1)].needs_you.as_ref().is_some_and(|n| n.kind == kind);
    scene.until("out of quota", needs(NeedKind::Limit));
    poll("the notification", || !told(&file).is_empty());
    std::fs::write(scene.home().join("again"), "").expect("write");
    let board = scene.until("an error is one all the same", needs(NeedKind::Exit));
    let question = board.tasks[&id(1)].needs_you.as_ref().map(|need| need.question.clone()).unwrap_or_default();
    assert!(question.contains("stream disconnected"), "{question}");
    poll("the second notification", || told(&file).len() >= 2);
    let raised: Vec<NeedKind> = scene.events(1).iter().filter_map(raised).collect();
    assert_eq!(raised, [NeedKind::Limit, NeedKind::Exit]);
    let told = told(&file);
    assert!(told[0].starts_with("T1 is over a limit") && told[1].starts_with("T1 went wrong"), "{told:?}");
    assert_eq!(told.len(), 2, "{told:?}");
}

fn raised(event: &Event) -> Option<NeedKind> {
    if let Event::NeedsYouRaised { kind, .. } = event { Some(*kind) } else { None }
}

/// An agent whose hook waits beside its dialog; what the hook prints lies in its folder.
const HOOKED: &str = r#"begin; ask "touch x"
printf '{"session_id":"%s","cwd":"%s","hook_event_name":"PermissionRequest","tool_name":"Bash","tool_input":{"command":"touch x"}}' \
  "$1" "$PWD" | standup hook --wait claude > $HOME/said; echo $? > $HOME/ended.new; mv $HOME/ended.new $HOME/ended
goes_on; rest"#;

fn hooked() -> Scene {
    let mut scene = Scene::new(&agent("claude", HOOKED, ""));
    scene.start();
    scene.start_tasks(1);
    let hook = |b: &Board| b.tasks[&id(1)].attempt().and_then(|a| a.dialog.as_ref()).is_some_and(|d| d.hook);
    scene.until("the hook waits", hook);
    scene
}

#[test]
fn a_hook_that_waits_is_told_the_decision() {
    for (choice, said) in
        [("yes", "\"allow\""), ("no", "\"deny\""), ("no use \"make clean\"", "use \\\"make clean\\\"\"")]
    {
        let scene = hooked();
        let (code, _, refused) = cli(&scene, &["answer", "T1", "yes", "but only once"]);
        assert!(code == 2 && refused.contains("standup answer T1 yes"), "{code} {refused}");
        answer(&scene, choice).expect("accepted");
        assert_eq!(until_file(&scene.home().join("ended")).trim(), "0");
        let printed = std::fs::read_to_string(scene.home().join("said")).expect("read");
        assert!(printed.contains(said) && printed.contains("PermissionRequest"), "{printed}");
        scene.until("nobody is needed", |b| b.tasks[&id(1)].needs_you.is_none());
        let events = scene.events(1);
        assert_eq!((given(&events), taken(&events)), (vec![Way::Hook], 1));
    }
}

#[test]
fn a_killed_supervisor_lets_hooks_go_at_once_and_without_a_word() {
    let mut scene = hooked();
    scene.kill();
    let killed = std::time::Instant::now();
    assert_eq!(until_file(&scene.home().join("ended")).trim(), "0");
    // Its connection ends with the supervisor; without that it would wait for ever.
    assert!(killed.elapsed() < Duration::from_secs(30), "{:?}", killed.elapsed());
    assert_eq!(std::fs::read_to_string(scene.home().join("said")).expect("read"), "");
}

/// Settings that write each notification into a file as one line.
fn notifying(file: &Path) -> String {
    let append = format!("printf '%s|%s\\n' \"$1\" \"$2\" >> {}", file.display());
    format!("[notify]\ncommand = [\"sh\", \"-c\", '''{append}''', \"n\", \"{{title}}\", \"{{body}}\"]")
}

fn told(file: &Path) -> Vec<String> {
    std::fs::read_to_string(file).unwrap_or_default().lines().map(str::to_owned).collect()
}

#[test]
fn each_need_is_told_once_and_not_again_after_a_restart() {
    let dir = tempfile::tempdir().expect("temp dir");
    let file = dir.path().join("told");
    let script = "begin; while :; do ask \"make it; $(n=1)\"; key > /dev/null; goes_on; \
                  while [ ! -e $HOME/again ]; do sleep 0.1; done; rm $HOME/again; done";
    let mut scene = Scene::new(&agent("codex", script, &notifying(&file)));
    scene.start();
    scene.start_tasks(1);
    scene.until("it asks", |b| asks(b, 1));
    poll("the notification", || !told(&file).is_empty());
    let first = told(&file);
    assert!(
        first[0].starts_with("T1 asks for permission|“Task number 1”") && first[0].contains("make it"),
        "{first:?}"
    );
    scene.kill();
    scene.start();
    scene.until("its dialog is seen again", |b| b.tasks[&id(1)].attempt().is_some_and(|a| a.dialog.is_some()));
    answer(&scene, "yes").expect("accepted");
    scene.until("nobody is needed", |b| b.tasks[&id(1)].needs_you.is_none());
    // The next need is another one, and is told after all that came before it.
    std::fs::write(scene.home().join("again"), "").expect("write");
    scene.until("it asks again", |b| asks(b, 1));
    poll("the second notification", || told(&file).len() >= 2);
    assert_eq!(told(&file).len(), 2, "{:?}", told(&file));
}

#[test]
fn a_need_keeps_its_age_over_a_restart_whoever_told_of_it() {
    let trust = "printf '\\033[2J\\033[H  Folder access\\r\\n  Trust this folder? Codex can read files here.\\r\\n\
                 › 1. Trust and continue\\r\\n  2. Back\\r\\n  enter continue · esc back\\r\\n'";
    let cases = [
        ("the screen alone", trust.to_owned()),
        ("the screen against a report", format!("begin; printf '\\033]7501;state=idle:app=codex\\007'; {trust}")),
        ("a report", "begin; ask make".to_owned()),
    ];
    for (what, script) in cases {
        let mut scene = Scene::new(&agent("codex", &format!("{script}; rest"), ""));
        scene.start();
        scene.start_tasks(1);
        let known = |b: &Board| {
            let task = &b.tasks[&id(1)];
            task.needs_you.is_some() && task.attempt().is_some_and(|a| a.dialog.is_some())
        };
        let need = |board: Board| board.tasks[&id(1)].needs_you.as_ref().map(|n| (n.kind, n.since, n.question.clone()));
        let before = need(scene.until(what, known));
        // Each supervisor has a number of its own for the dialog; that makes no other need of it.
        let needs = |scene: &Scene| {
            let of = |e: &&Event| matches!(e, Event::NeedsYouRaised { refined: false, .. } | Event::NeedsYouCleared {});
            scene.events(1).iter().filter(of).count()
        };
        let told = needs(&scene);
        scene.kill();
        scene.start();
        let after = need(scene.until(&format!("{what}, again"), known));
        assert_eq!((after, needs(&scene)), (before, told), "{what}");
        // What it came with answers it.
        assert!(scene.attempt(1).dialog.map(|d| d.no) == scene.task(1).needs_you.and_then(|n| n.dialog), "{what}");
    }
}

#[test]
fn who_looks_at_another_task_is_told_and_who_looks_at_this_one_is_not() {
    let dir = tempfile::tempdir().expect("temp dir");
    let file = dir.path().join("told");
    let script = "begin; while [ ! -e $STANDUP_DIR/go ]; do sleep 0.05; done; ask make; key > /dev/null; goes_on; rest";
    let mut scene = Scene::new(&agent("codex", script, &notifying(&file)));
    scene.start();
    let hosts = scene.live(2);
    let mut terminal = Peer::client(&scene.host_socket(&hosts[0].id), 0);
    terminal.until_painted();
    scene.signal_file(2, "go");
    scene.until("the second asks", |b| asks(b, 2));
    terminal.until_output("\x1b]9;T2 asks for permission");
    // The bell rings too.
    terminal.until_output("\x1b\\\x07");
    poll("the program is told too", || told(&file).len() == 1);
    scene.signal_file(1, "go");
    scene.until("the first asks", |b| asks(b, 1));
    // A need of nobody's terminal comes later, and is told: what is not told by then never is.
    scene.wish(Wish::Retry { task: id(2), agent: None }).expect("retry");
    let again = |b: &Board| b.tasks[&id(2)].attempt().is_some_and(|a| a.no.get() == 2 && a.host().is_some());
    scene.until("the second runs again", again);
    scene.signal_file(2, "go");
    scene.until("the second asks again", |b| asks(b, 2));
    poll("the program is told of it", || told(&file).len() >= 2);
    assert!(told(&file).iter().all(|line| line.starts_with("T2 ")), "{:?}", told(&file));
    terminal.until_output("\x1b]9;T2 asks for permission");
    assert!(!String::from_utf8_lossy(&terminal.output).contains("\x1b]9;T1"));
}
