//! What the player plays: turns of steps, as data.
//!
//! **Invariant:** every built-in script loads, and a script says all it does; the player adds
//! nothing of its own. Must not know: terminals.

use serde::Deserialize;

use crate::model::checkin::Claim;

/// A script: what is done in the first turn, in the second, and so on. Every message to the
/// player begins the next turn.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// Shown as the window's title.
    pub title: String,
    /// The turns.
    pub turn: Vec<Turn>,
}

/// One turn.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Turn {
    /// What is done, in order.
    pub step: Vec<Step>,
}

/// One step. In every text `{answer}` and `{answer_text}` stand for the option chosen last.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Step {
    /// Says something.
    Say(String),
    /// Writes a file.
    Write(Write),
    /// Replaces a part of a file.
    Edit(Edit),
    /// Runs a line of shell and shows what it prints; the turn fails where the line does.
    Run(String),
    /// Asks, and waits for the answer.
    Ask(Ask),
    /// Checks in.
    CheckIn(CheckIn),
    /// Does nothing for this many beats.
    Pause(u32),
}

/// A file to write.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Write {
    /// Relative to the worktree.
    pub path: String,
    /// The whole content.
    pub text: String,
    /// Whether it can be run.
    #[serde(default)]
    pub program: bool,
}

/// A part to replace.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    /// Relative to the worktree.
    pub path: String,
    /// What must stand there once.
    pub old: String,
    /// What stands there then.
    pub new: String,
}

/// A question.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ask {
    /// The question, with its question mark.
    pub question: String,
    /// What can be answered, at most nine.
    pub options: Vec<Choice>,
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    /// As shown.
    pub label: String,
    /// What `{answer_text}` then stands for.
    #[serde(default)]
    pub text: String,
}

/// A check-in.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckIn {
    /// Where it says it stands.
    pub state: Claim,
    /// What was done.
    #[serde(default)]
    pub did: String,
    /// What comes next.
    #[serde(default)]
    pub next: String,
    /// Criteria it says are met.
    #[serde(default)]
    pub met: Vec<u32>,
}

/// The built-in scripts by name.
pub const BUILT_IN: &[(&str, &str)] = &[
    ("greet", include_str!("scripts/greet.toml")),
    ("distance", include_str!("scripts/distance.toml")),
    ("longest", include_str!("scripts/longest.toml")),
    ("usage", include_str!("scripts/usage.toml")),
];

impl Script {
    /// Reads a script.
    ///
    /// # Errors
    /// The place and what is wrong there.
    pub fn parse(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }

    /// A built-in script.
    #[must_use]
    pub fn built_in(name: &str) -> Option<Self> {
        let (_, text) = BUILT_IN.iter().find(|(known, _)| *known == name)?;
        Some(Self::parse(text).expect("a test loads every built-in script"))
    }
}

/// The script a brief names, in a comment that does not show: `<!-- demo: NAME -->`.
#[must_use]
pub fn named_in(text: &str) -> Option<&str> {
    let after = text.rsplit_once("<!-- demo:")?.1;
    after.split_once("-->").map(|(name, _)| name.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_script_loads_and_ends_each_turn_in_order() {
        for (name, _) in BUILT_IN {
            let script = Script::built_in(name).expect("known");
            for turn in &script.turn {
                let last = turn.step.last().expect("a turn has steps");
                let is_ready = matches!(last, Step::CheckIn(CheckIn { state: Claim::Ready, .. }));
                assert!(is_ready, "{name}: a turn ends with the claim that it is ready");
                for step in &turn.step {
                    if let Step::Ask(ask) = step {
                        assert!((2..=9).contains(&ask.options.len()), "{name}: a menu has two to nine options");
                    }
                }
            }
        }
        assert_eq!(Script::built_in("nobody"), None);
    }

    #[test]
    fn a_brief_names_its_script_in_a_comment() {
        assert_eq!(named_in("# A\n<!-- demo: greet -->\ntext"), Some("greet"));
        assert_eq!(named_in("no comment"), None);
        assert_eq!(named_in("<!-- demo: never closed"), None);
    }

    #[test]
    fn an_unknown_step_is_an_error() {
        assert!(Script::parse("title = 't'\n[[turn]]\n[[turn.step]]\ndance = 'x'\n").is_err());
    }
}
