//! What attempts report and ask, and what their hooks tell late, from their outboxes and over the
//! socket.
//!
//! **Invariant:** whatever an attempt sends, it costs no more than its share: of reports a burst
//! and then a few a minute are stored, and of refusals and runs of checks likewise; what is beyond
//! that is counted.
//! Must not know: what a report means.

use std::collections::BTreeMap;

use tokio::sync::oneshot;

use crate::agent::hook::{Late, LetterError};
use crate::model::attempt::Attempt;
use crate::model::checkin::{Sent, Stamp, Via};
use crate::model::id::{AttemptId, CheckRun};
use crate::model::input::{Command, Input, Observation, Refusal, RefusalCode, Reply};
use crate::model::time::Now;
use crate::os::clock;
use crate::wire::control::{Answer, Request};

use super::super::hosts::{self, Ask, Fired};
use super::super::strangers::Bucket;
use super::super::watching::{Letter, Says};
use super::{Desk, refused};

/// Reports that may come at once: what an agent writes in two days, one every quarter of an hour,
/// while no supervisor runs.
pub(in super::super) const BURST: u64 = 200;

/// After that, one for each of these.
const REPORT_MS: u64 = 3_000;

/// Refusals stored at once.
const REFUSALS: u64 = 20;

/// After that, one for each of these.
const REFUSAL_MS: u64 = 60_000;

/// Runs of checks begun at once; where there are none to run, one is over as soon as it has begun.
const CHECKS: u64 = 30;

/// After that, one for each of these.
const CHECK_MS: u64 = 10_000;

impl Desk {
    /// What lay in an outbox: acknowledged once it is stored or heard, with whether it counts.
    pub(in super::super) fn letter(&mut self, letter: Letter) {
        let Letter { attempt, says, stored } = letter;
        let seen = match says {
            Says::Seen(seen) => seen,
            Says::Hook(late) => return self.late_hook(attempt, late, stored),
        };
        let counts = match self.report(attempt, seen) {
            Ok(()) => true,
            // What could not be stored waits, and is none the worse for that.
            Err(refusal) => refusal.code == RefusalCode::Failure,
        };
        if !stored.is_closed() {
            self.post.unsettled.push((stored, counts));
        }
        self.settle_letters();
    }

    /// Acknowledges what is stored by now. A letter that waits to be is not read a second time
    /// meanwhile: by nothing else could it be known for the same.
    pub(super) fn settle_letters(&mut self) {
        if self.driver.trouble().is_none() {
            for (stored, counts) in self.post.unsettled.drain(..) {
                let _ = stored.send(counts);
            }
        }
    }

    /// A hook that fired while nobody heard it. The task of its host weighs it at its age; while
    /// there is none yet, the letter stays where it is. Of an agent that has ended it can only say
    /// which conversation it was, for whoever goes on with it.
    fn late_hook(&mut self, attempt: AttemptId, late: Late, stored: oneshot::Sender<bool>) {
        let Late { event, at, id } = late;
        if let Some(handle) = self.world.host(attempt) {
            let fired = Fired { event, at: hosts::fired(Some(at)), id, heard: Some(stored) };
            return handle.offer(Ask::Hook(fired));
        }
        let Some(ended) = self.driver.board().attempt(attempt).filter(|a| !a.is_active()) else { return };
        let is_news = ended.session.is_none() && at >= ended.planned_at;
        if is_news {
            self.input(Input::Observed { attempt, seen: Observation::Session { session: event.session } });
        }
        tracing::info!(%attempt, is_news, "a hook fired while no supervisor ran, and its agent has ended");
        let _ = stored.send(true);
    }

    /// What an attempt wants over the socket.
    pub(super) fn of_attempt(&mut self, attempt: AttemptId, launch: u32, request: Request) -> Answer {
        let now = self.driver.board().attempt(attempt).map_or(0, |a| a.launches);
        if launch != now {
            let why = format!("it comes from start {launch} of the agent, and this is {now}");
            self.world.strangers.turned_away(format_args!("{} of {attempt}: {why}", kind(sent(&request))));
            return self.unheard(attempt, sent(&request), &why);
        }
        match request {
            Request::CheckIn { check_in, stamp, via, listens } => {
                let via = via.filter(|via| *via != Via::Outbox).unwrap_or(Via::Socket);
                if let Err(refusal) = self.report(attempt, Observation::CheckIn { check_in, via, stamp }) {
                    return Answer::Refused(refusal);
                }
                // Before anybody can have answered: what was just asked cannot be typed meanwhile.
                if listens {
                    let _ = self.turn(Input::Command(Command::Hear { attempt }), &[]);
                }
                Answer::Ok {}
            }
            Request::Hook { stamp: Stamp { attempt: Some(named), .. }, .. } if named != attempt => {
                let foreign = LetterError::Foreign { named, of: attempt };
                self.world.strangers.turned_away(format_args!("a hook: {foreign}"));
                self.unheard(attempt, Sent::Hook, &foreign.to_string())
            }
            Request::Hook { dialect, payload, stamp } => self.hook(attempt, &dialect, &payload, stamp),
            Request::Hear { .. } => match self.turn(Input::Command(Command::Hear { attempt }), &[]) {
                Ok(Reply::Heard { text, open }) => Answer::Heard { text, open },
                Ok(_) => refused("the answer makes no sense"),
                Err(refusal) => Answer::Refused(refusal),
            },
            Request::Check { run, .. } => self.checks(attempt, run),
            _ => refused("this request does not belong here"),
        }
    }

    /// One report, as far as there is room for it.
    fn report(&mut self, attempt: AttemptId, seen: Observation) -> Result<(), Refusal> {
        let now = clock::now();
        let refuse = |code, text: String| Err(Refusal { code, text, hints: Vec::new() });
        if !self.post.admits(attempt, now) {
            let why = format!("more than {BURST} reports at once and {} a minute", 60_000 / REPORT_MS);
            self.refused(attempt, Sent::Report, &why, now);
            return refuse(RefusalCode::Policy, why);
        }
        if let Observation::BadCheckIn { why, what } = seen {
            self.refused(attempt, what, &why, now);
            return refuse(RefusalCode::Policy, why);
        }
        let named = match &seen {
            Observation::CheckIn { stamp, .. } => stamp.attempt.filter(|named| *named != attempt),
            _ => None,
        };
        self.turn(Input::Observed { attempt, seen }, &[]).inspect_err(|refusal| {
            if named.is_some() {
                self.world.strangers.turned_away(format_args!("a report: {}", refusal.text));
            }
        })?;
        match self.driver.trouble() {
            // It waits here as well; by its id it counts once.
            Some(why) => refuse(RefusalCode::Failure, format!("nothing can be stored: {why}")),
            None => Ok(()),
        }
    }

    /// Stores a refusal, as far as there is room for it.
    fn refused(&mut self, attempt: AttemptId, what: Sent, why: &str, now: Now) {
        let Some(unsaid) = self.post.says(attempt, now) else { return };
        let more = if unsaid == 0 { String::new() } else { format!(" (and {unsaid} more were refused)") };
        let seen = Observation::BadCheckIn { why: format!("{why}{more}"), what };
        self.input(Input::Observed { attempt, seen });
    }

    /// Something came that is not heard.
    pub(super) fn unheard(&mut self, attempt: AttemptId, what: Sent, why: &str) -> Answer {
        self.refused(attempt, what, why, clock::now());
        let text = why.to_owned();
        Answer::Refused(Refusal { code: RefusalCode::Policy, text, hints: Vec::new() })
    }

    /// Begins an attempt's checks, or says what has become of them.
    fn checks(&mut self, attempt: AttemptId, run: Option<CheckRun>) -> Answer {
        if self.driver.board().tasks.get(&attempt.task).and_then(crate::model::board::Task::attempt_id) != Some(attempt)
        {
            return self.unheard(attempt, Sent::Request, "it is not the newest attempt");
        }
        if run.is_none() && !self.post.checks(attempt, clock::now()) {
            let why = format!("more than {CHECKS} runs of checks at once and {} a minute", 60_000 / CHECK_MS);
            return self.unheard(attempt, Sent::Request, &why);
        }
        if run.is_none()
            && let Err(refusal) = self.turn(Input::Command(Command::Verify { task: attempt.task }), &[])
        {
            return Answer::Refused(refusal);
        }
        let found = self.driver.board().attempt(attempt);
        let Some(run) = run.or_else(|| found.and_then(under_way)) else {
            return refused("the checks did not begin");
        };
        let judged = found.and_then(|a| a.judged.as_ref()).filter(|judged| judged.run == run);
        let verdict = judged.map(|judged| Box::new(judged.verdict.clone()));
        Answer::Checks { run, running: found.and_then(under_way) == Some(run), verdict }
    }
}

fn kind(what: Sent) -> &'static str {
    match what {
        Sent::Report => "a report",
        Sent::Hook => "a hook",
        Sent::Request => "a request",
    }
}

fn sent(request: &Request) -> Sent {
    match request {
        Request::CheckIn { .. } => Sent::Report,
        Request::Hook { .. } => Sent::Hook,
        _ => Sent::Request,
    }
}

fn under_way(attempt: &Attempt) -> Option<CheckRun> {
    attempt.checking.as_ref().map(|checking| checking.run)
}

/// How much of the room for what it sends each attempt has used.
#[derive(Debug, Default)]
pub(super) struct Post {
    of: BTreeMap<AttemptId, Used>,
    /// Letters that wait to be stored, with whether they count: at most one of each attempt.
    unsettled: Vec<(oneshot::Sender<bool>, bool)>,
}

#[derive(Debug, Default)]
struct Used {
    reports: Bucket,
    refusals: Bucket,
    checks: Bucket,
    /// Refusals since the last one that was stored.
    unsaid: u64,
}

impl Post {
    /// Whether there is room for one more report.
    fn admits(&mut self, attempt: AttemptId, now: Now) -> bool {
        self.of.entry(attempt).or_default().reports.takes(now.mono, BURST, REPORT_MS)
    }

    /// Whether there is room for one more run of checks.
    fn checks(&mut self, attempt: AttemptId, now: Now) -> bool {
        self.of.entry(attempt).or_default().checks.takes(now.mono, CHECKS, CHECK_MS)
    }

    /// Whether one more refusal is stored, and how many were not since the last.
    fn says(&mut self, attempt: AttemptId, now: Now) -> Option<u64> {
        let used = self.of.entry(attempt).or_default();
        if used.refusals.takes(now.mono, REFUSALS, REFUSAL_MS) {
            return Some(std::mem::take(&mut used.unsaid));
        }
        used.unsaid += 1;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Mono;

    #[test]
    fn a_flood_uses_its_own_room_and_gets_more_with_time() {
        let mut post = Post::default();
        let at = |ms: i64| Now { mono: Mono(ms), ..Now::default() };
        let (one, other): (AttemptId, AttemptId) = ("T1/1".parse().expect("id"), "T2/1".parse().expect("id"));
        let flood = |post: &mut Post, ms| (0..10_000).filter(|_| post.admits(one, at(ms))).count() as u64;
        assert_eq!(flood(&mut post, 1_000), BURST);
        assert!(post.admits(other, at(1_000)), "one's flood is not another's");
        assert_eq!(flood(&mut post, 61_000), 20);
        let said = (0..10_000).filter(|_| post.says(one, at(61_000)).is_some()).count() as u64;
        assert_eq!(said, REFUSALS);
        assert_eq!(post.says(one, at(61_000 + 60_000)), Some(10_000 - REFUSALS));
    }
}
