//! The player's state reports to the terminal it runs on (OSC 7501), and its title.
//!
//! **Invariant:** a report replaces the one before it whole, and the last one clears it.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// The name this agent gives itself.
const APP: &str = "standup-demo";

/// A state to report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing to do, and nothing was done yet.
    Idle,
    /// A turn runs.
    Working(String),
    /// A question stands on the terminal.
    Question(String),
    /// The turn is over.
    Done,
    /// A step failed.
    Error(String),
    /// Leaving.
    Clear,
}

/// The question whether the terminal understands reports, before the question what it is.
pub(super) const QUERY: &[u8] = b"\x1b]7501;?\x07\x1b[c";

impl State {
    /// The sequence that reports it.
    pub(super) fn sequence(&self) -> Vec<u8> {
        let (state, kind, message) = match self {
            Self::Idle => ("idle", "", ""),
            Self::Working(message) => ("working", "", message.as_str()),
            Self::Question(message) => ("blocked", ":kind=question", message.as_str()),
            Self::Done => ("done", "", ""),
            Self::Error(message) => ("error", "", message.as_str()),
            Self::Clear => ("clear", "", ""),
        };
        let message = cut(message);
        let message =
            if message.is_empty() { String::new() } else { format!(":msg={}", BASE64_STANDARD.encode(message)) };
        format!("\x1b]7501;state={state}:app={APP}{kind}{message}\x1b\\").into_bytes()
    }
}

/// The sequence that sets the window's title.
pub(super) fn title(text: &str) -> Vec<u8> {
    let text: String = text.chars().filter(|c| !c.is_control()).collect();
    format!("\x1b]0;{}\x07", cut(&text)).into_bytes()
}

/// Whole characters of at most 500 bytes: a message is one line on a board.
fn cut(text: &str) -> &str {
    const MAX: usize = 500;
    let end = (0..=text.len().min(MAX)).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_carries_its_text() {
        let sequence = String::from_utf8(State::Question("answer: Which?".into()).sequence()).expect("ASCII");
        assert_eq!(sequence, "\x1b]7501;state=blocked:app=standup-demo:kind=question:msg=YW5zd2VyOiBXaGljaD8=\x1b\\");
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let sequence = State::Working("é".repeat(1_000)).sequence();
        assert!(sequence.len() < 4_096, "{}", sequence.len());
        assert_eq!(cut(&"é".repeat(1_000)).len(), 500);
    }

    #[test]
    fn a_title_cannot_smuggle_a_sequence() {
        assert_eq!(title("a\x1b]0;b\x07c"), b"\x1b]0;a]0;bc\x07");
    }
}
