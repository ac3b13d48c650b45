//! A change of a task that was made from what is no longer quite so.
//!
//! **Invariant:** what only one side changed is as that side says, key by key. Must not know: who
//! the sides are.

use crate::model::task::TaskSpec;

/// What became of two changes of the same spec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merged {
    /// Both changes; where both sides changed one key, what `new` says.
    pub spec: TaskSpec,
    /// Keys of a brief that both changed, and not to the same; `brief` for its text.
    pub both: Vec<&'static str>,
}

/// What `new` says otherwise than `was`, put into what is asked for `now`. The key of a list is
/// that of `new` where that has another one.
#[must_use]
pub fn merged(was: &TaskSpec, new: &TaskSpec, now: &TaskSpec) -> Merged {
    let mut spec = now.clone();
    let mut both = Vec::new();
    // What is read out of one text goes with it.
    macro_rules! merge {
        ($($name:literal: $($field:ident),+;)*) => {$(
            let of = |spec: &TaskSpec| ($(spec.$field.clone(),)+);
            if of(new) != of(was) {
                if of(now) != of(was) && of(now) != of(new) {
                    both.push($name);
                }
                ($(spec.$field,)+) = of(new);
            }
        )*};
    }
    merge! {
        "title": title, slug;
        "brief": brief, criteria, checks;
        "agent": agent;
        "mode": mode;
        "priority": priority;
        "needs": needs;
        "touches": touches;
        "off_limits": off_limits;
        "labels": labels;
        "base": base;
        "check_in": check_in;
        "limits": limits;
    }
    if new.key != was.key {
        spec.key.clone_from(&new.key);
    }
    Merged { spec, both }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::name::{AgentName, CheckName, Pattern};
    use crate::model::settings::{LimitOverrides, Mode, Priority};
    use crate::model::task::{Criterion, TextRef};
    use crate::model::time::Span;

    fn spec() -> TaskSpec {
        TaskSpec::new("Fix it", TextRef("first".into()))
    }

    fn criterion() -> Vec<Criterion> {
        vec![Criterion { n: 1, text: "it works".into(), check: Some(CheckName::new("test").expect("a name")) }]
    }

    /// Everything that can be said, said otherwise.
    fn other() -> TaskSpec {
        let pattern = |text: &str| vec![Pattern::new(text).expect("a pattern")];
        TaskSpec {
            agent: Some(AgentName::new("codex").expect("a name")),
            mode: Mode::Own,
            priority: Priority::Urgent,
            needs: vec![crate::model::id::TaskId::new(3).expect("from 1")],
            touches: pattern("src/**"),
            off_limits: pattern("secrets/**"),
            labels: vec!["ui".into()],
            base: Some("next".into()),
            check_in: Some(Span::mins(5)),
            limits: LimitOverrides { wall_clock: Some(Span::mins(9)), ..LimitOverrides::default() },
            criteria: criterion(),
            ..TaskSpec::new("Fix it well", TextRef("second".into()))
        }
    }

    #[test]
    fn what_one_side_changed_is_as_that_side_says() {
        assert_eq!(merged(&spec(), &other(), &spec()), Merged { spec: other(), both: Vec::new() });
        assert_eq!(merged(&spec(), &spec(), &other()), Merged { spec: other(), both: Vec::new() });
        let new = TaskSpec { priority: Priority::Low, ..spec() };
        let now = TaskSpec { title: "Mine".into(), off_limits: other().off_limits, ..spec() };
        let both = TaskSpec { priority: Priority::Low, ..now.clone() };
        assert_eq!(merged(&spec(), &new, &now), Merged { spec: both, both: Vec::new() });
    }

    #[test]
    fn what_both_changed_is_named_unless_they_agree() {
        assert_eq!(merged(&spec(), &other(), &other()), Merged { spec: other(), both: Vec::new() });
        let now = TaskSpec { priority: Priority::Low, brief: TextRef("third".into()), ..spec() };
        let merged = merged(&spec(), &other(), &now);
        assert_eq!((merged.spec, merged.both), (other(), vec!["brief", "priority"]));
    }

    #[test]
    fn criteria_go_with_the_text_that_they_stand_in() {
        let new = TaskSpec { brief: TextRef("second".into()), ..spec() };
        let now = TaskSpec { brief: TextRef("third".into()), criteria: criterion(), ..spec() };
        let merged = merged(&spec(), &new, &now);
        assert_eq!((merged.spec, merged.both), (new, vec!["brief"]));
    }
}
