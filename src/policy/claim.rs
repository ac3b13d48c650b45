//! Claim beside fact: what an agent says, and what was observed since it last said something.
//!
//! **Invariant:** a claim is called contradicted only by what was observed; what is not known
//! contradicts nothing. Must not know: how anything is observed.

use std::collections::BTreeSet;

use crate::model::action::Action;
use crate::model::attempt::Attempt;
use crate::model::board::ReceivedCheckIn;
use crate::model::checkin::{CheckIn, Claim};
use crate::model::event::Event;
use crate::model::id::{ActionId, AttemptId, CheckRun, TaskId};
use crate::model::name::CheckName;
use crate::model::rhythm::{ChecksSeen, Facts};
use crate::model::settings::VerifyOn;
use crate::model::task::Criterion;
use crate::model::verdict::{CheckOutcome, CheckResult, VerdictOutcome};

use super::turn::Turn;
use super::{aside, passes};

/// Orders a look at the worktree as it is after the last check-ins of a task's agent: one at a
/// time, however many come.
pub(super) fn look(turn: &mut Turn<'_>, id: TaskId) -> bool {
    let Some((task, of)) = turn.task(id).and_then(|task| Some((task, task.attempt_id()?))) else { return false };
    let own = || task.check_ins.iter().filter(|c| c.attempt == of.no);
    let looks = own().any(|c| c.beside.look.is_some() && c.beside.facts.is_none());
    if looks || own().next_back().is_none_or(|c| c.beside.look.is_some()) {
        return false;
    }
    let action = turn.next_action();
    turn.attempt_event(of, Event::FactsSought { action });
    turn.order(action, of, Action::Look {});
    true
}

/// The attempt whose check-in waits for this look.
pub(super) fn asker(turn: &Turn<'_>, action: ActionId) -> Option<AttemptId> {
    turn.board.tasks.values().find_map(|task| {
        let found = task.check_ins.iter().find(|c| c.beside.look == Some(action))?;
        Some(AttemptId { task: task.id, no: found.attempt })
    })
}

/// Whether an action is a look for a check-in of this attempt.
pub(super) fn is_look(turn: &Turn<'_>, id: AttemptId, action: ActionId) -> bool {
    asker(turn, action) == Some(id)
}

/// The look was taken: the claims that waited for it are put beside what was seen.
pub(super) fn compare(turn: &mut Turn<'_>, id: AttemptId, action: ActionId) {
    while let Some(event) = comparison(turn, id, action) {
        turn.attempt_event(id, event);
    }
}

/// The first claim that waits for this look, compared.
fn comparison(turn: &Turn<'_>, id: AttemptId, action: ActionId) -> Option<Event> {
    let (task, attempt) = (turn.task(id.task)?, turn.board.attempt(id)?);
    let own: Vec<&ReceivedCheckIn> = task.check_ins.iter().filter(|c| c.attempt == id.no).collect();
    let place = own.iter().position(|c| c.beside.look == Some(action) && c.beside.facts.is_none())?;
    let facts = observed(attempt);
    let claim = &own[place].check_in;
    let hollow = nothing_new(&facts) && said_already(&own[..place], claim);
    let near = judgement_is_near(attempt) || aside::follows_check_in(turn, id);
    let contradictions = contradictions(claim, &task.given().criteria, &facts, near);
    Some(Event::CheckInCompared { action, facts: Box::new(facts), contradictions, hollow })
}

/// Checks ended that an agent's last claim was about: they speak now. `on`: why they ran while it
/// works, where they did.
pub(super) fn judge_again(turn: &mut Turn<'_>, id: AttemptId, on: Option<VerifyOn>) {
    let (Some(task), Some(attempt)) = (turn.task(id.task), turn.board.attempt(id)) else { return };
    let Some(last) = task.check_ins.iter().rfind(|c| c.attempt == id.no) else { return };
    let (Some(action), Some(facts)) = (last.beside.look, &last.beside.facts) else { return };
    let mut facts = facts.clone();
    let known = facts.checks.as_ref().map(|c| c.run);
    let ready = last.check_in.state == Claim::Ready;
    let of_claim = match on {
        // Only the first run after the claim: what comes of later work was not claimed.
        None => ready && !facts.checks.as_ref().is_some_and(|c| c.new),
        // The one that it led to, where that says something: there is another to come where it has
        // checked in again meanwhile.
        Some(VerifyOn::CheckIn) => !ready && !attempt.aside.check_in && judged_at_all(attempt),
        Some(_) => false,
    };
    if !of_claim {
        return;
    }
    facts.checks = checks(attempt, known);
    let said = contradictions(&last.check_in, &task.given().criteria, &facts, false);
    let event =
        Event::CheckInCompared { action, facts: Box::new(facts), contradictions: said, hollow: last.beside.hollow };
    turn.attempt_event(id, event);
}

fn judged_at_all(attempt: &Attempt) -> bool {
    let outcome = attempt.judged.as_ref().map(|judged| judged.verdict.outcome);
    matches!(outcome, Some(VerdictOutcome::Green | VerdictOutcome::Red))
}

/// Whether checks run or are about to, that will say more.
fn judgement_is_near(attempt: &Attempt) -> bool {
    attempt.checking.is_some() || attempt.finished
}

fn observed(attempt: &Attempt) -> Facts {
    let last = &attempt.rhythm.last;
    let first = last.at.is_none();
    let changed = match (&last.tree, &attempt.tree) {
        (Some(before), Some(now)) => Some(before != now),
        _ => match (last.diff, attempt.diff) {
            (Some(before), Some(now)) => Some(before != now),
            (None, Some(now)) if first => Some(now.files > 0 || now.commits > 0),
            _ => None,
        },
    };
    Facts {
        since: last.at.or(attempt.started_at),
        diff: attempt.diff,
        before: last.diff,
        changed,
        checks: checks(attempt, last.run),
        touched: touched(attempt),
        used: attempt.usage.totals(),
        used_before: last.used,
    }
}

/// What is off-limits and was touched since the last check-in, with what still is.
fn touched(attempt: &Attempt) -> Vec<String> {
    let all: BTreeSet<&String> = attempt.rhythm.touched.iter().chain(&attempt.touched).collect();
    all.into_iter().cloned().collect()
}

fn checks(attempt: &Attempt, before: Option<CheckRun>) -> Option<ChecksSeen> {
    let judged = attempt.judged.as_ref()?;
    let (passed, failed): (Vec<_>, Vec<_>) =
        judged.verdict.checks.iter().partition(|c| c.outcome == CheckOutcome::Pass);
    let names = |checks: Vec<&CheckResult>| checks.into_iter().map(|c| c.name.to_string()).collect();
    Some(ChecksSeen {
        run: judged.run,
        outcome: judged.verdict.outcome,
        failed: names(failed),
        passed: names(passed),
        current: !attempt.is_stale(),
        // What ran only because it checked in is no news of its work.
        new: before != Some(judged.run) && judged.on.is_none(),
    })
}

fn nothing_new(facts: &Facts) -> bool {
    let commits = |diff: Option<crate::model::attempt::DiffStat>| diff.map(|d| d.commits);
    facts.changed != Some(true)
        && commits(facts.diff) == commits(facts.before)
        && !facts.checks.as_ref().is_some_and(|c| c.new)
}

/// Whether one of the reports since something new was last seen says the same, that one included. A
/// task keeps few enough to compare with each.
fn said_already(before: &[&ReceivedCheckIn], now: &CheckIn) -> bool {
    for earlier in before.iter().rev() {
        if says_the_same(&earlier.check_in, now) {
            return true;
        }
        if earlier.beside.facts.as_ref().is_some_and(|facts| !nothing_new(facts)) {
            return false;
        }
    }
    false
}

fn says_the_same(before: &CheckIn, now: &CheckIn) -> bool {
    let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    let all = |c: &CheckIn| {
        let words = [&c.did, &c.next].map(|text| plain(text));
        let blockers: Vec<String> = c.blockers.iter().map(|text| plain(text)).collect();
        (c.state, words, blockers, c.question.as_deref().map(plain), c.met.clone())
    };
    all(before) == all(now)
}

/// Where the facts say otherwise, a sentence each. `near`: checks are about to say more.
#[must_use]
fn contradictions(claim: &CheckIn, criteria: &[Criterion], facts: &Facts, near: bool) -> Vec<String> {
    let mut said = Vec::new();
    let unchanged = facts.diff.is_some_and(|d| d.files == 0 && d.commits == 0 && !d.dirty);
    if claim.state == Claim::Ready && unchanged {
        said.push("it says it is ready, and nothing differs from where it started".to_owned());
    }
    if passes::says_so(&claim.did)
        && let Some(why) = unproven(facts, near)
    {
        said.push(format!("it says that tests pass; {why}"));
    }
    said.extend(unmet(claim, criteria, facts, near));
    said
}

/// Criteria that are said to hold and that no check shows, together where the reason is the same.
/// One that names its check is held against that one alone; one that names none, against all.
fn unmet(claim: &CheckIn, criteria: &[Criterion], facts: &Facts, near: bool) -> Vec<String> {
    let mut reasons: Vec<(String, Vec<u32>)> = Vec::new();
    for n in claim.met.iter().copied().collect::<BTreeSet<u32>>() {
        let why = match criteria.iter().find(|criterion| criterion.n == n) {
            None if !criteria.is_empty() => Some("the brief has no such criterion".to_owned()),
            Some(Criterion { check: Some(check), .. }) => unshown(check, facts, near),
            _ => unproven(facts, near),
        };
        let Some(why) = why else { continue };
        match reasons.iter_mut().find(|(known, _)| *known == why) {
            Some((_, numbers)) => numbers.push(n),
            None => reasons.push((why, vec![n])),
        }
    }
    let told = |(why, numbers): (String, Vec<u32>)| {
        let verb = if numbers.len() == 1 { "holds" } else { "hold" };
        let numbers: Vec<String> = numbers.iter().map(|n| format!("#{n}")).collect();
        format!("it says that {} {verb}; {why}", numbers.join(", "))
    };
    reasons.into_iter().map(told).collect()
}

/// Why a check does not show what it is to show; `None` where it does, or may soon.
fn unshown(check: &CheckName, facts: &Facts, near: bool) -> Option<String> {
    let named = |names: &[String]| names.iter().any(|name| name == check.as_str());
    match &facts.checks {
        Some(c) if speaks(c) && named(&c.passed) => None,
        Some(c) if speaks(c) && named(&c.failed) => Some(format!("its check {check} has not passed")),
        _ if near => None,
        Some(c) if speaks(c) => Some(format!("its check {check} was not among those that ran")),
        Some(_) => Some(format!("its check {check} has not run on these files")),
        None => Some(format!("its check {check} has not run")),
    }
}

/// Whether what checks showed holds of the files as they are.
fn speaks(seen: &ChecksSeen) -> bool {
    seen.current && matches!(seen.outcome, VerdictOutcome::Green | VerdictOutcome::Red)
}

/// Why no check shows what is said; `None` where one does, or will soon.
fn unproven(facts: &Facts, near: bool) -> Option<String> {
    let red =
        |c: &ChecksSeen| if c.failed.is_empty() { "red".to_owned() } else { format!("red: {}", c.failed.join(", ")) };
    match &facts.checks {
        Some(c) if c.outcome == VerdictOutcome::Red && c.current => Some(format!("the checks are {}", red(c))),
        Some(c) if c.outcome == VerdictOutcome::Green && c.current => None,
        _ if near => None,
        Some(c) if c.outcome == VerdictOutcome::Red => {
            Some(format!("the last checks, of an older tree, were {}", red(c)))
        }
        Some(c) if c.outcome == VerdictOutcome::None => Some("no checks are configured that show it".to_owned()),
        Some(_) => Some("no check has shown it of these files".to_owned()),
        None => Some("no check has run".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::attempt::DiffStat;
    use crate::model::checkin::CheckInKind;

    fn claim(state: Claim, did: &str, met: &[u32]) -> CheckIn {
        CheckIn {
            schema_version: 1,
            kind: CheckInKind::CheckIn,
            state,
            did: did.into(),
            next: String::new(),
            blockers: Vec::new(),
            question: None,
            options: Vec::new(),
            met: met.to_vec(),
        }
    }

    fn facts(files: u64, checks: Option<(VerdictOutcome, bool)>) -> Facts {
        Facts {
            diff: Some(DiffStat { files, dirty: files > 0, ..DiffStat::default() }),
            checks: checks.map(|(outcome, current)| ChecksSeen {
                run: CheckRun(1),
                outcome,
                failed: if outcome == VerdictOutcome::Green { vec![] } else { vec!["test".into()] },
                passed: if outcome == VerdictOutcome::Green { vec!["test".into()] } else { vec!["lint".into()] },
                current,
                new: true,
            }),
            ..Facts::default()
        }
    }

    #[test]
    fn ready_without_any_change_is_contradicted() {
        let ready = claim(Claim::Ready, "all of it", &[]);
        assert_eq!(contradictions(&ready, &[], &facts(0, None), true).len(), 1);
        assert!(contradictions(&ready, &[], &facts(1, None), true).is_empty());
        assert!(
            contradictions(&ready, &[], &Facts::default(), true).is_empty(),
            "what was not seen contradicts nothing"
        );
        let working = claim(Claim::Working, "read the code", &[]);
        assert!(contradictions(&working, &[], &facts(0, None), false).is_empty());
    }

    #[test]
    fn passing_tests_need_a_green_check() {
        let said = claim(Claim::Working, "all tests pass", &[]);
        let of = |checks, near| contradictions(&said, &[], &facts(1, checks), near);
        assert_eq!(of(Some((VerdictOutcome::Green, true)), false), Vec::<String>::new());
        assert_eq!(of(Some((VerdictOutcome::Red, true)), false), ["it says that tests pass; the checks are red: test"]);
        assert_eq!(of(Some((VerdictOutcome::Red, true)), true).len(), 1, "what is red already is red");
        assert_eq!(of(None, false), ["it says that tests pass; no check has run"]);
        assert!(of(None, true).is_empty(), "they are about to run");
        assert_eq!(of(Some((VerdictOutcome::None, true)), false).len(), 1);
        assert_eq!(of(Some((VerdictOutcome::Green, false)), false).len(), 1, "green, but of other files");
    }

    #[test]
    fn criteria_need_a_green_check() {
        let said = claim(Claim::Working, "", &[1, 3]);
        let found = contradictions(&said, &[], &facts(1, None), false);
        assert_eq!(found, ["it says that #1, #3 hold; no check has run"]);
        assert!(contradictions(&said, &[], &facts(1, Some((VerdictOutcome::Green, true))), false).is_empty());
    }

    #[test]
    fn a_criterion_is_held_against_the_check_that_it_names() {
        let named = |n, check: &str| Criterion { n, text: String::new(), check: CheckName::new(check).ok() };
        let criteria = [named(1, "test"), named(2, "lint"), named(3, "test"), named(4, "docs"), named(5, "")];
        let said = claim(Claim::Working, "", &[9, 1, 2, 3, 4, 5, 1]);
        let of = |checks, near| contradictions(&said, &criteria, &facts(1, checks), near);
        assert_eq!(
            of(Some((VerdictOutcome::Red, true)), false),
            [
                "it says that #1, #3 hold; its check test has not passed",
                "it says that #4 holds; its check docs was not among those that ran",
                "it says that #5 holds; the checks are red: test",
                "it says that #9 holds; the brief has no such criterion",
            ],
            "the check of #2 passed, although another did not"
        );
        let green = of(Some((VerdictOutcome::Green, true)), false);
        assert!(green[0].starts_with("it says that #2 holds; its check lint was not"), "{green:?}");
        assert_eq!(of(Some((VerdictOutcome::Green, false)), true).len(), 1, "it may run soon; #9 stays wrong");
        let stale = of(Some((VerdictOutcome::Green, false)), false);
        assert_eq!(stale[0], "it says that #1, #3 hold; its check test has not run on these files");
    }

    #[test]
    fn nobody_reports_anew_by_taking_turns_with_old_words() {
        let report = |did: &str, news: bool| ReceivedCheckIn {
            at: crate::model::time::Wall(0),
            attempt: "T1/1".parse::<AttemptId>().expect("an id").no,
            via: crate::model::checkin::Via::Mcp,
            check_in: claim(Claim::Working, did, &[]),
            id: None,
            beside: crate::model::rhythm::Beside {
                facts: Some(Facts { changed: Some(news), ..Facts::default() }),
                ..crate::model::rhythm::Beside::default()
            },
        };
        let all = [report("c", false), report("a", true), report("b", false), report("a", false)];
        let already = |n: usize, did: &str| {
            let before: Vec<&ReceivedCheckIn> = all[..n].iter().collect();
            said_already(&before, &claim(Claim::Working, did, &[]))
        };
        assert!(already(3, "a") && already(4, "b"), "said since the last news");
        assert!(!already(4, "c"), "what was said before the last news is worth saying again");
        assert!(!already(0, "a") && !already(2, "b"));
    }

    #[test]
    fn the_same_words_are_the_same_however_they_are_spaced() {
        let one = claim(Claim::Working, "Still  on it", &[]);
        assert!(says_the_same(&one, &claim(Claim::Working, "still on\nit", &[])));
        assert!(!says_the_same(&one, &claim(Claim::Blocked, "still on it", &[])));
        assert!(!says_the_same(&one, &claim(Claim::Working, "still on it", &[1])));
    }

    #[test]
    fn a_changed_byte_a_commit_and_new_checks_are_news() {
        let still = Facts { changed: Some(false), ..Facts::default() };
        assert!(nothing_new(&still) && nothing_new(&Facts::default()));
        assert!(!nothing_new(&Facts { changed: Some(true), ..still.clone() }));
        let commits = |n| Some(DiffStat { commits: n, ..DiffStat::default() });
        assert!(!nothing_new(&Facts { diff: commits(2), before: commits(1), ..still.clone() }));
        assert!(!nothing_new(&facts(1, Some((VerdictOutcome::Red, true)))));
    }
}
