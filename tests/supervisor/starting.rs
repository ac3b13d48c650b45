//! What holds a start back, and what is left and said where one fails.

use standup::client::control::ClientError;
use standup::model::attempt::End;
use standup::model::board::{Board, HoldKind};
use standup::model::event::NeedKind;
use standup::model::input::{Command as Wish, RefusalCode};
use standup::model::message::Delivery;
use standup::model::state::RunKind;
use standup::model::task::Column;

use crate::scene::{Scene, git, id, playing, poll, scripted, spec};

fn hold(board: &Board, number: u32) -> Option<(HoldKind, String)> {
    board.holds.iter().find(|h| h.task == id(number)).map(|h| (h.because, h.text.clone()))
}

fn is_held(board: &Board, number: u32, by: HoldKind) -> bool {
    hold(board, number).is_some_and(|(kind, _)| kind == by)
}

/// What a verb prints.
fn document(scene: &Scene, args: &[&str]) -> serde_json::Value {
    let mut command = scene.command(env!("CARGO_BIN_EXE_standup"));
    let out = command.arg("-C").arg(scene.repo()).args(args).output().expect("run");
    serde_json::from_slice(&out.stdout).expect("JSON")
}

fn live(board: &Board) -> usize {
    board.tasks.values().filter(|t| t.attempt().is_some_and(|a| a.host().is_some())).count()
}

/// Neither folder nor branch nor entry.
fn assert_clean(scene: &Scene) {
    assert_eq!(git(&scene.repo(), &["for-each-ref", "refs/heads/standup/"]), "");
    let entries = std::fs::read_dir(scene.repo().join(".git/worktrees")).map_or(0, Iterator::count);
    let folders = std::fs::read_dir(scene.place.layout.worktrees_dir()).map_or(0, Iterator::count);
    assert_eq!((entries, folders), (0, 0));
}

#[test]
fn a_failing_setup_leaves_nothing_and_says_what_it_printed() {
    let settings = playing(&["exit=0"]) + "[worktrees]\nsetup = [\"true\", \"echo no network here; exit 3\"]\n";
    let mut scene = Scene::new(&settings);
    scene.start();
    scene.start_tasks(1);
    let board = scene.until("the failure", |b| b.tasks[&id(1)].needs_you.is_some());
    let need = board.tasks[&id(1)].needs_you.clone().expect("need");
    assert_eq!(need.kind, NeedKind::Exit);
    for part in ["setup", "echo no network here; exit 3", "ended with 3", "no network here", "-setup.log"] {
        assert!(need.question.contains(part), "{part:?} is not in {:?}", need.question);
    }
    assert_clean(&scene);
    // Mended, it can be tried again.
    let mended = settings.replace("; exit 3", "");
    std::fs::write(scene.repo().join("agents.toml"), mended).expect("write");
    scene.approve();
    scene.client().ask(&standup::wire::control::Request::Reload {}).expect("reload");
    scene.wish(Wish::Retry { task: id(1), agent: None }).expect("retry");
    scene.until("its worktree", |b| b.tasks[&id(1)].attempt().is_some_and(|a| a.base_oid.is_some()));
}

#[test]
fn a_worktree_root_that_cannot_be_written_is_named() {
    let settings = playing(&["exit=0"]) + "[worktrees]\nroot = \"/proc/nowhere\"\n";
    let mut scene = Scene::new(&settings);
    scene.start();
    scene.start_tasks(1);
    let board = scene.until("the failure", |b| b.tasks[&id(1)].needs_you.is_some());
    let need = board.tasks[&id(1)].needs_you.clone().expect("need");
    assert!(need.question.contains("/proc/nowhere"), "{}", need.question);
    assert_clean(&scene);
}

#[test]
fn an_agent_that_is_missing_holds_its_task_and_is_named() {
    let settings =
        "schema = 1\n[agents.gone]\nadapter = \"generic\"\ncommand = [\"no-such-program\"]\nprompt = \"none\"\n";
    let mut scene = Scene::new(settings);
    scene.start();
    scene.start_tasks(1);
    let board = scene.until("the hold", |b| is_held(b, 1, HoldKind::Agent));
    assert!(hold(&board, 1).expect("hold").1.contains("no-such-program"));
    match scene.wish(Wish::Start { task: id(1) }) {
        Err(ClientError::Refused(refusal)) => {
            assert_eq!(refusal.code, RefusalCode::Failure);
            assert!(refusal.text.contains("no-such-program") && !refusal.hints.is_empty(), "{refusal:?}");
        }
        other => panic!("{other:?}"),
    }
    assert_clean(&scene);
}

#[test]
fn an_agent_that_ends_at_once_without_a_word_needs_you() {
    let mut scene = Scene::new(&scripted("exit 0"));
    scene.start();
    scene.start_tasks(1);
    let board = scene.until("the end", |b| b.tasks[&id(1)].needs_you.is_some());
    let attempt = board.tasks[&id(1)].attempt().expect("attempt");
    assert!(matches!(attempt.end(), Some(End::Failed { .. })), "{:?}", attempt.end());
    assert_eq!(board.tasks[&id(1)].column, Column::Build, "nothing was done, so nothing is in Review");
}

#[test]
fn an_agent_that_ends_at_once_is_told_with_how_it_ended() {
    for (script, code) in [("exit 0", 0), ("exit 3", 3), ("echo no; exit 3", 3)] {
        let mut scene = Scene::new(&scripted(script));
        scene.start();
        scene.start_tasks(1);
        scene.until("the end", |b| b.tasks[&id(1)].needs_you.is_some());
        let exit = serde_json::json!({"code": code, "signal": null});
        let show = document(&scene, &["show", "T1", "--json"]);
        assert_eq!(show["attempt"]["exit"], exit, "{script}: {}", show["attempt"]);
        assert_eq!(show["attempts"][0]["exit"], exit, "{script}: {}", show["attempts"][0]);
        let status = document(&scene, &["status", "--json"]);
        assert_eq!(status["tasks"][0]["attempt"]["exit"], exit, "{script}: {}", status["tasks"][0]["attempt"]);
        let told = scene.events(1).iter().any(|event| serde_json::json!(event)["exit"] == exit);
        assert!(told, "{script}: {:?}", scene.events(1));
    }
}

#[test]
fn an_agent_that_works_without_a_word_has_worked() {
    let mut scene = Scene::new(&scripted("echo work > done"));
    scene.start();
    scene.start_tasks(1);
    scene.until("review", |b| b.tasks[&id(1)].column == Column::Review);
    // Also where nobody was there to see it end.
    let hold = scene.home().join("held");
    scene.kill();
    scene.start_with(&[("STANDUP_FAILPOINT", &format!("host.recorded:pause:{}", hold.display()))]);
    scene.add(&["Another one"]);
    poll("the second agent", || hold.exists());
    scene.kill();
    std::fs::remove_file(&hold).expect("let go");
    poll("its end", || scene.record("T2-1-1").exit.is_some());
    scene.start();
    scene.until("review", |b| b.tasks[&id(2)].column == Column::Review);
}

#[test]
fn an_agent_that_ended_silently_while_nobody_looked_has_worked() {
    let mut scene = Scene::new(&scripted("while [ ! -e $STANDUP_DIR/stop ]; do sleep 0.05; done; echo work > done"));
    scene.start();
    scene.live(1);
    let dir = standup::store::layout::run_dir(&scene.attempt(1).worktree);
    scene.kill();
    std::fs::write(dir.join("stop"), "").expect("write");
    poll("its end", || scene.record("T1-1-1").exit.is_some());
    scene.start();
    scene.until("review", |b| b.tasks[&id(1)].column == Column::Review);
}

#[test]
fn an_agent_whose_program_cannot_run_is_said() {
    // It exists and may be executed, but what is to read it is not there.
    let mut scene = Scene::new("schema = 1\n");
    let program = scene.home().join("not-a-program");
    std::fs::create_dir_all(scene.home()).expect("folder");
    std::fs::write(&program, "#!/no/such/interpreter\n").expect("write");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&program, mode).expect("mode");
    let agent =
        format!("[agents.odd]\nadapter = \"generic\"\ncommand = [\"{}\"]\nprompt = \"none\"\n", program.display());
    std::fs::write(scene.repo().join("agents.toml"), format!("schema = 1\n{agent}")).expect("write");
    scene.approve();
    scene.start();
    scene.start_tasks(1);
    let board = scene.until("the failure", |b| b.tasks[&id(1)].needs_you.is_some());
    let question = &board.tasks[&id(1)].needs_you.as_ref().expect("need").question;
    assert!(question.contains("not-a-program"), "{question}");
}

#[test]
fn a_full_review_stops_new_starts_and_an_empty_one_lets_them_go_on() {
    let settings =
        scripted("echo work > done").replace("review = 1000", "review = 1").replace("build = 60", "build = 1");
    let mut scene = Scene::new(&settings);
    scene.start();
    scene.start_tasks(3);
    let board = scene.until("a full review", |b| is_held(b, 2, HoldKind::Review) && is_held(b, 3, HoldKind::Review));
    assert_eq!(board.tasks[&id(1)].column, Column::Review);
    assert!(board.tasks[&id(2)].attempts.is_empty());
    scene.wish(Wish::Move { task: id(1), to: Column::Done, reason: "good".into() }).expect("move");
    scene.until("the next", |b| b.tasks[&id(2)].column == Column::Review && is_held(b, 3, HoldKind::Review));
}

#[test]
fn a_need_holds_until_it_is_done() {
    let mut scene = Scene::new(&scripted("echo work > done"));
    scene.start();
    let mut second = spec("Second");
    scene.add(&["First"]);
    second.needs = vec![id(1)];
    scene.add_specs(vec![second]);
    scene.wish(Wish::Dispatch { on: true }).expect("dispatch");
    let board = scene.until("the first in review", |b| b.tasks[&id(1)].column == Column::Review);
    assert!(is_held(&board, 2, HoldKind::Needs), "{:?}", board.holds);
    assert!(hold(&board, 2).expect("hold").1.contains("T1"));
    scene.wish(Wish::Move { task: id(1), to: Column::Done, reason: "good".into() }).expect("move");
    scene.until("the second", |b| b.tasks[&id(2)].column == Column::Review);
}

#[test]
fn a_limit_of_the_machine_holds_over_two_repositories() {
    let settings = playing(&["count=20", "exit=0"]);
    let mut one = Scene::new(&settings);
    std::fs::create_dir_all(one.home().join("config")).expect("folder");
    std::fs::write(one.home().join("config/config.toml"), "schema = 1\n[wip]\nmachine = 2\n").expect("write");
    let mut other = one.beside(&settings);
    one.start();
    other.start();
    one.start_tasks(2);
    one.until("two live", |b| live(b) == 2);
    other.start_tasks(1);
    let board = other.until("the hold", |b| is_held(b, 1, HoldKind::Machine));
    assert_eq!(live(&board), 0);
    // Nobody tells the other of an end here; it looks.
    one.signal_file(1, "stop");
    other.until("its turn", |b| live(b) == 1);
    assert_eq!(live(&one.board()) + live(&other.board()), 2);
}

#[test]
fn agents_of_the_machine_are_counted_where_it_has_no_limit() {
    let settings = playing(&["count=20", "exit=0"]);
    let mut one = Scene::new(&settings);
    let mut other = one.beside(&settings);
    one.start();
    other.start();
    one.live(2);
    other.live(1);
    let machine = |scene: &Scene| document(scene, &["status", "--json"])["wip"]["machine"].clone();
    // Between two starts a slot may be in hand.
    let shows = |scene: &Scene, used: u32| machine(scene) == serde_json::json!({"used": used, "limit": null});
    poll("three", || shows(&one, 3) && shows(&other, 3));
    one.signal_file(1, "stop");
    poll("two", || shows(&one, 2) && shows(&other, 2));
    one.signal_file(2, "stop");
    other.signal_file(1, "stop");
    poll("none", || shows(&one, 0) && shows(&other, 0));
}

/// Each agent notes when it comes and when it goes; its slot is taken before the one and given back
/// after the other, so nothing in that order may be more than the limit allows.
#[test]
fn two_supervisors_that_race_for_the_machine_never_pass_its_limit() {
    const TASKS: u32 = 6;
    let settings = scripted("echo + >> $HOME/order; sleep 0.1; echo - >> $HOME/order");
    let mut one = Scene::new(&settings);
    std::fs::create_dir_all(one.home().join("config")).expect("folder");
    std::fs::write(one.home().join("config/config.toml"), "schema = 1\n[wip]\nmachine = 2\n").expect("write");
    let mut other = one.beside(&settings);
    let (barrier, scenes) = (std::sync::Barrier::new(2), [&mut one, &mut other]);
    std::thread::scope(|scope| {
        for scene in scenes {
            let barrier = &barrier;
            scope.spawn(move || {
                scene.start();
                barrier.wait();
                scene.start_tasks(TASKS);
                let over = |b: &Board| b.tasks.values().all(|t| t.attempt().is_some_and(|a| a.end().is_some()));
                scene.until("all have had their turn", over);
            });
        }
    });
    let order = std::fs::read_to_string(one.home().join("order")).expect("read");
    let (mut now, mut most) = (0, 0);
    for line in order.lines() {
        now += if line == "+" { 1 } else { -1 };
        most = most.max(now);
    }
    assert_eq!((order.lines().count(), now), (4 * TASKS as usize, 0), "{order}");
    assert!(most <= 2, "{most} at once: {order}");
}

#[test]
fn after_a_restart_a_machine_limit_still_counts_what_lives() {
    let mut scene = Scene::new(&playing(&["count=20", "exit=0"]));
    std::fs::create_dir_all(scene.home().join("config")).expect("folder");
    std::fs::write(scene.home().join("config/config.toml"), "schema = 1\n[wip]\nmachine = 1\n").expect("write");
    scene.start();
    scene.live(1);
    scene.kill();
    scene.start();
    scene.add(&["One too many"]);
    let board = scene.until("the hold", |b| is_held(b, 2, HoldKind::Machine));
    assert_eq!(live(&board), 1);
}

/// The adapter of a program that reports what it does, and that is told its prompt by typing.
const TYPED_AT: &str = "schema = 1\nname = \"talker\"\nreports = true\n[input]\ntyping = true\n";

#[test]
fn a_prompt_is_typed_once_as_soon_as_the_agent_says_that_it_reads() {
    // What it gets before it says so would be lost.
    let script = "stty raw -echo; while [ ! -e $STANDUP_DIR/ready ]; do sleep 0.05; done; \
                  printf '\\033[?2004h\\033]7501;state=idle:app=x\\007'; \
                  dd bs=65536 count=1 > $HOME/k 2>/dev/null; mv $HOME/k $HOME/heard; \
                  printf '\\033]7501;state=working:app=x\\007'; cat >> $HOME/heard";
    let mut scene = Scene::new("schema = 1\n");
    let adapters = scene.home().join("config/adapters");
    std::fs::create_dir_all(&adapters).expect("mkdir");
    std::fs::write(adapters.join("talker.toml"), TYPED_AT).expect("write");
    let settings = format!(
        "schema = 1\n[agents.talker]\nadapter = \"talker\"\ncommand = [\"sh\", \"-c\", '''{script}''']\nprompt = \"type\"\n"
    );
    std::fs::write(scene.repo().join("agents.toml"), settings).expect("write");
    scene.approve();
    scene.start();
    scene.start_tasks(1);
    scene.until("it lives", |b| b.tasks[&id(1)].attempt().is_some_and(|a| a.host().is_some()));
    assert!(scene.task(1).messages.is_empty(), "it has not said that it reads");
    scene.signal_file(1, "ready");
    let heard = scene.home().join("heard");
    poll("the prompt", || heard.exists());
    let text = || std::fs::read_to_string(&heard).expect("read");
    assert!(text().contains("Task number 1") && text().starts_with("\u{1b}[200~"), "{}", text());
    let task = scene.until("taken up", |b| b.tasks[&id(1)].messages.iter().all(|m| m.delivery == Delivery::Delivered));
    assert_eq!(task.tasks[&id(1)].messages.len(), 1);
    // The next supervisor does not say it again.
    scene.kill();
    scene.start();
    scene.until("found again", |b| b.tasks[&id(1)].attempt().is_some_and(|a| a.run.kind == RunKind::Working));
    assert_eq!((scene.task(1).messages.len(), text().matches("\u{1b}[200~").count()), (1, 1));
}

#[test]
fn a_base_that_vanishes_holds_what_waits_until_it_is_back() {
    let mut scene = Scene::new(&playing(&["exit=0"]));
    scene.start();
    git(&scene.repo(), &["branch", "feature"]);
    git(&scene.repo(), &["checkout", "-q", "--detach"]);
    scene.start_tasks(2);
    let mut own = spec("From elsewhere");
    own.base = Some("feature".into());
    scene.add_specs(vec![own]);
    let board = scene.until("the holds", |b| is_held(b, 1, HoldKind::Base) && is_held(b, 2, HoldKind::Base));
    assert!(hold(&board, 1).expect("hold").1.contains("on no branch (detached HEAD)"), "{:?}", board.holds);
    match scene.wish(Wish::Start { task: id(1) }) {
        Err(ClientError::Refused(refusal)) => {
            assert_eq!(refusal.code, RefusalCode::Failure);
            assert!(refusal.hints.concat().contains("--base"), "{refusal:?}");
        }
        other => panic!("{other:?}"),
    }
    // One with a base of its own is judged by that.
    scene.until("its own base", |b| b.tasks[&id(3)].attempt().is_some_and(|a| a.base.as_deref() == Some("feature")));
    let board = scene.client().board().expect("board").board;
    assert!([1, 2].iter().all(|n| board.tasks[&id(*n)].attempts.is_empty()), "nothing failed");
    git(&scene.repo(), &["checkout", "-q", "main"]);
    scene.until("both", |b| [1, 2].iter().all(|n| b.tasks[&id(*n)].attempt().is_some_and(|a| a.base_oid.is_some())));
}

#[test]
fn nothing_is_written_through_a_link_that_an_agent_left_in_place_of_its_folder() {
    // Once in place of the last folder, once of the one above it, once of a file.
    let planted = [
        "rm -rf .standup/run; ln -s $HOME/victim .standup/run",
        "rm -rf .standup; ln -s $HOME/victim .standup",
        "rm -rf .standup/run/inbox; ln -s $HOME/victim .standup/run/inbox",
    ];
    for plant in planted {
        let mut scene = Scene::new(&scripted(&format!("touch $HOME/ran; {plant}; exit 1")));
        let victim = scene.home().join("victim");
        std::fs::create_dir_all(victim.join("run")).expect("mkdir");
        scene.start();
        scene.start_tasks(1);
        let over = |b: &Board| b.tasks[&id(1)].attempt().is_some_and(|a| a.end().is_some());
        scene.until("the planted link", over);
        std::fs::remove_file(scene.home().join("ran")).expect("it ran");
        scene.wish(Wish::Start { task: id(1) }).expect("start");
        let again = |b: &Board| over(b) && b.tasks[&id(1)].attempt().is_some_and(|a| a.launches == 2);
        let board = scene.until("the next end", again);
        let names = |dir: &std::path::Path| std::fs::read_dir(dir).expect("list").count();
        assert_eq!((names(&victim), names(&victim.join("run"))), (1, 0), "{plant}: written through the link");
        assert!(!scene.home().join("ran").exists(), "{plant}: an agent was started");
        let need = board.tasks[&id(1)].needs_you.clone().expect("need");
        assert!(need.question.contains("is not a folder of its own"), "{plant}: {}", need.question);
        // It says what to do; done, the agent starts.
        std::fs::remove_file(need_path(&need.question)).expect("the named link");
        scene.wish(Wish::Start { task: id(1) }).expect("start");
        poll("the agent", || scene.home().join("ran").exists());
        scene.until("its end", |b| over(b) && b.tasks[&id(1)].attempt().is_some_and(|a| a.launches == 3));
    }
}

/// The path in the command of a hint.
fn need_path(question: &str) -> std::path::PathBuf {
    let (_, path) = question.split_once("hint: rm ").expect("a hint");
    path.lines().next().expect("a path").into()
}
