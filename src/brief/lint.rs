//! What makes a brief hard to meet: vague words, nothing to observe, too much at once.
//!
//! **Invariant:** a finding names its line and what to do; it never stops anything. Must not know:
//! configuration, but for the names of checks that it is told.

use super::sections::{OWN_CHECK, SectionKind, own_check};
use super::{Brief, Criterion, markdown};
use crate::model::name::CheckName;
use crate::model::text;

/// How much it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The agent will probably miss what you want.
    Warn,
    /// It could be better.
    Note,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The line of the brief, from 1.
    pub line: u32,
    /// How much it matters.
    pub level: Level,
    /// What was found.
    pub text: String,
    /// What to do.
    pub hint: String,
}

/// Words that two readers understand in two ways.
const VAGUE: &[&str] = &[
    "appropriate",
    "appropriately",
    "as needed",
    "as necessary",
    "better",
    "clean",
    "cleaner",
    "clean up",
    "easy",
    "efficient",
    "elegant",
    "etc",
    "fast",
    "faster",
    "flexible",
    "good",
    "improve",
    "improved",
    "intuitive",
    "modern",
    "nice",
    "nicer",
    "optimal",
    "optimize",
    "performant",
    "properly",
    "reasonable",
    "robust",
    "scalable",
    "seamless",
    "should work",
    "simple",
    "user-friendly",
    "various",
    "where possible",
    "if possible",
];

/// Marks of something left open.
const OPEN: &[&str] = &["TODO", "TBD", "FIXME", "???", "XXX"];

/// Patterns that touch everything.
const BROAD: &[&str] = &["*", "**", "**/*", "**/**", "./**"];

/// More criteria than this is more than one task: a person reviews them one by one.
const MANY_CRITERIA: usize = 12;

/// More patterns than this touches half of a repository.
const MANY_TOUCHES: usize = 15;

/// More text than this is read by nobody who reviews it, in bytes.
const LONG: usize = 24 * 1024;

/// Wider titles are cut on every board, in columns.
const WIDE_TITLE: usize = 72;

/// What a finding costs of the 100 points of [`score`].
const COST: [(Level, u32); 2] = [(Level::Warn, 15), (Level::Note, 5)];

/// Judges a brief; findings in the order of the file. `configured` are the checks that run for
/// every task; `None` where nobody knows them, so that none is called unknown.
#[must_use]
pub fn lint(brief: &Brief, configured: Option<&[CheckName]>) -> Vec<Finding> {
    let mut findings = Findings::default();
    title(brief, &mut findings);
    outcome(brief, &mut findings);
    criteria(brief, &mut findings);
    findings.0.extend(unknown_checks(brief, configured));
    unshown(brief, &mut findings);
    verification(brief, &mut findings);
    touches(brief, &mut findings);
    open_ends(brief, &mut findings);
    if brief.source.len() > LONG {
        let size = format!("the brief has {} KiB", brief.source.len() / 1024);
        findings.add(1, Level::Warn, size, "split the task, or move material into files and name them");
    }
    findings.0.sort_by_key(|finding| (finding.line, finding.level));
    findings.0
}

/// From 100 (nothing was found) down to 0.
#[must_use]
pub fn score(findings: &[Finding]) -> u32 {
    let cost = |finding: &Finding| COST.iter().find(|(level, _)| *level == finding.level).map_or(0, |(_, cost)| *cost);
    100_u32.saturating_sub(findings.iter().map(cost).sum())
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, line: u32, level: Level, text: impl Into<String>, hint: &str) {
        self.0.push(Finding { line, level, text: text.into(), hint: hint.to_owned() });
    }
}

fn title(brief: &Brief, findings: &mut Findings) {
    if text::width(&text::clean_line(&brief.title)) > WIDE_TITLE {
        findings.add(
            1,
            Level::Note,
            "the title is longer than a board shows",
            "say it in fewer words; details go below",
        );
    }
    if brief.title.split_whitespace().count() < 2 {
        findings.add(1, Level::Note, "the title is one word", "say what is done to what");
    }
}

fn outcome(brief: &Brief, findings: &mut Findings) {
    let Some(section) = brief.sections.iter().find(|section| section.kind == SectionKind::Outcome) else {
        if brief.section(SectionKind::Preface).is_none() {
            let hint = "add a section ## Outcome: what is different for users afterwards";
            findings.add(1, Level::Note, "it does not say what is different in the end", hint);
        }
        return;
    };
    for line in section.lines() {
        if let Some(word) = vague(line.text) {
            let hint = "say what one would see, with a number where there is one";
            findings.add(line.number, Level::Note, format!("\"{word}\" can mean anything"), hint);
        }
    }
}

fn criteria(brief: &Brief, findings: &mut Findings) {
    if brief.criteria.is_empty() {
        let hint = "add a section ## Acceptance criteria with lines like: - [ ] #1 `cmd x` prints y";
        findings.add(1, Level::Warn, "nothing says when it is done", hint);
    }
    if brief.criteria.len() > MANY_CRITERIA {
        let text = format!("{} acceptance criteria are more than one task", brief.criteria.len());
        findings.add(brief.criteria[0].line, Level::Warn, text, "split it; needs puts the parts in order");
    }
    for criterion in &brief.criteria {
        let hint = "say what one would see, with a number where there is one";
        if criterion.text.trim().is_empty() {
            findings.add(criterion.line, Level::Warn, format!("criterion #{} is empty", criterion.n), hint);
        } else if let Some(word) = vague(&criterion.text) {
            let text = format!("criterion #{}: \"{word}\" cannot be checked", criterion.n);
            findings.add(criterion.line, Level::Warn, text, hint);
        } else if !observable(&criterion.text) && criterion.check.is_none() && brief.verification.is_empty() {
            let text = format!("criterion #{} names nothing that shows it", criterion.n);
            findings.add(criterion.line, Level::Note, text, "name a command, a file, a number or an output");
        }
        if criterion.done_mark {
            let text = format!("criterion #{} is already ticked", criterion.n);
            findings.add(criterion.line, Level::Note, text, "remove it, or the tick: a brief carries no status");
        }
    }
}

/// Criteria that name a check which there is not.
#[must_use]
pub fn unknown_checks(brief: &Brief, configured: Option<&[CheckName]>) -> Vec<Finding> {
    let own: Vec<CheckName> = (1..=brief.verification.len()).map(own_check).collect();
    let known: Vec<&str> = own.iter().chain(configured.unwrap_or_default()).map(CheckName::as_str).collect();
    let unknown = |criterion: &Criterion| {
        let name = criterion.check.as_ref()?.as_str();
        let judged = configured.is_some() || name.starts_with(OWN_CHECK);
        let near = text::nearest(name, known.iter().copied()).map(|near| format!("; did you mean {near}?"));
        (judged && !known.contains(&name)).then(|| Finding {
            line: criterion.line,
            level: Level::Warn,
            text: format!("criterion #{}: there is no check {name}{}", criterion.n, near.unwrap_or_default()),
            hint: "name a [[verify.check]] of agents.toml, or brief-1 for the first block marked verify".to_owned(),
        })
    };
    brief.criteria.iter().filter_map(unknown).collect()
}

/// Criteria that name no check: whoever says that they are met can only be believed.
fn unshown(brief: &Brief, findings: &mut Findings) {
    let without: Vec<&Criterion> = brief.criteria.iter().filter(|criterion| criterion.check.is_none()).collect();
    let Some(first) = without.first() else { return };
    let numbers: Vec<String> = without.iter().map(|criterion| format!("#{}", criterion.n)).collect();
    let hint =
        "end it with the name of its check: (check: test), or (check: brief-1) for the first block marked verify";
    findings.add(first.line, Level::Note, format!("no check shows {}", numbers.join(", ")), hint);
}

/// Whether a text names something to look at: code, a number, a quotation.
fn observable(text: &str) -> bool {
    text.contains(['`', '"', '“']) || text.chars().any(|c| c.is_ascii_digit())
}

fn verification(brief: &Brief, findings: &mut Findings) {
    if brief.verification.is_empty() && brief.section(SectionKind::Verification).is_none() {
        let hint = "add a section ## Verification; a fenced block marked verify is run as a check";
        findings.add(1, Level::Note, "nothing says how it is shown", hint);
    }
}

fn touches(brief: &Brief, findings: &mut Findings) {
    let patterns = &brief.front.touches;
    for pattern in patterns.iter().filter(|pattern| BROAD.contains(&pattern.as_str())) {
        let hint = "name the folders: tasks that overlap wait for each other";
        findings.add(1, Level::Warn, format!("touches {pattern} is everything"), hint);
    }
    if patterns.len() > MANY_TOUCHES {
        findings.add(1, Level::Warn, format!("it touches {} places", patterns.len()), "split the task");
    }
    for pattern in patterns.iter().filter(|pattern| brief.front.off_limits.contains(pattern)) {
        let text = format!("{pattern} is both in touches and off_limits");
        findings.add(1, Level::Warn, text, "take it out of one of them");
    }
}

fn open_ends(brief: &Brief, findings: &mut Findings) {
    let body = brief.sections.iter().flat_map(|section| section.lines());
    for line in body.filter(|line: &markdown::Line<'_>| !line.fenced) {
        if let Some(mark) = OPEN.iter().find(|mark| has_word(line.text, mark)) {
            let hint = "decide it, or say that the agent shall";
            findings.add(line.number, Level::Warn, format!("{mark} leaves something open"), hint);
        }
    }
}

/// The first vague word of a text, outside inline code.
fn vague(text: &str) -> Option<&'static str> {
    let prose: String = text.split('`').step_by(2).collect::<Vec<_>>().join(" ").to_lowercase();
    VAGUE.iter().find(|word| has_word(&prose, word)).copied()
}

/// Whether a word (or some words) stands in a text on its own.
fn has_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, found)| {
        let letter = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '-' || c == '_');
        !letter(text[..at].chars().next_back()) && !letter(text[at + found.len()..].chars().next())
    })
}
