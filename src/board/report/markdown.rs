//! The stand-up as Markdown, to be pasted where a team reads.
//!
//! **Invariant:** the words of agents stay words: they make no heading, link, mention, image or
//! HTML. Must not know: where it is pasted.

use jiff::tz::TimeZone;

use crate::board::when;
use crate::model::text::clean;

use super::text::reason;
use super::{
    DID, Entry, NOTHING, Report, but_line, claim_line, facts_line, lasted, queues, said, sections, summary, told,
};

/// The most columns that one claim, fact or reason takes.
const MOST: usize = 500;

/// `standup report --markdown`; instants by the clock of `zone`, with its offset, for it may be read
/// elsewhere.
#[must_use]
pub fn markdown(report: &Report, zone: &TimeZone) -> String {
    let span = lasted(report.since, report.until);
    let (since, until) = (when::whole(report.since, zone), when::whole(report.until, zone));
    let mut out = format!("# Stand-up\n\n{since} to {until} ({span})\n");
    let summary = summary(report);
    if !summary.is_empty() {
        out.push_str(&format!("\n{summary}\n"));
    }
    for banner in &report.banners {
        out.push_str(&format!("\n> {}\n", words(banner)));
    }
    if !report.supervised {
        out.push_str("\n> No supervisor runs: nobody knows what agents are doing now.\n");
    }
    let told = told(report, &said(report));
    for (heading, entries) in sections(report).into_iter().filter(|(_, entries)| !entries.is_empty()) {
        if heading == DID && told.is_empty() {
            continue;
        }
        out.push_str(&format!("\n## {}\n\n", titled(heading)));
        if heading == DID {
            told.iter().for_each(|(entry, claims)| push_happened(&mut out, entry, report, *claims));
        } else {
            entries.iter().for_each(|entry| push_entry(&mut out, entry, report));
        }
    }
    let queues = queues(report);
    if !queues.is_empty() {
        out.push_str("\n## Waiting\n\n");
    }
    for (why, tasks) in &queues {
        let tasks: Vec<String> = tasks.iter().map(ToString::to_string).collect();
        out.push_str(&format!("- {}: {}\n", tasks.join(", "), words(why)));
    }
    if summary.is_empty() && report.did.is_empty() {
        out.push_str(&format!("\n{NOTHING}\n"));
    }
    out
}

/// What happened to a task, with what its agent says where that is not said elsewhere.
fn push_happened(out: &mut String, entry: &Entry, report: &Report, claims: bool) {
    let facts = facts_line(entry);
    let facts = if facts.is_empty() { facts } else { format!(": {}", words(&facts)) };
    out.push_str(&format!("- **{}** {}{facts}\n", entry.task, words(&entry.title)));
    if claims {
        push_claim(out, entry, report);
    }
}

fn push_claim(out: &mut String, entry: &Entry, report: &Report) {
    if let Some(claim) = claim_line(entry, report.until) {
        out.push_str(&format!("  - claim: {}\n", words(&claim)));
    }
    if let Some(but) = but_line(entry) {
        out.push_str(&format!("  - but: {}\n", words(&but)));
    }
}

fn push_entry(out: &mut String, entry: &Entry, report: &Report) {
    let by = entry.agent.as_ref().map(|agent| format!(" ({})", words(agent.as_str()))).unwrap_or_default();
    out.push_str(&format!("- **{}** {}{by}\n", entry.task, words(&entry.title)));
    if let Some(why) = reason(entry, report.until) {
        out.push_str(&format!("  - why: {}\n", words(&why)));
    }
    push_claim(out, entry, report);
    let facts = facts_line(entry);
    if !facts.is_empty() {
        out.push_str(&format!("  - fact: {}\n", words(&facts)));
    }
}

fn titled(heading: &str) -> String {
    let mut letters = heading.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// Text that stays text: marks are escaped, and what forges turn into mentions and references by
/// its first character has that character set as code.
fn words(text: &str) -> String {
    let joined = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut out = String::new();
    let line = clean(&joined, MOST);
    let mut chars = line.chars().peekable();
    let mut first = true;
    while let Some(c) = chars.next() {
        let names = chars.peek().is_some_and(|next| next.is_alphanumeric());
        match c {
            '@' | '#' if names => out.extend(['`', c, '`']),
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '~' | '!' | '&' | '#' => out.extend(['\\', c]),
            '-' | '+' if first => out.extend(['\\', c]),
            // A bare address would become a link.
            ':' if chars.peek() == Some(&'/') => out.push_str("`:`"),
            c => out.push(c),
        }
        first = false;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_an_agent_stay_words() {
        for (said, shown) in [
            ("plain words, 3 of 4", "plain words, 3 of 4"),
            ("# heading", "\\# heading"),
            ("fixes #12", "fixes `#`12"),
            ("ask @everyone, a@b", "ask `@`everyone, a`@`b"),
            ("![x](http://e/i.png)", "\\!\\[x\\](http`:`//e/i.png)"),
            ("<img src=x> &amp;", "\\<img src=x\\> \\&amp;"),
            ("a\n- b\n## c", "a - b \\#\\# c"),
            ("- list", "\\- list"),
            ("`code` **bold** _it_", "\\`code\\` \\*\\*bold\\*\\* \\_it\\_"),
            ("\x1b[31mred", "\\\\x1b\\[31mred"),
        ] {
            assert_eq!(words(said), shown, "{said:?}");
        }
    }
}
