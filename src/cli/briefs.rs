//! Briefs as they come from people: a file, standard input, an editor; and what a task is made of
//! them.
//!
//! **Invariant:** the stored brief is what the person wrote, byte for byte; what else a task is
//! made of can be told from flags and brief alone. Must not know: the supervisor.

use std::ffi::OsStr;
use std::io::{IsTerminal, Read};
use std::path::Path;

use crate::board::text::Paint;
use crate::brief::{self, Brief};
use crate::model::id::TaskId;
use crate::model::name::{AgentName, Pattern};
use crate::model::settings::{CheckSettings, Mode, Priority, ReportFormat};
use crate::model::task::{Criterion, TaskSpec, TextRef};
use crate::model::text::{clean, clean_line, shell_word};
use crate::model::time::Span;
use crate::os::run::Run;
use crate::os::{file, locate};
use crate::store::log::TextDigest;

use super::context::Context;
use super::error::{Code, Failure};

/// What stands for standard input.
pub(super) const STDIN: &str = "-";

/// Columns of a title where the page has no room for it.
const MIN_TITLE: usize = 20;

/// A check of a brief may take this long: as long as one of the settings that names no limit.
const CHECK_TIMEOUT: Span = Span::mins(15);

/// A title in an answer: one line of it, beside `beside` other columns. What is stored is whole.
pub(super) fn title(ctx: &Context, title: &str, beside: usize) -> String {
    clean(title, ctx.ui.columns().saturating_sub(beside).max(MIN_TITLE))
}

/// Refuses a title of nothing but blanks.
///
/// # Errors
/// [`Code::Usage`].
pub(super) fn require_title(title: Option<&str>) -> Result<(), Failure> {
    match title {
        Some(title) if title.trim().is_empty() => Err(Failure::new(Code::Usage, "the title is empty")),
        _ => Ok(()),
    }
}

/// The bytes of a file that was named, or of standard input.
pub(super) fn read(ctx: &Context, written: &str, what: &str) -> Result<Vec<u8>, Failure> {
    if written != STDIN {
        let path = ctx.path(Path::new(written));
        return file::read_bounded(&path, brief::MAX_BYTES as u64).map_err(|error| {
            let failure = Failure::of(&error);
            if error.is_absent() { failure.hint(format!("{what} is a file, or - for standard input")) } else { failure }
        });
    }
    if std::io::stdin().is_terminal() {
        ctx.ui.say("reading from the terminal; end with ctrl-d");
    }
    let mut bytes = Vec::new();
    std::io::stdin().take(brief::MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Opens the person's editor on a text and uses what was left there. What was written is not lost
/// where that fails: it is kept in a file, as `finish` makes it, and a hint names the command that
/// takes it, which is `verb`, the path and `flags`.
///
/// # Errors
/// The editor's, and those of `act`.
pub(super) fn in_editor<T>(
    ctx: &Context,
    text: &str,
    (verb, flags): (&str, &str),
    finish: fn(&str) -> String,
    act: impl FnOnce(&str) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let dir = tempfile::Builder::new().prefix("standup-").tempdir()?;
    let path = dir.path().join("brief.md");
    file::write_atomic(&path, text.as_bytes(), 0o600)?;
    let left = edit(ctx, &path).and_then(|()| {
        let bytes = file::read_bounded(&path, brief::MAX_BYTES as u64)?;
        String::from_utf8(bytes).map_err(|_| Failure::new(Code::Failure, "what the editor left is not UTF-8"))
    });
    left.and_then(|left| act(&left)).map_err(|failure| {
        let written = std::fs::read(&path).unwrap_or_default();
        if written == text.as_bytes() || written.trim_ascii().is_empty() {
            return failure;
        }
        if let Ok(written) = String::from_utf8(written) {
            // What cannot be written anew stays as the editor left it.
            let _ = file::write_atomic(&path, finish(&written).as_bytes(), 0o600);
        }
        let _ = dir.keep();
        let command = format!("{verb} --brief {} {flags}", shell_word(&path.display().to_string()));
        failure.hint(format!("{}    # what was written", command.trim_end()))
    })
}

/// Runs the person's editor on a file.
fn edit(ctx: &Context, path: &Path) -> Result<(), Failure> {
    let set = |name| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    let editor = set("VISUAL").or_else(|| set("EDITOR")).unwrap_or_else(|| "vi".to_owned());
    let shell = locate::program(OsStr::new("sh"), Path::new("/")).map_err(|error| Failure::of(&error))?;
    // As git does it: the variable may hold arguments.
    let script = format!("{editor} \"$@\"");
    let args = [OsStr::new("-c"), OsStr::new(&script), OsStr::new("editor"), path.as_os_str()];
    let ended = Run::new(shell).args(args).cwd(&ctx.dir).foreground().map_err(|error| Failure::of(&error))?;
    if !ended.is_success() {
        let text = format!("the editor ({editor}) did not end well; nothing was changed");
        return Err(Failure::new(Code::Failure, text).hint("export EDITOR=nano"));
    }
    Ok(())
}

/// What flags say of a task, stronger than its brief.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Flags {
    /// Who does it
    #[arg(long, value_name = "NAME")]
    pub(super) agent: Option<AgentName>,
    /// Tasks that must be Done before it (repeatable, or with commas)
    #[arg(long, value_name = "TASK", value_delimiter = ',')]
    pub(super) after: Vec<String>,
    /// What starts first
    #[arg(long, value_name = "PRIORITY", value_parser = words(Priority::WORDS))]
    pub(super) priority: Option<String>,
    /// Paths it is going to change (repeatable)
    #[arg(long, value_name = "GLOB")]
    pub(super) touches: Vec<Pattern>,
    /// Paths it must not change (repeatable)
    #[arg(long, value_name = "GLOB")]
    pub(super) off_limits: Vec<Pattern>,
    /// How much is handed over
    #[arg(long, value_name = "MODE", value_parser = words(Mode::WORDS))]
    pub(super) mode: Option<String>,
    /// Branch or revision it starts from
    #[arg(long, value_name = "REF")]
    pub(super) base: Option<String>,
    /// A word to find it by (repeatable)
    #[arg(long, value_name = "LABEL")]
    pub(super) label: Vec<String>,
}

fn words<T>(of: &'static [(&'static str, T)]) -> clap::builder::PossibleValuesParser {
    of.iter().map(|(word, _)| *word).collect::<Vec<_>>().into()
}

fn meant<T: Copy>(of: &[(&str, T)], word: Option<&String>) -> Option<T> {
    let word = word?;
    of.iter().find(|(known, _)| known == word).map(|(_, value)| *value)
}

impl Flags {
    /// Whether nothing is said.
    pub(super) fn is_empty(&self) -> bool {
        let lists = [self.after.len(), self.touches.len(), self.off_limits.len(), self.label.len()];
        let single = [self.agent.is_some(), self.priority.is_some(), self.mode.is_some(), self.base.is_some()];
        lists.iter().all(|len| *len == 0) && !single.contains(&true)
    }

    /// As they would be written again.
    pub(super) fn written(&self) -> String {
        let patterns = |all: &[Pattern]| all.iter().map(|pattern| pattern.as_str().to_owned()).collect();
        let one = |word: &Option<String>| word.iter().cloned().collect();
        let all: [(&str, Vec<String>); 8] = [
            ("agent", self.agent.iter().map(|name| name.as_str().to_owned()).collect()),
            ("after", self.after.clone()),
            ("priority", one(&self.priority)),
            ("touches", patterns(&self.touches)),
            ("off-limits", patterns(&self.off_limits)),
            ("mode", one(&self.mode)),
            ("base", one(&self.base)),
            ("label", self.label.clone()),
        ];
        let flags = all.iter().flat_map(|(name, words)| words.iter().map(move |word| (name, word)));
        flags.map(|(name, word)| format!("--{name} {}", shell_word(word))).collect::<Vec<_>>().join(" ")
    }

    /// Puts what they say into a spec; `needs` are the tasks of `--after`.
    pub(super) fn apply(self, spec: &mut TaskSpec, needs: Vec<TaskId>) {
        if !self.after.is_empty() {
            spec.needs = needs;
        }
        spec.agent = self.agent.or_else(|| spec.agent.take());
        spec.priority = meant(Priority::WORDS, self.priority.as_ref()).unwrap_or(spec.priority);
        spec.mode = meant(Mode::WORDS, self.mode.as_ref()).unwrap_or(spec.mode);
        spec.base = self.base.or_else(|| spec.base.take());
        let lists = [(self.touches, &mut spec.touches), (self.off_limits, &mut spec.off_limits)];
        for (said, has) in lists {
            if !said.is_empty() {
                *has = said;
            }
        }
        if !self.label.is_empty() {
            spec.labels = self.label;
        }
    }
}

/// A task made of a brief; its needs are left to the caller.
pub(super) fn spec(brief: &Brief) -> TaskSpec {
    let front = brief.front.clone();
    TaskSpec {
        slug: brief.slug(),
        agent: front.agent,
        mode: front.mode.unwrap_or_default(),
        priority: front.priority.unwrap_or_default(),
        touches: front.touches,
        off_limits: front.off_limits,
        labels: front.labels,
        base: front.base,
        check_in: front.check_in,
        limits: front.limits,
        criteria: criteria(brief),
        checks: checks(brief),
        ..TaskSpec::new(brief.title.trim(), TextRef(TextDigest::of(&brief.source).as_str().to_owned()))
    }
}

/// A task whose brief was changed: what the new text says otherwise than the old one holds, and
/// what only flags had said stays, the title included.
pub(super) fn changed(old: &TaskSpec, was: &Brief, brief: &Brief) -> TaskSpec {
    let new = spec(brief);
    let same_title = brief.title == was.title;
    let (was, now) = (&was.front, &brief.front);
    let mut spec = TaskSpec { needs: old.needs.clone(), key: old.key.clone(), ..new };
    macro_rules! keep {
        ($($front:ident $own:ident),*) => {$(
            if now.$front == was.$front {
                spec.$own = old.$own.clone();
            }
        )*};
    }
    keep!(agent agent, mode mode, priority priority, touches touches, off_limits off_limits);
    keep!(labels labels, base base, check_in check_in, limits limits);
    if same_title {
        (spec.title, spec.slug) = (old.title.clone(), old.slug.clone());
    }
    spec
}

fn criteria(brief: &Brief) -> Vec<Criterion> {
    brief.criteria.iter().map(|c| Criterion { n: c.n, text: c.text.clone(), check: c.check.clone() }).collect()
}

/// The checks that a brief brings along. A script of several lines ends at the first that fails,
/// or its last line alone would decide.
fn checks(brief: &Brief) -> Vec<CheckSettings> {
    let check = |(n, block): (usize, &brief::VerifyBlock)| {
        let script = block.run.trim();
        let run = if script.lines().count() > 1 { format!("set -e\n{script}") } else { script.to_owned() };
        CheckSettings { name: brief::own_check(n), run, report: ReportFormat::Exit, timeout: CHECK_TIMEOUT }
    };
    (1..).zip(&brief.verification).map(check).collect()
}

/// Says which commands a task's brief has run as checks: whoever gives it approves them by that.
pub(super) fn say_checks(ctx: &Context, whose: &str, checks: &[CheckSettings]) {
    for check in checks {
        ctx.ui.say(&format!("{} brings the check {}: {}", clean_line(whose), check.name, clean_line(&check.run)));
    }
}

/// What the person should know of a brief before it is sent.
pub(super) fn warn(ctx: &Context, brief: &Brief) {
    for warning in brief.warnings() {
        ctx.ui.say(&format!("warning: {}", clean_line(&warning)));
    }
    if brief.criteria.iter().any(|criterion| criterion.check.is_some()) {
        for finding in brief::unknown_checks(brief, ctx.checks()) {
            ctx.ui.say(&format!("warning: {}", clean_line(&finding.text)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn brief(text: &str) -> Brief {
        brief::parse("brief.md", text.as_bytes(), None).expect("a brief")
    }

    #[test]
    fn flags_are_stronger_than_the_brief() {
        let brief = brief("---\ntitle: Fix it\npriority: low\nagent: codex\ntouches: [src/**]\n---\ntext\n");
        let mut spec = spec(&brief);
        assert_eq!((spec.priority, spec.mode), (Priority::Low, Mode::Delegate));
        let flags = Flags { priority: Some("urgent".into()), mode: Some("own".into()), ..Flags::default() };
        assert!(!flags.is_empty());
        assert_eq!(flags.written(), "--priority urgent --mode own");
        flags.apply(&mut spec, Vec::new());
        assert_eq!((spec.priority, spec.mode), (Priority::Urgent, Mode::Own));
        assert_eq!(spec.agent.as_ref().map(AgentName::as_str), Some("codex"), "the brief's, where no flag speaks");
        assert_eq!(spec.touches.len(), 1);
    }

    #[test]
    fn a_script_of_several_lines_fails_where_its_first_line_fails() {
        let text = "# Fix it\n\n## Verification\n```sh verify\nfalse\ntrue\n```\n```sh verify\nmake test\n```\n";
        let spec = spec(&brief(text));
        let runs: Vec<(&str, &str)> = spec.checks.iter().map(|c| (c.name.as_str(), c.run.as_str())).collect();
        assert_eq!(runs, [("brief-1", "set -e\nfalse\ntrue"), ("brief-2", "make test")]);
    }

    #[test]
    fn a_changed_brief_keeps_what_only_flags_had_said() {
        let first = brief("---\ntitle: Fix it\npriority: high\nlabels: [ui]\n---\ntext\n");
        let mut old = spec(&first);
        let flags = Flags { agent: Some(AgentName::new("codex").expect("name")), ..Flags::default() };
        flags.apply(&mut old, Vec::new());
        old.needs = vec![TaskId::new(4).expect("id")];
        old.key = Some("plan.md#1".into());
        let second = brief("---\ntitle: Fix it well\npriority: low\n---\nmore\n");
        let new = changed(&old, &first, &second);
        assert_eq!((new.title.as_str(), new.priority), ("Fix it well", Priority::Low));
        assert!(new.labels.is_empty(), "taken out of the front matter");
        assert_eq!(new.agent, old.agent);
        assert_eq!((new.needs.len(), new.key.as_deref()), (1, Some("plan.md#1")));
        assert_ne!(new.brief, old.brief);
    }

    #[test]
    fn a_title_of_its_own_outlives_a_text_that_keeps_its_old_one() {
        let first = brief("# Old title\nold\n");
        let mut old = spec(&first);
        old.title = "Better title".into();
        let second = brief("# Old title\nnew\n");
        assert_eq!(changed(&old, &first, &second).title, "Better title");
        assert_eq!(changed(&old, &first, &brief("# Newest title\nnew\n")).title, "Newest title");
    }
}
