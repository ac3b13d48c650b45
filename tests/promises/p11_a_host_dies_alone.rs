//! One host's death is one task's problem, seen at once, and nothing leaks.

use rustix::process::Signal;
use standup::model::attempt::End;
use standup::model::event::{Event, NeedKind};
use standup::model::id::Seq;
use standup::model::time::Span;
use standup::os::clock;
use standup::os::process::ProcessId;

use crate::peer::Peer;
use crate::scene::{DEADLINE, Scene, id, pids, playing, poll, runs, trials};
use crate::{BUSY, median};

const SEEN: Span = Span::secs(1);

#[test]
fn the_death_of_a_host_is_seen_at_once_and_leaves_nothing() {
    let left = tempfile::NamedTempFile::new().expect("temp file");
    let pids_file = left.path().to_str().expect("utf-8").to_owned();
    let settings =
        playing(&["orphans=2", "count=20"]).replace("\"--ttl\"", &format!("\"--pids\", \"{pids_file}\", \"--ttl\""));
    let mut scene = Scene::new(&settings);
    scene.start();
    let count = u32::try_from(trials(3)).expect("not that many").min(20) + 2;
    let facts = scene.live(count);
    poll("all orphans", || pids(left.path()).len() == 2 * facts.len());
    let mut took = Vec::new();
    let (spared, killed) = facts.split_at(2);
    for (n, one) in (3_u32..).zip(killed) {
        let mut follower = scene.client().follow(Seq(1)).expect("follow");
        let at = clock::now().mono;
        assert!(ProcessId { pid: one.host.pid, start: one.host.start }.signal(Signal::KILL));
        loop {
            let logged = follower.next(Some(DEADLINE)).expect("follow").expect("an event");
            if logged.record.task == Some(id(n)) && matches!(logged.record.event, Event::HostLost { .. }) {
                took.push(logged.at.mono.since(at));
                break;
            }
        }
        let task = scene.task(n);
        assert!(matches!(task.attempt().and_then(|a| a.end()), Some(End::Lost { .. })));
        assert_eq!(task.needs_you.map(|need| need.kind), Some(NeedKind::Lost));
        poll("its agent's end", || !runs(one.agent.pid));
    }
    assert!(median(took.clone()).0 <= SEEN.0 * u64::from(BUSY), "they took {took:?}");
    // Of each that was killed both orphans are gone, of the others none.
    poll("the end of all leftovers", || pids(left.path()).iter().filter(|pid| runs(**pid)).count() <= 4);
    assert_eq!(pids(left.path()).iter().filter(|pid| runs(**pid)).count(), 4);
    for (n, one) in (1..).zip(spared) {
        assert_eq!(scene.attempt(n).host(), Some(one));
        let socket = scene.host_socket(&one.id);
        let before = Peer::status(&socket).output_bytes;
        poll("progress", || Peer::status(&socket).output_bytes > before);
    }
}
