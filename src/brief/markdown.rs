//! The little of Markdown that briefs and lists of tasks need: headings, fences, list items.
//!
//! **Invariant:** what stands inside a fenced block is never taken for a heading or an item. Must
//! not know: what sections or tasks mean.

/// A line of a file and its number, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Line<'a> {
    pub(super) number: u32,
    /// Without its line end.
    pub(super) text: &'a str,
    /// Whether it is a fence or inside one.
    pub(super) fenced: bool,
}

/// The lines of a text whose first line is `first` of its file.
pub(super) fn lines(text: &str, first: u32) -> Vec<Line<'_>> {
    let mut fence = Fence::default();
    text.lines().zip(first..).map(|(text, number)| Line { number, text, fenced: fence.step(text) }).collect()
}

/// Which fenced block is open.
#[derive(Debug, Default)]
pub(super) struct Fence {
    open: Option<(char, usize)>,
}

impl Fence {
    /// Whether no block is open.
    pub(super) fn is_closed(&self) -> bool {
        self.open.is_none()
    }

    /// Takes one line; whether it belongs to a fenced block.
    pub(super) fn step(&mut self, line: &str) -> bool {
        let text = line.trim();
        match (self.open, fence(text)) {
            (Some((mark, length)), Some((found, many))) => {
                let closes = found == mark && many >= length && text.chars().all(|c| c == mark);
                if closes {
                    self.open = None;
                }
                true
            }
            (Some(_), None) => true,
            (None, Some(start)) => {
                self.open = Some(start);
                true
            }
            (None, None) => false,
        }
    }
}

/// The character and length of a fence.
fn fence(text: &str) -> Option<(char, usize)> {
    let mark = text.chars().next().filter(|c| matches!(c, '`' | '~'))?;
    let length = text.chars().take_while(|&c| c == mark).count();
    // "```x``` in a sentence" is inline code.
    let inline = mark == '`' && text[length..].contains('`');
    (length >= 3 && !inline).then_some((mark, length))
}

/// What follows the marks that open a fence: `sh verify`.
pub(super) fn fence_info(line: &str) -> Option<&str> {
    let text = line.trim();
    fence(text).map(|(_, length)| text[length..].trim())
}

/// Level and text of a heading: `## Outcome`, `## Outcome ##`.
pub(super) fn heading(line: &str) -> Option<(usize, &str)> {
    let indent = line.len() - line.trim_start_matches(' ').len();
    let text = line.trim();
    let level = text.chars().take_while(|&c| c == '#').count();
    let rest = &text[level..];
    let is = indent < 4 && (1..=6).contains(&level) && (rest.is_empty() || rest.starts_with([' ', '\t']));
    let bare = rest.trim_end_matches('#');
    let rest = if bare.is_empty() || bare.ends_with(' ') { bare } else { rest };
    is.then(|| (level, rest.trim()))
}

/// An item of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Item<'a> {
    /// `7.` or `7)`.
    pub(super) number: Option<u32>,
    /// `[ ]` is `Some(false)`, `[x]` is `Some(true)`.
    pub(super) done: Option<bool>,
    /// What follows.
    pub(super) text: &'a str,
}

/// The item that a line starts, whatever its indentation.
pub(super) fn item(line: &str) -> Option<Item<'_>> {
    let text = line.trim();
    let (number, rest) = match text.strip_prefix(['-', '*', '+']) {
        Some(rest) => (None, rest),
        None => {
            let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let rest = text[digits..].strip_prefix(['.', ')'])?;
            (Some(text[..digits].parse().ok()?), rest)
        }
    };
    if !rest.is_empty() && !rest.starts_with([' ', '\t']) {
        return None;
    }
    let rest = rest.trim_start();
    let done = match rest.get(..3) {
        Some("[ ]") => Some(false),
        Some("[x]" | "[X]") => Some(true),
        _ => None,
    };
    match done {
        Some(done) if rest.len() == 3 || rest[3..].starts_with([' ', '\t']) => {
            Some(Item { number, done: Some(done), text: rest[3..].trim() })
        }
        _ => Some(Item { number, done: None, text: rest }),
    }
}

/// Whether a line is a rule between parts: `---`, `* * *`.
pub(super) fn is_rule(line: &str) -> bool {
    let marks: Vec<char> = line.chars().filter(|c| !c.is_whitespace()).collect();
    marks.len() >= 3 && matches!(marks[0], '-' | '*' | '_') && marks.iter().all(|&c| c == marks[0])
}

/// Whether a line starts with a blank.
pub(super) fn is_indented(line: &str) -> bool {
    line.starts_with([' ', '\t'])
}

/// Lines without the indentation they share, and without blank lines around them.
pub(super) fn dedent(lines: &[&str]) -> String {
    let indent = |line: &&str| line.len() - line.trim_start_matches([' ', '\t']).len();
    let shared = lines.iter().filter(|line| !line.trim().is_empty()).map(indent).min().unwrap_or(0);
    let bare: Vec<&str> = lines.iter().map(|line| line.get(shared..).unwrap_or("").trim_end()).collect();
    bare.join("\n").trim_matches('\n').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_are_seen_and_look_alikes_are_not() {
        assert_eq!(heading("## Outcome"), Some((2, "Outcome")));
        assert_eq!(heading("# C#"), Some((1, "C#")));
        assert_eq!(heading("## Outcome ##"), Some((2, "Outcome")));
        assert_eq!(heading("##"), Some((2, "")));
        for line in ["#1 first", "####### seven", "    # code", "text # x", ""] {
            assert_eq!(heading(line), None, "{line}");
        }
    }

    #[test]
    fn items_are_seen_and_look_alikes_are_not() {
        let plain = |text| Some(Item { number: None, done: None, text });
        assert_eq!(item("- a"), plain("a"));
        assert_eq!(item("* [a] b"), plain("[a] b"));
        assert_eq!(item("-"), plain(""));
        assert_eq!(item("- [ ] a"), Some(Item { number: None, done: Some(false), text: "a" }));
        assert_eq!(item("12) [X] a"), Some(Item { number: Some(12), done: Some(true), text: "a" }));
        assert_eq!(item("- [ ]"), Some(Item { number: None, done: Some(false), text: "" }));
        assert_eq!(item("- abc"), plain("abc"));
        for line in ["-x", "1.5 times", "**bold** text", "99999999999. x", ". x", "text", ""] {
            assert_eq!(item(line), None, "{line}");
        }
    }

    #[test]
    fn fences_hide_what_is_in_them() {
        let text = "a\n```sh\n# no heading\n~~~\n```\nb\n~~~~\n```\n~~~\n~~~~\nc\n```x``` inline\nd";
        let open: Vec<&str> = lines(text, 1).iter().filter(|line| !line.fenced).map(|line| line.text).collect();
        assert_eq!(open, ["a", "b", "c", "```x``` inline", "d"]);
    }

    #[test]
    fn shared_indentation_goes() {
        assert_eq!(dedent(&["", "  a", "    b", "", "  c", ""]), "a\n  b\n\nc");
        assert_eq!(dedent(&[]), "");
    }
}
