//! The exit status and the last output are never lost, however fast an agent ends.

use standup::model::attempt::{End, Exit};
use standup::model::event::Event;

use crate::scene::{Scene, id, playing, scripted, trials};

#[test]
fn an_agent_that_ends_at_once_leaves_its_status_and_its_words() {
    let count = u32::try_from(trials(25)).expect("not that many").min(50);
    let mut scene = Scene::new(&scripted("printf 'said by %s' $STANDUP_TASK; exit 7"));
    scene.start();
    scene.start_tasks(count);
    let board = scene.until("all ended", |b| b.tasks.values().all(|t| t.attempt().is_some_and(|a| a.end().is_some())));
    for n in 1..=count {
        let end = board.tasks[&id(n)].attempt().and_then(|a| a.end().cloned());
        assert_eq!(end, Some(End::Exited { exit: Exit { code: Some(7), signal: None } }), "T{n}");
        let (output, missing) = scene.transcript(&format!("T{n}-1-1"));
        assert_eq!((String::from_utf8_lossy(&output).as_ref(), missing), (format!("said by T{n}").as_str(), 0));
    }
}

#[test]
fn a_bad_end_shows_the_last_lines() {
    let mut scene = Scene::new(&scripted("seq 1 100; echo 'cannot find the compiler'; kill -9 $$"));
    scene.start();
    scene.start_tasks(1);
    let board = scene.until("the end", |b| b.tasks[&id(1)].needs_you.is_some());
    let need = board.tasks[&id(1)].needs_you.clone().expect("need");
    assert!(need.question.contains("signal 9"), "{need:?}");
    let tail = scene.events(1).into_iter().find_map(|event| match event {
        Event::AgentExited { tail, .. } => Some(tail),
        _ => None,
    });
    let tail = tail.expect("its end");
    assert!(tail.starts_with("82\n") && tail.ends_with("100\ncannot find the compiler"), "{tail:?}");
}

#[test]
fn a_burst_right_before_the_end_is_whole() {
    const BYTES: usize = 3 << 20;
    let mut scene = Scene::new(&playing(&[&format!("flood={BYTES}"), "exit=3"]));
    scene.start();
    let count = u32::try_from(trials(3)).expect("not that many").min(30);
    scene.start_tasks(count);
    scene.until("all ended", |b| b.tasks.values().all(|t| t.attempt().is_some_and(|a| a.end().is_some())));
    let wanted = flood(BYTES);
    for n in 1..=count {
        let host = format!("T{n}-1-1");
        let (output, missing) = scene.transcript(&host);
        assert!(output == wanted, "T{n}: {} bytes of {}", output.len(), wanted.len());
        let exit = scene.record(&host).exit.expect("an exit record");
        assert_eq!((missing, exit.code, exit.output_bytes), (0, Some(3), wanted.len() as u64));
    }
}

/// What the act `flood` prints, as a terminal passes it on.
pub(crate) fn flood(bytes: usize) -> Vec<u8> {
    let (mut all, mut written) = (Vec::new(), 0);
    for n in 0_u64.. {
        if written >= bytes {
            break;
        }
        let line = format!("line {n:010} of a flood that nobody asked for\n");
        written += line.len();
        all.extend_from_slice(line.trim_end().as_bytes());
        all.extend_from_slice(b"\r\n");
    }
    all
}
