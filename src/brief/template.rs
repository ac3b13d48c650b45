//! The text that `$EDITOR` opens on for a new task.
//!
//! **Invariant:** what [`finish`] leaves of an untouched template says nothing but its title. Must
//! not know: editors, files.

use super::markdown::heading;

/// What each section is for, in its place.
const GUIDANCE: &[(&str, &str)] = &[
    ("Outcome", "<!-- What is different for users when this is done? -->"),
    ("Context", "<!-- Where to look, what was tried, why now. -->"),
    ("Constraints", "<!-- What must stay as it is. -->"),
    ("Non-goals", "<!-- What is not asked for. -->"),
    (
        "Acceptance criteria",
        "<!-- One a line, each something one can observe: - [ ] #1 `cmd x` prints y (check: test) -->",
    ),
    ("Integration notes", "<!-- What others who work nearby must know. -->"),
    ("Verification", "<!-- A fenced block marked verify is run as a check. -->"),
];

/// A brief to fill in.
#[must_use]
pub fn template(title: &str) -> String {
    let quoted = serde_json::Value::from(title).to_string();
    let mut out = format!("---\ntitle: {quoted}\n# priority: high\n# needs: [T4]\n# touches: [\"src/**\"]\n---\n");
    for (section, guidance) in GUIDANCE {
        out += &format!("\n## {section}\n{guidance}\n");
    }
    out
}

/// A filled-in template without the guidance, and without the sections that stayed empty.
#[must_use]
pub fn finish(text: &str) -> String {
    let kept: Vec<&str> = text.lines().filter(|line| !is_guidance(line)).collect();
    let mut out = String::with_capacity(text.len());
    for (at, line) in kept.iter().enumerate() {
        let ours =
            heading(line).is_some_and(|(level, text)| level == 2 && GUIDANCE.iter().any(|(name, _)| *name == text));
        let next = kept[at + 1..].iter().find(|line| !line.trim().is_empty());
        let empty = next.is_none_or(|line| heading(line).is_some_and(|(level, _)| level <= 2));
        if ours && empty {
            continue;
        }
        // What stood around a section that went leaves one blank line.
        if line.trim().is_empty() && (out.is_empty() || out.ends_with("\n\n")) {
            continue;
        }
        out.push_str(line);
        out.push('\n');
    }
    let end = out.trim_end().len();
    out.truncate(end);
    out.push('\n');
    out
}

fn is_guidance(line: &str) -> bool {
    GUIDANCE.iter().any(|(_, guidance)| line.trim() == *guidance)
}
