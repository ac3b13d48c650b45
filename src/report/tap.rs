//! The Test Anything Protocol, versions 12 to 14.
//!
//! **Invariant:** a test point with subtests is their sum, as deep as they go; it counts by itself
//! only where it failed and none of them did. What stands in a YAML block is never a test point.

use super::{Failures, Report, counts, number};
use crate::model::verdict::TestCounts;

/// Subtests nested deeper than this are taken for this deep.
const MAX_DEPTH: usize = 32;

#[derive(Debug)]
pub(super) struct Tap {
    /// One entry per open indentation, outermost first; never empty.
    levels: Vec<Level>,
    yaml: Option<Yaml>,
    found: TestCounts,
    failures: Failures,
    /// The failure that a YAML block would explain.
    explains: Option<usize>,
    bailed: bool,
    seen: bool,
    contradiction: Option<String>,
}

#[derive(Debug, Default)]
struct Level {
    indent: usize,
    /// Points seen and announced at this level.
    points: u64,
    planned: Option<u64>,
    /// Whether a deeper level held points, or failed ones, since the last point here.
    children: bool,
    failed_inside: bool,
    /// The name a comment or a brace gives to the next deeper level.
    name: String,
    /// The deeper level belongs to a point already seen (`… {`), which failed or not.
    braced: Option<bool>,
}

impl Default for Tap {
    fn default() -> Self {
        Self {
            levels: vec![Level::default()],
            yaml: None,
            found: TestCounts::default(),
            failures: Failures::default(),
            explains: None,
            bailed: false,
            seen: false,
            contradiction: None,
        }
    }
}

#[derive(Debug)]
struct Yaml {
    indent: usize,
}

impl Tap {
    pub(super) fn line(&mut self, line: &str) {
        let text = line.trim_start();
        let indent = line.len() - text.len();
        let text = text.trim_end();
        if self.in_yaml(text, indent) || text.is_empty() {
            return;
        }
        if text == "---" {
            self.yaml = Some(Yaml { indent });
        } else if let Some(point) = Point::read(text) {
            self.point(&point, indent);
        } else if let Some(planned) = plan(text) {
            (self.seen, self.explains) = (true, None);
            self.plan(planned, indent);
        } else if text == "}" {
            self.close_above(indent);
            self.end_brace();
        } else if text.starts_with("Bail out!") {
            self.seen = true;
            self.bailed = true;
            self.failures.push("Bail out!", text.trim_start_matches("Bail out!"));
        } else if let Some(name) = text.strip_prefix("# Subtest: ") {
            self.subtest(name, indent);
        } else if let Some(told) = text.strip_prefix('#') {
            self.diagnostic(told.trim());
        }
    }

    /// Comments right below a point that failed say why: the way of Perl's and many shells' writers.
    fn diagnostic(&mut self, told: &str) {
        let Some(failure) = self.explains.and_then(|index| self.failures.0.get_mut(index)) else { return };
        let message = &mut failure.message;
        if !told.is_empty() && message.len() < super::MAX_MESSAGE {
            if !message.is_empty() {
                message.push('\n');
            }
            message.push_str(told);
            *message = super::plain::clip(message, super::MAX_MESSAGE);
        }
    }

    /// Some writers indent this comment with the subtest, some like the point that will sum it up.
    fn subtest(&mut self, name: &str, indent: usize) {
        self.close_above(indent);
        let outer = self.levels.last_mut().expect("never empty");
        if outer.indent < indent && outer.name.is_empty() {
            outer.name = name.to_owned();
        } else {
            self.level(indent).name = name.to_owned();
        }
    }

    /// A second plan at one level begins a second document.
    fn plan(&mut self, planned: u64, indent: usize) {
        let level = self.level(indent);
        if let Some(before) = level.planned {
            let points = std::mem::take(&mut level.points);
            self.check_plan(before, points);
        }
        self.level(indent).planned = Some(planned);
    }

    fn check_plan(&mut self, planned: u64, points: u64) {
        if planned != points {
            self.contradiction.get_or_insert(format!("announces {planned} tests and lists {points}"));
        }
    }

    /// Whether the line belongs to a YAML block, which it may end.
    fn in_yaml(&mut self, text: &str, indent: usize) -> bool {
        let Some(yaml) = &self.yaml else { return false };
        if text == "..." && indent <= yaml.indent {
            self.yaml = None;
            return true;
        }
        if indent < yaml.indent && !text.is_empty() {
            self.yaml = None;
            return false;
        }
        let told = text.strip_prefix("error:").or_else(|| text.strip_prefix("message:"));
        if let (Some(told), Some(index)) = (told, self.explains)
            && let Some(failure) = self.failures.0.get_mut(index).filter(|failure| failure.message.is_empty())
        {
            failure.message = super::plain::clip(told.trim().trim_matches(['\'', '"', '|', '-']), super::MAX_MESSAGE);
        }
        true
    }

    fn point(&mut self, point: &Point<'_>, indent: usize) {
        self.seen = true;
        self.close_above(indent);
        if self.levels.last().is_some_and(|level| level.indent == indent) {
            self.end_brace();
        }
        let level = self.level(indent);
        if level.planned.is_some_and(|planned| level.points >= planned) {
            // The plan was the end of a document; without a plan of its own this one is cut off.
            (level.planned, level.points) = (None, 0);
        }
        level.points = level.points.saturating_add(1);
        let (children, failed_inside) = (level.children, level.failed_inside);
        (level.children, level.failed_inside) = (false, false);
        let failed = !point.ok && !point.todo && !point.skip;
        if point.braced {
            level.braced = Some(failed);
            level.name = point.name.to_owned();
            return;
        }
        level.name.clear();
        self.explains = None;
        if failed {
            self.mark_failed();
        }
        if children && (!failed || failed_inside) {
            return;
        }
        self.count(point, failed);
    }

    fn count(&mut self, point: &Point<'_>, failed: bool) {
        for level in self.levels.iter_mut().rev().skip(1) {
            level.children = true;
        }
        if failed {
            let name = self.path(point.name);
            self.found.failed = self.found.failed.saturating_add(1);
            self.explains = Some(self.failures.0.len());
            self.failures.push(&name, "");
        } else if point.skip || (point.todo && !point.ok) {
            self.found.skipped = self.found.skipped.saturating_add(1);
        } else {
            self.found.passed = self.found.passed.saturating_add(1);
        }
    }

    fn path(&self, name: &str) -> String {
        let outer = self.levels.iter().rev().skip(1).rev().map(|level| level.name.as_str());
        outer.chain([name]).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" > ")
    }

    fn mark_failed(&mut self) {
        for level in self.levels.iter_mut().rev().skip(1) {
            level.failed_inside = true;
        }
    }

    /// The level of an indentation, opened where it is new.
    fn level(&mut self, indent: usize) -> &mut Level {
        self.close_above(indent);
        let open = self.levels.last().is_some_and(|level| level.indent == indent);
        if !open && self.levels.len() < MAX_DEPTH {
            self.levels.push(Level { indent, ..Level::default() });
        }
        self.levels.last_mut().expect("never empty")
    }

    /// Ends every level deeper than `indent`.
    fn close_above(&mut self, indent: usize) {
        while self.levels.len() > 1 && self.levels.last().is_some_and(|level| level.indent > indent) {
            if let Some(Level { planned: Some(planned), points, .. }) = self.levels.pop() {
                self.check_plan(planned, points);
            }
        }
    }

    /// A point that was opened by a brace and has all its subtests now.
    fn end_brace(&mut self) {
        let Some(level) = self.levels.last_mut() else { return };
        let Some(failed) = level.braced.take() else { return };
        let (children, failed_inside) = (level.children, level.failed_inside);
        (level.children, level.failed_inside) = (false, false);
        let name = std::mem::take(&mut level.name);
        if failed {
            self.mark_failed();
        }
        if !children || (failed && !failed_inside) {
            let point = Point { ok: !failed, todo: false, skip: false, braced: false, name: &name };
            self.count(&point, failed);
        }
    }

    pub(super) fn finish(mut self) -> Report {
        self.close_above(0);
        self.end_brace();
        let (planned, points) = self.levels.first().map_or((None, 0), |level| (level.planned, level.points));
        if let Some(planned) = planned {
            self.check_plan(planned, points);
        }
        Report {
            counts: self.seen.then(|| counts(self.found.passed, self.found.failed, self.found.skipped)),
            failures: self.failures.0,
            complete: planned.is_some() && !self.bailed,
            contradiction: self.contradiction,
        }
    }
}

/// `1..4`, perhaps with a comment.
fn plan(text: &str) -> Option<u64> {
    let (planned, rest) = number(text.strip_prefix("1..")?)?;
    (rest.is_empty() || rest.starts_with('#')).then_some(planned)
}

/// `not ok 2 - name # TODO why {`
#[derive(Debug)]
struct Point<'a> {
    ok: bool,
    todo: bool,
    skip: bool,
    braced: bool,
    name: &'a str,
}

impl<'a> Point<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let (ok, rest) = match text.strip_prefix("not ok") {
            Some(rest) => (false, rest),
            None => (true, text.strip_prefix("ok")?),
        };
        if !rest.is_empty() && !rest.starts_with(' ') {
            return None;
        }
        let (rest, braced) = match rest.strip_suffix(" {") {
            Some(rest) => (rest, true),
            None => (rest, false),
        };
        let (name, comment) = rest.split_once(" # ").unwrap_or((rest, ""));
        let word = comment.trim_start().get(..4).unwrap_or_default().to_ascii_lowercase();
        let name = number(name).map_or(name.trim_start(), |(_, name)| name);
        let name = name.strip_prefix("- ").unwrap_or(name).trim();
        Some(Self { ok, todo: word == "todo", skip: word == "skip", braced, name })
    }
}
