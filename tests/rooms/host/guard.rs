//! Messages into the agent's terminal.

use std::path::PathBuf;

use standup::host::{raise_fence, typed};
use standup::os::process::ProcessId;
use standup::wire::host::{
    Answer, Fence, FromHost, KeyRequest, Lease, MsgIds, RefusedWhy, Role, Size, StopRequest, ToHost, TypeRequest,
    TypedAnswer,
};

use super::bench::text;
use super::{Bench, Link, wait_until};

fn message(msg_id: u64, if_signal_seq: Option<u64>, text: &str) -> ToHost {
    ToHost::Type(TypeRequest { msg_id, if_signal_seq, text: text.into(), submit: true, withhold_on: Vec::new() })
}

fn outcome(link: &mut Link) -> Result<u64, RefusedWhy> {
    link.expect("an answer", |frame| match frame {
        FromHost::Typed(typed) => Some(Ok(typed.msg_id)),
        FromHost::Refused(refused) => Some(Err(refused.why)),
        _ => None,
    })
}

fn report(link: &mut Link, payload: &str) -> u64 {
    link.expect(payload, |frame| match frame {
        FromHost::Osc(osc) if osc.number == 7501 && osc.payload.to_text() == payload => Some(osc.seq),
        _ => None,
    })
}

const REPORTS: &str = "printf '\\033]7501;state=idle\\033\\\\'; while read line; do \
     echo \"<$line>\"; printf '\\033]7501;state=done\\007'; done";

#[test]
fn a_message_is_refused_once_the_agent_has_moved() {
    let bench = Bench::sh(REPORTS);
    bench.start();
    let mut watcher = bench.link(Role::Watcher);
    let idle = watcher.status().recent.first().map_or_else(|| report(&mut watcher, "state=idle"), |r| r.osc.seq);
    let now = watcher.status().seq;
    watcher.send(&message(1, Some(now), "one"));
    assert_eq!(outcome(&mut watcher), Ok(1));
    let done = report(&mut watcher, "state=done");
    assert!(done > idle);
    watcher.send(&message(2, Some(now), "two"));
    assert_eq!(outcome(&mut watcher), Err(RefusedWhy::Moved));

    // A person types: what was decided before does not hold any more.
    let seen = watcher.status().seq;
    let mut client = bench.client(None);
    client.send(&ToHost::Input(b"person".to_vec()));
    watcher.expect("the person", |frame| matches!(frame, FromHost::ClientInput(_)).then_some(()));
    watcher.send(&message(3, Some(seen), "three"));
    assert_eq!(outcome(&mut watcher), Err(RefusedWhy::Moved));
    client.send(&ToHost::Input(b"\r".to_vec()));
    report(&mut watcher, "state=done");
    let seen = watcher.status().seq;
    watcher.send(&message(4, Some(seen), "four"));
    assert_eq!(outcome(&mut watcher), Ok(4));
    client.expect_text("<four>");

    client.send(&message(5, None, "five"));
    assert_eq!(outcome(&mut client), Err(RefusedWhy::Role));
    bench.stop();
    let output = String::from_utf8(bench.output()).expect("text");
    for (line, count) in [("<one>", 1), ("<two>", 0), ("<three>", 0), ("<person>", 1), ("<four>", 1), ("<five>", 0)] {
        assert_eq!(output.matches(line).count(), count, "{line}");
    }
}

#[test]
fn a_message_is_typed_once_whoever_restarts() {
    let bench = Bench::sh(REPORTS);
    let address = bench.start();
    let mut watcher = bench.link(Role::Watcher);
    watcher.send(&message(7, None, "once"));
    assert_eq!(outcome(&mut watcher), Ok(7));
    watcher.send(&message(7, None, "once"));
    assert_eq!(outcome(&mut watcher), Err(RefusedWhy::Repeated));

    // Another supervisor asks.
    let mut later = bench.link(Role::Watcher);
    let ask = |link: &mut Link| {
        link.send(&ToHost::TypedQuery(MsgIds { msg_ids: vec![6, 7] }));
        link.expect("an answer", |frame| match frame {
            FromHost::TypedAnswer(answer) => Some(answer.clone()),
            _ => None,
        })
    };
    let known = TypedAnswer { written: vec![7], unknown: vec![] };
    assert_eq!(ask(&mut later), known);

    // The host is killed; its folder knows, and so does the next host in it.
    let host = ProcessId { pid: address.host.pid, start: address.host.start };
    assert!(host.signal(rustix::process::Signal::KILL));
    wait_until("the end", || bench.find().is_lost().then_some(()));
    assert_eq!(typed(&bench.host_dir(), &[6, 7]), known);
    bench.start();
    let mut watcher = bench.link(Role::Watcher);
    assert_eq!(ask(&mut watcher), known);
    watcher.send(&message(7, None, "once"));
    assert_eq!(outcome(&mut watcher), Err(RefusedWhy::Repeated));
}

#[test]
fn text_is_bracketed_where_the_program_asks_for_it() {
    let bench =
        Bench::sh("stty raw -echo; printf '\\033[?2004hup'; dd bs=1 count=19 2>/dev/null | od -An -c; sleep 1000");
    bench.start();
    let mut client = bench.client(None);
    client.expect_text("up");
    let mut watcher = bench.link(Role::Watcher);
    watcher.send(&message(1, None, "a\x1b[201~"));
    assert_eq!(outcome(&mut watcher), Ok(1));
    wait_until("the bytes", || {
        let output = String::from_utf8_lossy(&bench.output()).split_ascii_whitespace().collect::<String>();
        output.contains("033[200~a[201~033[201~\\r").then_some(())
    });
}

#[test]
fn enter_is_held_back_when_a_question_comes_up_first() {
    let script = "stty -echo -icanon min 1; printf up; dd bs=1 count=4 2>/dev/null; printf '\\033]7501;state=blocked\\007'; \
         dd bs=1 count=1 2>/dev/null | od -An -c; sleep 1000";
    let bench = Bench::sh(script);
    bench.start();
    bench.client(None).expect_text("up");
    let mut watcher = bench.link(Role::Watcher);
    watcher.send(&ToHost::Type(TypeRequest {
        msg_id: 1,
        if_signal_seq: None,
        text: "text".into(),
        submit: true,
        withhold_on: vec!["state=blocked".into()],
    }));
    let withheld = watcher.expect("an answer", |frame| match frame {
        FromHost::Typed(typed) => Some(typed.withheld),
        _ => None,
    });
    assert!(withheld);
    watcher.send(&ToHost::Key(KeyRequest { msg_id: 2, if_signal_seq: None, bytes: text(b"2"), if_shows: Vec::new() }));
    assert_eq!(outcome(&mut watcher), Ok(2));
    wait_until("the key, and no Enter before it", || {
        String::from_utf8_lossy(&bench.output()).trim_end().ends_with('2').then_some(())
    });
}

#[test]
fn a_key_is_not_pressed_when_what_it_was_meant_for_is_gone() {
    let script = "stty -echo -icanon min 1; printf 'May I   delete it?\\n1. Yes'; dd bs=1 count=1 2>/dev/null; \
                  printf '\\033[2J\\033[Hdone'; sleep 1000";
    let bench = Bench::sh(script);
    bench.start();
    bench.client(None).expect_text("Yes");
    let mut watcher = bench.link(Role::Watcher);
    let key = |msg_id, shows: &[&str]| {
        let if_shows = shows.iter().map(|s| (*s).to_owned()).collect();
        ToHost::Key(KeyRequest { msg_id, if_signal_seq: None, bytes: text(b"1"), if_shows })
    };
    watcher.send(&key(1, &["May I delete another?", "1. Yes"]));
    assert_eq!(outcome(&mut watcher), Err(RefusedWhy::Moved));
    watcher.send(&key(2, &["May I delete it?", "1.Yes"]));
    assert_eq!(outcome(&mut watcher), Ok(2));
    bench.client(None).expect_text("done");
    watcher.send(&key(3, &["May I delete it?"]));
    assert_eq!(outcome(&mut watcher), Err(RefusedWhy::Moved));
}

#[test]
fn a_message_comes_whole_while_clients_of_other_sizes_come_and_go() {
    // The size that the agent hears of changes under the very message.
    let script = "trap : WINCH; stty -echo; printf '\\033]7501;state=idle\\033\\\\'; echo up; \
                  while :; do read line && echo \"<$line>\"; done";
    let bench = Bench::sh(script);
    bench.start();
    let mut large = bench.client(Some(Size { rows: 40, cols: 120 }));
    large.expect_text("up");
    let mut watcher = bench.link(Role::Watcher);
    let long = "word ".repeat(40);
    for msg_id in 1..=4 {
        let seen = watcher.status().seq;
        let mut small = bench.client(Some(Size { rows: 10, cols: 20 }));
        watcher.send(&message(msg_id, Some(seen), &format!("{long}{msg_id}")));
        small.send(&ToHost::Resize(Size { rows: 12, cols: 30 }));
        large.send(&ToHost::Resize(Size { rows: 40, cols: 121 }));
        assert_eq!(outcome(&mut watcher), Ok(msg_id), "a size is no news of what the agent does");
        large.expect_text(&format!(" {msg_id}>"));
    }
    bench.stop();
    let output = String::from_utf8(bench.output()).expect("text");
    for msg_id in 1..=4 {
        assert_eq!(output.matches(&format!("<{long}{msg_id}>")).count(), 1, "{output}");
    }
}

#[test]
fn an_ended_agent_is_never_typed_to() {
    // The daemon keeps the host busy after the agent's end.
    let bench = Bench::sh("(setsid sh -c 'trap \"\" TERM; sleep 1000; sleep 1000' &) ; read line; exit 0");
    bench.start();
    let mut watcher = bench.link(Role::Watcher);
    let mut client = bench.client(None);
    wait_until("the daemon", || (bench.family().len() >= 3).then_some(()));
    client.send(&ToHost::Input(b"\r".to_vec()));
    wait_until("the agent's end", || {
        use standup::wire::host::AgentState;
        matches!(watcher.status().state, AgentState::Exited { code: Some(0), .. }).then_some(())
    });
    watcher.send(&message(1, None, "late"));
    assert_eq!(outcome(&mut watcher), Err(RefusedWhy::Exited));
    assert!(bench.ended().leftovers >= 1);
}

#[test]
fn queries_are_answered_by_the_host_in_their_order_and_kept_from_clients() {
    let mut bench = Bench::sh(
        "stty raw -echo; printf 'a\\033]7501;?\\007\\033[c\\033[6nb\\033]7501;state=idle\\007c'; \
         dd bs=1 count=22 2>/dev/null | od -An -c; printf over; sleep 1000",
    );
    let reply = "\x1b]7501;ok\x1b\\";
    bench.spec.answers = vec![Answer { number: 7501, query: "?".into(), reply: reply.into() }];
    bench.start();
    let mut client = bench.client(None);
    client.expect_text("over");
    let shown = String::from_utf8_lossy(&client.shown).into_owned();
    assert!(!shown.contains("7501") && !shown.contains("\x1b[c") && !shown.contains("\x1b[6n"), "{shown:?}");
    let bytes: String = shown.split_ascii_whitespace().collect();
    assert!(bytes.contains("033]7501;ok033\\033[?6c033[1;2R"), "{shown:?}");
}

/// Says every line it gets.
const ECHO: &str = "stty -echo; echo up; while read line; do echo \"<$line>\"; done";

/// Runs [`process_of_an_agent`].
const INSIDE: &str = "\"$TEST\" host::guard::process_of_an_agent --exact --ignored";

/// A host of an attempt.
fn attempt(script: &str) -> Bench {
    let mut bench = Bench::sh(script);
    let fence = bench.path("fence");
    raise_fence(&fence, 1).expect("raise");
    bench.spec.fence = Some(Fence { path: fence.into(), number: 1 });
    bench.spec.marker = format!("STANDUP_HOST=h:{}", bench.spec.nonce);
    bench
}

/// An agent whose process speaks to the host `of`, or to its own.
fn agent(runs: &str, of: Option<&Bench>) -> Bench {
    let mut bench = attempt(&format!("{runs}; read line"));
    let test = std::env::current_exe().expect("this test");
    let socket = of.map_or_else(|| bench.spec.socket.clone(), |of| of.spec.socket.clone());
    let did = bench.path("did");
    bench.spec.env.extend([("TEST".into(), test.into()), ("SOCKET".into(), socket), ("DID".into(), did.into())]);
    bench
}

#[test]
#[ignore = "a process of an agent in the other tests, not a test of its own"]
fn process_of_an_agent() {
    let from_env = |name: &str| PathBuf::from(std::env::var_os(name).expect("set by the test"));
    let (socket, did) = (from_env("SOCKET"), from_env("DID"));
    let open = |role| Link::open(&socket, role, None, false).0;
    let mut client = open(Role::Client);
    client.send(&ToHost::Input(b"raw keys\r".to_vec()));
    client.status();
    let mut control = open(Role::Control);
    control.send(&message(1, None, "a message"));
    let typed = outcome(&mut control);
    let key = KeyRequest { msg_id: 2, if_signal_seq: None, bytes: text(b"a key\r"), if_shows: Vec::new() };
    control.send(&ToHost::Key(key));
    let pressed = outcome(&mut control);
    let mut control = open(Role::Control);
    control.send(&ToHost::Lease(Lease { stands: true }));
    let mut control = open(Role::Control);
    control.send(&ToHost::Stop(StopRequest::default()));
    let stops = std::iter::from_fn(|| control.next()).any(|frame| matches!(frame, FromHost::Stopping(_)));
    let hidden = did.with_extension("new");
    std::fs::write(&hidden, format!("{typed:?} {pressed:?} {stops}")).expect("write");
    std::fs::rename(&hidden, &did).expect("rename");
}

/// What the process did, or `None` where the host that it spoke to ended with it.
fn what_it_did(agent: &Bench, host: &Bench) -> Option<String> {
    let is_over = || agent.path("did").exists() || !host.find().alive;
    wait_until("the agent's process", || {
        let output = String::from_utf8_lossy(&agent.output()).into_owned();
        assert!(!output.contains("panicked"), "{output}");
        is_over().then_some(())
    });
    std::fs::read_to_string(agent.path("did")).ok()
}

#[test]
fn whoever_runs_inside_of_a_host_only_looks_at_it_and_at_those_beside_it() {
    // As it comes, without its environment, and as an orphan in a session of its own.
    let env = "env -i SOCKET=\"$SOCKET\" DID=\"$DID\" ";
    for inside in [INSIDE.to_owned(), format!("{env}{INSIDE}"), format!("(setsid {env}{INSIDE} &)")] {
        let host = attempt(ECHO);
        host.start();
        let mut watcher = host.link(Role::Watcher);
        let mut agent = agent(&inside, Some(&host));
        agent.spec.dir = host.path("beside").into();
        agent.start();
        assert_eq!(what_it_did(&agent, &host).as_deref(), Some("Err(Role) Err(Role) false"), "{inside}");
        let told = watcher.expect("a word of it", |frame| match frame {
            FromHost::HostError(error) => Some(error.text.clone()),
            _ => None,
        });
        assert!(told.contains("runs inside of an agent's host"), "{told}");
        // Others are heard as ever, and nothing of it has come before them.
        watcher.send(&message(3, None, "of the supervisor"));
        assert_eq!(outcome(&mut watcher), Ok(3), "no lease keeps it from that");
        host.client(None).expect_text("<of the supervisor>");
        agent.stop();
        host.stop();
        let output = String::from_utf8(host.output()).expect("text");
        assert_eq!(output.matches('<').count(), 1, "{output}");
    }
}

#[test]
fn an_agent_does_not_answer_itself() {
    let agent = agent(INSIDE, None);
    agent.start();
    assert_eq!(what_it_did(&agent, &agent).as_deref(), Some("Err(Role) Err(Role) false"));
    assert!(agent.find().alive);
}

#[test]
fn a_host_of_another_board_may_be_worked_on_from_inside_of_an_agent() {
    let host = attempt(ECHO);
    host.start();
    let agent = agent(INSIDE, Some(&host));
    agent.start();
    wait_until("the agent's process", || agent.path("did").exists().then_some(()));
    assert_eq!(what_it_did(&agent, &host).as_deref(), Some("Ok(1) Ok(2) true"));
    assert!(host.ended().stopped);
}
