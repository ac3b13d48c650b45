//! The control socket: who may say what, and what comes of nonsense.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use standup::client::control::{Client, ClientError};
use standup::model::checkin::Claim;
use standup::model::event::Event;
use standup::model::id::Seq;
use standup::model::input::{Command as Wish, RefusalCode};
use standup::wire::control::Request;

use crate::scene::{DEADLINE, Scene, id, playing, poll, scripted};

fn socket(scene: &Scene) -> std::path::PathBuf {
    scene.place.layout.control_socket().expect("socket")
}

/// An agent that leaves its token where the test can read it.
fn with_token() -> (Scene, String) {
    let script = "printf %s $STANDUP_TOKEN > $HOME/token.new; mv $HOME/token.new $HOME/token; \
                  while [ ! -e $STANDUP_DIR/stop ]; do sleep 0.1; done";
    let mut scene = Scene::new(&scripted(script));
    scene.start();
    scene.live(1);
    let file = scene.home().join("token");
    poll("the token", || file.exists());
    let token = std::fs::read_to_string(file).expect("token");
    (scene, token)
}

fn code(answer: Result<impl std::fmt::Debug, ClientError>) -> RefusalCode {
    match answer {
        Err(ClientError::Refused(refusal)) => refusal.code,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_agents_token_opens_reports_and_nothing_else() {
    let (scene, token) = with_token();
    let client = || Client::open(&socket(&scene), &token).expect("connect");
    let everything_else = [
        Request::Board {},
        Request::Command { command: Wish::Cancel { task: id(1), reason: String::new() }, texts: Vec::new() },
        Request::Reload {},
        Request::Explain { task: id(1) },
        Request::Follow { from: Seq(1) },
        Request::Shutdown {},
        Request::Down { why: standup::model::attempt::StopWhy::Down },
    ];
    for request in everything_else {
        assert_eq!(code(client().ask(&request)), RefusalCode::Policy, "{request:?}");
    }
    let text = r#"{"schemaVersion":1,"kind":"check-in","state":"working","did":"a test"}"#;
    let check_in = serde_json::from_str(text).expect("check-in");
    client()
        .ask(&Request::CheckIn { check_in, stamp: Default::default(), via: None, listens: false })
        .expect("its report");
    let task = scene.task(1);
    assert_eq!(
        task.check_ins.last().map(|c| (c.check_in.state, c.check_in.did.as_str())),
        Some((Claim::Working, "a test"))
    );
}

#[test]
fn a_wrong_token_opens_nothing() {
    let (scene, token) = with_token();
    let other_task = token.replacen("T1-1-1", "T2-1-1", 1);
    let cut = token[..token.len() - 1].to_owned();
    for wrong in ["", "x", &other_task, &cut, &"0".repeat(64)] {
        assert_eq!(code(Client::open(&socket(&scene), wrong).map(|_| ())), RefusalCode::Policy, "{wrong:?}");
    }
    assert_eq!(scene.board().tasks.len(), 1);
}

/// What the supervisor warns of because somebody was turned away.
fn warnings(scene: &Scene) -> Vec<String> {
    scene.log().lines().filter(|line| line.contains("refused ")).map(str::to_owned).collect()
}

#[test]
fn a_flood_of_wrong_tokens_is_a_few_warnings_without_a_token() {
    let (scene, token) = with_token();
    let began = Instant::now();
    let forged = token.replacen("T1-1-1", "T7-2-1", 1);
    for _ in 0..300 {
        assert_eq!(code(Client::open(&socket(&scene), &forged).map(|_| ())), RefusalCode::Policy);
    }
    poll("a warning", || !warnings(&scene).is_empty());
    let said = warnings(&scene);
    // Three at once, and three a minute.
    let room = 3 + began.elapsed().as_secs() / 20 + 1;
    assert!(said.len() as u64 <= room, "{room}: {said:#?}");
    assert!(said[0].contains("WARN") && said[0].contains(", which says that it is of T7/2"), "{said:#?}");
    assert!(said[0].contains(&format!("process {}", std::process::id())), "{said:#?}");
    let secret = token.rsplit('.').next().expect("a digest");
    assert!(!scene.log().contains(secret), "no token is in the log");
    assert!(scene.refusals(1).is_empty(), "what a stranger claims is told of nobody");
}

#[test]
fn an_agent_that_shows_the_token_of_another_is_turned_away_and_told_of() {
    let script = "printf %s $STANDUP_TOKEN > $HOME/.$STANDUP_TASK; mv $HOME/.$STANDUP_TASK $HOME/$STANDUP_TASK; \
                  while [ ! -e $STANDUP_DIR/go ]; do sleep 0.05; done; export STANDUP_TOKEN=$(cat $HOME/shown); \
                  unset STANDUP_TASK STANDUP_ATTEMPT; cd /; STANDUP_DIR= standup check-in --did 'in its name'; \
                  while [ ! -e $STANDUP_DIR/stop ]; do sleep 0.1; done";
    let mut scene = Scene::new(&scripted(script));
    scene.start();
    scene.live(2);
    let file = |name: &str| scene.home().join(name);
    poll("the tokens", || file("T1").exists() && file("T2").exists());
    std::fs::copy(file("T2"), file("shown")).expect("copy");
    scene.signal_file(1, "go");
    scene.until_refused(1, "this token is of T2/1, and comes from another attempt");
    assert!(scene.task(2).check_ins.is_empty(), "nothing was said in its name");
    assert!(scene.refusals(2).is_empty(), "it has done nothing");
    let said = warnings(&scene);
    assert!(said.iter().any(|line| line.contains("which runs in T1/1: this token is of T2/1")), "{said:#?}");
    // One that is none is told of whoever shows it as well.
    std::fs::write(file("shown"), "T9-1-1.0").expect("write");
    scene.signal_file(2, "go");
    scene.until_refused(2, "this token opens nothing here");
}

#[test]
fn nonsense_on_the_socket_harms_nobody() {
    let mut scene = Scene::new(&playing(&["exit=0"]));
    scene.start();
    let path = socket(&scene);
    let long = vec![b'x'; 1 << 20];
    let nested = "[".repeat(100_000);
    let pieces: [&[u8]; 8] = [
        b"\n",
        b"\0\0\0\0\n",
        b"{}\n",
        b"null\n{\n",
        &long,
        nested.as_bytes(),
        b"\xff\xfe\xfd\n",
        b"GET / HTTP/1.1\r\n\r\n",
    ];
    let mut silent = Vec::new();
    for piece in pieces.iter().cycle().take(200) {
        let mut stream = UnixStream::connect(&path).expect("connect");
        stream.set_write_timeout(Some(Duration::from_secs(10))).expect("limit");
        let _ = stream.write_all(piece);
        silent.push(stream);
    }
    // Those that hold on are turned out; whoever has something to say is heard meanwhile.
    assert_eq!(scene.board().tasks.len(), 0);
    for mut stream in silent {
        stream.set_read_timeout(Some(DEADLINE)).expect("limit");
        let mut rest = Vec::new();
        if let Err(error) = stream.read_to_end(&mut rest) {
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "it is not held for ever: {error}");
        }
    }
    scene.add(&["Still there"]);
}

#[test]
fn a_request_that_cannot_be_read_is_answered_and_the_next_one_too() {
    let mut scene = Scene::new(&playing(&["exit=0"]));
    scene.start();
    let token = std::fs::read_to_string(scene.place.layout.user_token()).expect("token");
    let mut stream = UnixStream::connect(socket(&scene)).expect("connect");
    let hello = serde_json::json!({"versions": [1, 1], "version": "0", "token": token.trim()});
    let mut reader = std::io::BufReader::new(stream.try_clone().expect("dup"));
    let mut line = |text: &str| {
        stream.write_all(text.as_bytes()).expect("write");
        let mut answer = String::new();
        std::io::BufRead::read_line(&mut reader, &mut answer).expect("read");
        answer
    };
    let welcome = line(&format!("{hello}\n"));
    assert!(welcome.contains("speaks"), "{welcome}");
    assert!(line("{\"request\":\"fly\"}\n").contains("cannot be read"));
    assert!(line("{\"request\":\"board\"}\n").contains("known"));
}

#[test]
fn a_follower_that_reads_in_small_steps_misses_nothing() {
    let mut scene = Scene::new(&playing(&["exit=0"]));
    scene.start();
    let titles: Vec<String> = (0..300).map(|n| format!("{n} {}", "long ".repeat(2_000))).collect();
    let mut follower = scene.client().follow(Seq(1)).expect("follow");
    let mut added = Vec::new();
    std::thread::scope(|threads| {
        threads.spawn(|| {
            for chunk in titles.chunks(50) {
                scene.add(&chunk.iter().map(String::as_str).collect::<Vec<_>>());
            }
        });
        let until = std::time::Instant::now() + DEADLINE;
        while added.len() < titles.len() {
            assert!(std::time::Instant::now() < until, "{} of {} came", added.len(), titles.len());
            // So short that lines are cut in the middle.
            if let Some(logged) = follower.next(Some(Duration::from_micros(100))).expect("whole lines")
                && let Event::TaskAdded { spec } = logged.record.event
            {
                added.push(spec.title);
            }
        }
    });
    assert_eq!(added, titles);
}

#[test]
fn what_nobody_asked_about_is_in_the_log_where_it_is_wanted() {
    let mut scene = Scene::new(&playing(&["exit=0"]));
    scene.start_with(&[("STANDUP_LOG", "debug")]);
    // Whether a stranger's end is an error depends on when it is seen.
    poll("a line about it", || {
        let mut stranger = UnixStream::connect(socket(&scene)).expect("connect");
        let _ = stranger.write_all(b"\xff\xfe nonsense\n");
        drop(stranger);
        scene.log().contains("a connection ended")
    });
    let log = scene.log();
    let line = log.lines().find(|line| line.contains("a connection ended")).expect("the line");
    assert!(line.starts_with("20") && line.contains("DEBUG"), "{line}");
}
