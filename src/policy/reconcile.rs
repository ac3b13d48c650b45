//! The recorded world against the observed one, after a restart.
//!
//! Orders that were under way are given again by the driver, each by its own rule of repetition;
//! here only attempts are looked at that were live and have no order under way.

use std::collections::BTreeMap;

use crate::model::attempt::{Attempt, Phase};
use crate::model::event::Event;
use crate::model::id::AttemptId;
use crate::model::input::{HostFound, Observation};
use crate::model::message::Delivery;
use crate::model::name::HostId;

use super::lifecycle;
use super::turn::Turn;

/// Takes what was found of every host.
pub(super) fn recover(turn: &mut Turn<'_>, hosts: &BTreeMap<HostId, HostFound>) {
    give_up_on_typing(turn, hosts);
    let live: Vec<(AttemptId, HostId, String)> = turn
        .board
        .tasks
        .values()
        .flat_map(|task| task.attempts.iter().map(|a| (AttemptId { task: task.id, no: a.no }, a)))
        .filter_map(|(id, attempt)| match &attempt.phase {
            Phase::Live { facts, .. } => Some((id, facts.id.clone(), facts.nonce.clone())),
            _ => None,
        })
        .collect();
    for (id, host, nonce) in live {
        match hosts.get(&host) {
            Some(HostFound::Alive(facts)) if facts.nonce == nonce => {}
            Some(HostFound::Ended(ended)) => {
                lifecycle::observed(turn, id, Observation::Exited { host, ended: ended.clone() });
            }
            Some(HostFound::Alive(_)) => lifecycle::lost(turn, id, "another host has taken its name".into()),
            None => lifecycle::lost(turn, id, why_gone(turn, id)),
        }
    }
}

/// What was being typed when the last supervisor ended may have been written, and a host that is
/// gone cannot say so any more.
fn give_up_on_typing(turn: &mut Turn<'_>, hosts: &BTreeMap<HostId, HostFound>) {
    let lives = |attempt: &Attempt| match &attempt.phase {
        Phase::Live { facts, .. } => {
            matches!(hosts.get(&facts.id), Some(HostFound::Alive(f)) if f.nonce == facts.nonce)
        }
        Phase::Preparing { .. } | Phase::Launching { .. } => true,
        Phase::Ended { .. } => false,
    };
    let mut unknown = Vec::new();
    for task in turn.board.tasks.values() {
        for message in task.messages.iter().filter(|m| matches!(m.delivery, Delivery::Typing { .. })) {
            let of = AttemptId { task: task.id, no: message.attempt };
            if !turn.board.attempt(of).is_some_and(lives) {
                unknown.push((of, message.id));
            }
        }
    }
    for (of, msg) in unknown {
        turn.attempt_event(of, Event::MessageUnconfirmed { msg });
    }
}

fn why_gone(turn: &Turn<'_>, id: AttemptId) -> String {
    let boot = match turn.board.attempt(id).map(|a| &a.phase) {
        Some(Phase::Live { since, .. }) => since.boot,
        _ => turn.now.boot,
    };
    if boot == turn.now.boot { "its host ended while no supervisor ran" } else { "the machine was restarted" }.into()
}
