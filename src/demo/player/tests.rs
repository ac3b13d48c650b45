//! The player on a made-up terminal: what it shows decides what is typed next, so nothing waits.

use std::path::PathBuf;

use super::*;

/// A terminal that types when it has seen something.
#[derive(Default)]
struct Made {
    shown: String,
    /// What is typed once the text has been seen, in order.
    plan: VecDeque<(&'static str, Vec<Happening>)>,
    typed: VecDeque<Happening>,
    seen: usize,
}

impl Made {
    fn new(plan: Vec<(&'static str, Vec<Happening>)>) -> Self {
        Self { plan: plan.into(), ..Self::default() }
    }

    fn follow_plan(&mut self) {
        if let Some((text, _)) = self.plan.front()
            && let Some(at) = self.shown[self.seen..].find(text)
        {
            self.seen += at + text.len();
            self.typed.extend(self.plan.pop_front().expect("looked at").1);
        }
    }

    /// The states it reported, in order, without repetitions.
    fn states(&self) -> Vec<&str> {
        let mut states: Vec<&str> = self
            .shown
            .split("\x1b]7501;state=")
            .skip(1)
            .filter_map(|rest| rest.split_once(':').map(|(s, _)| s))
            .collect();
        states.dedup();
        states
    }
}

impl Terminal for Made {
    fn show(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.shown.push_str(std::str::from_utf8(bytes).expect("UTF-8"));
        Ok(())
    }

    fn next(&mut self, wait: Option<Duration>) -> io::Result<Happening> {
        self.follow_plan();
        if let Some(happening) = self.typed.pop_front() {
            return Ok(happening);
        }
        // Nobody types any more: a wait with a limit is over at once, one without would never be.
        Ok(if wait.is_some() { Happening::Nothing } else { Happening::Closed })
    }
}

fn keys(text: &str) -> Vec<Happening> {
    text.chars().map(|c| Happening::Key(if c == '\r' { Key::Enter } else { Key::Char(c) })).collect()
}

fn pasted(text: &str) -> Vec<Happening> {
    vec![Happening::Key(Key::Paste(text.into())), Happening::Key(Key::Enter)]
}

/// A scratch repository of its own for every test.
fn stage() -> (tempfile::TempDir, Surroundings) {
    let dir = tempfile::tempdir().expect("temp dir");
    let scratch = crate::demo::scratch::lay(dir.path(), Path::new("/nonexistent/player"), None).expect("laid");
    let run = scratch.repository.join(".standup/run");
    fs::create_dir_all(&run).expect("mkdir");
    fs::write(run.join(".gitignore"), "*\n").expect("write");
    let around = Surroundings { worktree: scratch.repository, dir: Some(run), brief: None };
    (dir, around)
}

fn options(script: &str) -> Options {
    Options {
        script: Some(script.into()),
        session: Some("abc".into()),
        resume: None,
        pace: Duration::ZERO,
        prompt: Some("go".into()),
    }
}

fn shell(around: &Surroundings, line: &str) -> (bool, String) {
    let out = Run::new("/bin/sh").args(["-c", line]).cwd(&around.worktree).output().expect("sh runs");
    (out.ended.is_success(), String::from_utf8_lossy(&out.stdout).into_owned())
}

fn check_ins(around: &Surroundings) -> Vec<CheckIn> {
    let outbox = around.dir.as_ref().expect("set").join("outbox");
    let mut names: Vec<PathBuf> = fs::read_dir(outbox).expect("outbox").map(|e| e.expect("entry").path()).collect();
    names.sort();
    names.iter().map(|path| serde_json::from_slice(&fs::read(path).expect("read")).expect("a check-in")).collect()
}

#[test]
fn it_edits_commits_checks_in_and_is_done() {
    let (_dir, around) = stage();
    let mut terminal = Made::default();
    assert_eq!(play(&options("greet"), &around, &mut terminal).expect("plays"), 0);
    assert_eq!(terminal.states(), ["working", "done", "clear"], "{}", terminal.shown);
    let (passed, tap) = shell(&around, "sh tests/run");
    assert!(passed && tap.contains("ok 1 - greet-name"), "{tap}");
    assert_eq!(shell(&around, "git rev-list --count HEAD").1.trim(), "3");
    assert_eq!(shell(&around, "git status --porcelain").1, "");
    let states: Vec<_> = check_ins(&around).iter().map(|c| c.state).collect();
    assert_eq!(states, [crate::model::checkin::Claim::Working, crate::model::checkin::Claim::Ready]);
}

#[test]
fn it_asks_and_goes_on_by_the_answer() {
    let answers =
        [(keys("2"), "3 mi"), (keys("miles\r"), "3 mi"), (pasted("1"), "3 km"), (keys("nonsense\rkilo\r"), "3 km")];
    for (typed, expected) in answers {
        let (_dir, around) = stage();
        let mut terminal = Made::new(vec![("Esc refuses", typed)]);
        assert_eq!(play(&options("distance"), &around, &mut terminal).expect("plays"), 0);
        assert_eq!(terminal.states(), ["working", "blocked", "working", "done", "clear"], "{}", terminal.shown);
        let (_, printed) = shell(&around, "bin/distance 4900");
        assert_eq!(printed.split_once(' ').expect("a unit").1.trim(), expected.split_once(' ').expect("a unit").1);
        assert!(shell(&around, "sh tests/run").0);
    }
}

#[test]
fn it_fails_once_and_mends_it_when_told() {
    let (_dir, around) = stage();
    let mut terminal = Made::default();
    play(&options("longest"), &around, &mut terminal).expect("plays");
    let (passed, tap) = shell(&around, "sh tests/run");
    assert!(!passed && tap.contains("not ok") && tap.contains("without its newline"), "{tap}");

    // The failure reaches another process that resumes the conversation, as a paste.
    let again = Options { resume: Some("abc".into()), prompt: None, ..options("longest") };
    let mut terminal = Made::new(vec![("› ", pasted(&format!("The checks are red:\n{tap}")))]);
    play(&again, &around, &mut terminal).expect("plays");
    assert_eq!(terminal.states(), ["idle", "working", "done", "clear"], "{}", terminal.shown);
    assert!(shell(&around, "sh tests/run").0);
}

#[test]
fn an_interrupted_turn_rests_and_the_next_message_finishes_it() {
    for key in [Key::Escape, Key::Interrupt] {
        let (_dir, around) = stage();
        let mut terminal =
            Made::new(vec![("Check-in", vec![Happening::Key(key)]), ("What should I do instead?", keys("go on\r"))]);
        play(&options("greet"), &around, &mut terminal).expect("plays");
        assert_eq!(terminal.states(), ["working", "idle", "working", "done", "clear"], "{}", terminal.shown);
        assert!(shell(&around, "sh tests/run").0);
    }
}

#[test]
fn it_leaves_when_asked_in_every_way() {
    let twice = vec![Happening::Key(Key::Interrupt), Happening::Key(Key::Interrupt)];
    let ways: [(Vec<Happening>, u8); 6] = [
        (keys("/exit\r"), 0),
        (pasted("/quit"), 0),
        (twice, 0),
        (vec![Happening::Asked(15)], 143),
        (vec![Happening::Asked(1)], 129),
        (vec![Happening::Closed], 0),
    ];
    for (typed, code) in ways {
        let (_dir, around) = stage();
        let idle = Options { prompt: None, ..options("greet") };
        let mut terminal = Made::new(vec![("› ", typed.clone())]);
        assert_eq!(play(&idle, &around, &mut terminal).expect("plays"), code, "{typed:?}");
        assert_eq!(terminal.states().last(), Some(&"clear"));
        assert!(terminal.shown.ends_with("\x1b[?2004l"));
    }
}

#[test]
fn it_can_be_asked_to_leave_in_the_middle_of_a_question() {
    let (_dir, around) = stage();
    let mut terminal = Made::new(vec![("Esc refuses", vec![Happening::Asked(15)])]);
    assert_eq!(play(&options("distance"), &around, &mut terminal).expect("plays"), 143);
}

#[test]
fn messages_typed_during_a_turn_wait_for_its_end_and_their_number_is_bounded() {
    let (_dir, around) = stage();
    let mut terminal = Made::new(vec![("Check-in", keys(&"hi\r".repeat(MAX_QUEUE + 1)))]);
    play(&options("greet"), &around, &mut terminal).expect("plays");
    assert_eq!(terminal.shown.matches("Noted.").count(), MAX_QUEUE);
    assert!(terminal.shown.contains("this one is dropped"));
}

#[test]
fn a_step_that_fails_is_an_error_and_the_player_stays() {
    let (_dir, around) = stage();
    fs::remove_file(around.worktree.join("bin/greet")).expect("there");
    let mut terminal = Made::default();
    play(&options("greet"), &around, &mut terminal).expect("plays");
    assert_eq!(terminal.states(), ["working", "error", "clear"], "{}", terminal.shown);
}

#[test]
fn the_brief_names_the_script_where_nobody_else_does() {
    let (dir, mut around) = stage();
    let brief = dir.path().join("brief.md");
    fs::write(&brief, "---\ntitle: x\n---\n<!-- demo: greet -->\n").expect("write");
    around.brief = Some(brief);
    let mut terminal = Made::default();
    play(&Options { script: None, ..options("") }, &around, &mut terminal).expect("plays");
    assert!(terminal.shown.contains("greet people by name"));
}

#[test]
fn what_cannot_be_played_is_said() {
    let (_dir, around) = stage();
    let mut terminal = Made::default();
    let unknown = play(&options("nobody"), &around, &mut terminal).expect_err("unknown");
    assert_eq!(unknown.to_string(), "there is no script named nobody");
    let lost = Options { resume: Some("gone".into()), ..options("greet") };
    let lost = play(&lost, &around, &mut terminal).expect_err("unknown");
    assert_eq!(lost.to_string(), "no conversation found with the id gone");
}

#[test]
fn the_command_line() {
    let parse = |args: &[&str]| Options::parse(args.iter().map(OsString::from));
    let options = parse(&["--script", "greet", "--pace", "5", "--", "--not-a-flag"]).expect("fine");
    assert_eq!(options.script.as_deref(), Some("greet"));
    assert_eq!((options.pace, options.prompt.as_deref()), (Duration::from_millis(5), Some("--not-a-flag")));
    for bad in [&["--script"][..], &["--dance"], &["--pace", "x"], &["a", "b"], &["--resume", "../../x"]] {
        assert!(parse(bad).is_err(), "{bad:?}");
    }
}
