//! What a terminal title says of its agent.
//!
//! **Invariant:** a title may say working or waiting, never that anything is over. Must not know:
//! how long ago it was set.

use super::adapter::{TitleRule, TitleSays};
use super::plain;

/// The longest title that is looked at, in characters.
const MAX_TITLE: usize = 300;

/// What the first matching rule says.
#[must_use]
pub fn says(rules: &[TitleRule], title: &str) -> Option<TitleSays> {
    let title = plain::line(title, MAX_TITLE);
    rules.iter().find(|rule| plain::any(&rule.any, &title)).map(|rule| rule.says)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::adapter::builtin;

    #[test]
    fn recorded_titles() {
        let claude = builtin("claude").expect("claude").title;
        for (title, want) in [
            ("◐ Claude Code", Some(TitleSays::Working)),
            ("◑ Fake title", Some(TitleSays::Working)),
            ("⠂ older version", Some(TitleSays::Working)),
            ("✳ Claude Code", Some(TitleSays::Rest)),
            ("Claude Code", None),
            ("", None),
            ("half ◐ way", None),
        ] {
            assert_eq!(says(&claude, title), want, "{title}");
        }
        let codex = builtin("codex").expect("codex").title;
        for (title, want) in [
            ("⠋ xwt-esc", Some(TitleSays::Working)),
            ("⠙ Fake title | xwt-esc", Some(TitleSays::Working)),
            ("[ ! ] Action Required | xwt-esc", Some(TitleSays::Waiting)),
            ("[ . ] Action Required | xwt-esc", Some(TitleSays::Waiting)),
            ("xwt-esc", None),
        ] {
            assert_eq!(says(&codex, title), want, "{title}");
        }
    }
}
