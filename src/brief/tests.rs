//! Reading, linting and prompting as a caller sees them.

use super::*;
use crate::model::name::{CheckName, Pattern};
use crate::model::settings::{LimitAction, Mode, Priority};
use crate::model::time::Span;

const FULL: &str = "---
title: \"Pager: one screen at a time\"
labels: [ui, good first issue]
priority: high
needs: [T4, 5, fix-the-lexer]
agent: codex
base: release/1.10
touches: [\"src/ui/**\", docs/*.md]
off_limits: src/api/**
mode: checkpoint
check_in: 10m
limits:
  wall_clock: 1h
  changed_lines: 400
  cost_usd: 2.5
  action: stop
---
Some words before.

## Outcome
Long output stops after each screen.

## Context
```md
## Not a heading
```
### Details
More.

## Constraints
No new dependency.

## Non-goals
Colours.

## Acceptance criteria
- [ ] #1 `pager x` shows 24 lines
- [x] #3 space goes on
  over two lines
- a third without a number

## Rollout
Later.

## Integration notes
Owner of the key map: ui.

## Verification
```sh verify
cargo test pager
cargo clippy
```
```sh
not a check
```
";

fn brief(text: &str) -> Brief {
    parse("brief.md", text.as_bytes(), None).unwrap_or_else(|errors| panic!("{errors:?}"))
}

fn complaints(text: &str) -> Vec<String> {
    let errors = parse("brief.md", text.as_bytes(), None).expect_err("something is wrong");
    errors.iter().map(ToString::to_string).collect()
}

/// What is wrong with one line of front matter.
fn one(line: &str) -> String {
    let complaints = complaints(&format!("---\ntitle: x\n{line}\n---\n"));
    assert_eq!(complaints.len(), 1, "{complaints:?}");
    complaints.into_iter().next().expect("one")
}

#[test]
fn a_full_brief_reads_as_it_says() {
    let b = brief(FULL);
    assert_eq!(b.title, "Pager: one screen at a time");
    assert_eq!(b.front.labels, ["ui", "good first issue"]);
    assert_eq!((b.front.priority, b.front.mode), (Some(Priority::High), Some(Mode::Checkpoint)));
    assert_eq!(b.front.needs, ["T4", "5", "fix-the-lexer"]);
    assert_eq!(b.front.agent.as_ref().map(|agent| agent.as_str()), Some("codex"));
    assert_eq!(b.front.base.as_deref(), Some("release/1.10"));
    assert_eq!(b.front.touches, [Pattern::new("src/ui/**").expect("p"), Pattern::new("docs/*.md").expect("p")]);
    assert_eq!(b.front.off_limits.len(), 1);
    assert_eq!(b.front.check_in, Some(Span::mins(10)));
    assert_eq!((b.front.limits.wall_clock, b.front.limits.changed_lines), (Some(Span::mins(60)), Some(400)));
    assert_eq!((b.front.limits.cost_usd, b.front.limits.action), (Some(2.5), Some(LimitAction::Stop)));
    assert_eq!(b.section(SectionKind::Preface), Some("Some words before."));
    assert_eq!(b.section(SectionKind::Outcome), Some("Long output stops after each screen."));
    assert!(b.section(SectionKind::Context).expect("context").ends_with("### Details\nMore."));
    let kinds: Vec<SectionKind> = b.sections.iter().map(|section| section.kind).collect();
    use SectionKind::*;
    assert_eq!(
        kinds,
        [Preface, Outcome, Context, Constraints, NonGoals, AcceptanceCriteria, Other, IntegrationNotes, Verification]
    );
    assert_eq!(b.sections[6].heading, "Rollout");
    let criteria: Vec<(u32, &str, bool)> = b.criteria.iter().map(|c| (c.n, c.text.as_str(), c.done_mark)).collect();
    assert_eq!(
        criteria,
        [
            (1, "`pager x` shows 24 lines", false),
            (3, "space goes on\nover two lines", true),
            (2, "a third without a number", false)
        ]
    );
    assert_eq!(b.verification.len(), 1);
    assert_eq!(b.verification[0].run, "cargo test pager\ncargo clippy");
    let fence = u32::try_from(FULL.lines().position(|line| line == "```sh verify").expect("there") + 1).expect("small");
    assert_eq!(b.verification[0].line, fence);
    assert_eq!(
        b.criteria[0].line,
        u32::try_from(FULL.lines().position(|l| l.contains("#1 `")).expect("there") + 1).expect("small")
    );
    assert_eq!(render_prompt(&b), FULL);
}

#[test]
fn line_ends_and_a_byte_order_mark_change_nothing_but_the_source() {
    let other = format!("\u{feff}{}", FULL.replace('\n', "\r\n"));
    let (a, b) = (brief(FULL), brief(&other));
    assert_eq!(b.source, other);
    assert_eq!((&a.title, &a.front, &a.criteria, &a.verification), (&b.title, &b.front, &b.criteria, &b.verification));
}

#[test]
fn plain_text_needs_a_title_from_somewhere() {
    let text = "Just do it.\n\n- and this\n";
    assert_eq!(complaints(text), ["brief.md:1:1: it has no title"]);
    let b = Brief::from_text("Do it", text).expect("a title was given");
    assert_eq!((b.title.as_str(), render_prompt(&b)), ("Do it", text));
    assert_eq!(brief("# From the heading #\n\nText").title, "From the heading");
    assert_eq!(brief("---\ntitle: front\n---\n# Heading\n").title, "front");
    let given = parse("b", b"---\ntitle: front\n---\n", Some("given")).expect("fine");
    assert_eq!(given.title, "given");
    assert_eq!(complaints("---\nlabels: [a]\n---\ntext\n"), ["brief.md:1:1: it has no title"]);
    assert_eq!(complaints(" \n\n"), ["brief.md:1:1: it is empty"]);
    assert!(Brief::from_title("").is_err());
    assert_eq!(render_prompt(&Brief::from_title("Fix it").expect("fine")), "Fix it");
}

#[test]
fn bytes_that_no_agent_can_take_are_refused_with_their_offset() {
    let errors = parse("b.md", b"# a\nb\0c", None).expect_err("NUL");
    assert_eq!(errors[0].to_string(), "b.md:2:2: byte 5 is NUL");
    let errors = parse("b.md", b"# a\n\n\xff", None).expect_err("not UTF-8");
    assert_eq!(errors[0].to_string(), "b.md:3:1: byte 5 is not UTF-8");
    let errors = parse("b.md", &vec![b'a'; MAX_BYTES + 1], None).expect_err("large");
    assert!(errors[0].to_string().contains("1048577 bytes; at most 1048576"), "{errors:?}");
    assert!(parse("b.md", &vec![b'a'; MAX_BYTES], Some("t")).is_ok());
}

#[test]
fn hidden_and_steering_characters_reach_the_agent_unchanged() {
    let text = "---\ntitle: x\n---\n\x1b[31mred\u{202e}\u{200b}\n";
    assert_eq!(render_prompt(&brief(text)), text);
}

#[test]
fn mistakes_in_the_front_matter_have_places_and_hints() {
    for (line, message) in [
        ("prioriti: high", "brief.md:3:1: unknown key prioriti (did you mean priority?)"),
        (
            "priority: hihg",
            "brief.md:3:11: priority is \"hihg\"; it must be one of low, normal, high, urgent (did you mean high?)",
        ),
        ("mode: auto", "brief.md:3:7: mode is \"auto\"; it must be one of delegate, checkpoint, own"),
        ("check_in: 5", "a number and a unit: ms, s, m, h, d"),
        ("agent: a b", "not a valid agent name"),
        ("touches: [\"src/[\"]", "not a valid pattern"),
        ("touches: ../x", "it must be relative to the repository"),
        ("base: --force", "base must be a branch or revision"),
        ("needs: {a: b}", "needs must be a text that is not empty"),
        (
            "limits:\n  changed_lins: 3",
            "brief.md:4:3: unknown key limits.changed_lins (did you mean limits.changed_lines?)",
        ),
        ("limits:\n  red_verdicts: 0", "brief.md:4:17: limits.red_verdicts must be a whole number from 1 to 1000"),
        ("limits: 3", "limits must be lines of the form key: value below it"),
        ("title: y", "the front matter is no YAML"),
        ("labels: [a", "the front matter is no YAML"),
        ("agent: codex: fast", "the front matter is no YAML"),
    ] {
        let told = one(line);
        assert!(told.contains(message), "{told} should say {message}");
    }
    assert_eq!(complaints("---\ntitle: x\n"), ["brief.md:1:1: the front matter is not closed"]);
    assert_eq!(
        complaints("---\n- a\n---\nx\n"),
        ["brief.md:2:1: the front matter must be lines of the form key: value"]
    );
    let told = complaints("---\ntitle: x\nmode: a\npriority: b\nx: c\n---\n- x\n");
    assert_eq!(told.len(), 3, "{told:?}");
}

#[test]
fn scalars_keep_their_spelling() {
    let b = brief("---\ntitle: 1.10\nlabels: [yes, 0x10, 007, ~x]\nneeds: 12\nbase: 1e3\n---\n");
    assert_eq!(b.title, "1.10");
    assert_eq!(b.front.labels, ["yes", "0x10", "007", "~x"]);
    assert_eq!((b.front.needs[0].as_str(), b.front.base.as_deref()), ("12", Some("1e3")));
    let empty = brief("---\ntitle: x\nlabels:\nneeds: []\nlimits:\n---\n");
    assert_eq!(empty.front, Front::default());
}

#[test]
fn an_alias_bomb_is_refused() {
    let mut text = "---\ntitle: x\nlabels: &a [x]\n".to_owned();
    for n in 0..40 {
        let (this, last) = (format!("b{n}"), if n == 0 { "a".to_owned() } else { format!("b{}", n - 1) });
        text += &format!("k{n}: &{this} [*{last}, *{last}, *{last}, *{last}]\n");
    }
    text += "---\n";
    assert!(parse("b.md", text.as_bytes(), None).is_err());
}

#[test]
fn two_criteria_cannot_share_a_number() {
    let told = complaints("# t\n## Acceptance criteria\n- #1 a\n- #1 b\n");
    assert_eq!(told, ["brief.md:4:1: criterion #1 is already on line 3"]);
    let told = complaints("# t\n```verify\n\n```\n");
    assert_eq!(told, ["brief.md:2:1: a block marked verify holds no command"]);
}

#[test]
fn numbered_criteria_and_their_details_are_one() {
    let b = brief("# t\n## Acceptance Criteria:\n1. first\n2. second\n   - detail\n\nProse.\n10) tenth\n");
    let criteria: Vec<(u32, &str)> = b.criteria.iter().map(|c| (c.n, c.text.as_str())).collect();
    assert_eq!(criteria, [(1, "first"), (2, "second\n- detail"), (10, "tenth")]);
}

#[test]
fn what_agents_would_misread_is_flagged() {
    for text in ["/exit", " /review now\n", "/mcp:tool", "!rm -rf x"] {
        assert_eq!(Brief::from_text("t", text).expect("fine").warnings().len(), 1, "{text}");
    }
    for text in ["- a list", "--help", "/etc/hosts is wrong", "/ alone", "Use /exit"] {
        assert!(Brief::from_text("t", text).expect("fine").warnings().is_empty(), "{text}");
    }
}

#[test]
fn the_template_is_a_brief_and_leaves_nothing_behind() {
    for title in ["Fix the pager", "with \"quotes\": and #signs", "日本語"] {
        let b = brief(&template(title));
        assert_eq!(b.title, title);
        assert!(b.criteria.is_empty() && b.verification.is_empty());
        assert_eq!(brief(&finish(&template(title))).sections, []);
    }
    let filled = template("t").replace("## Outcome\n", "## Outcome\nIt pages.\n\n### Own heading\n");
    let finished = finish(&filled);
    assert!(finished.ends_with("---\n\n## Outcome\nIt pages.\n\n### Own heading\n"), "{finished}");
}

fn found(text: &str) -> Vec<String> {
    lint(&brief(text), None).iter().map(|finding| format!("{}: {}", finding.line, finding.text)).collect()
}

#[test]
fn a_good_brief_has_no_findings() {
    let text = "---\ntitle: Page long output\ntouches: [src/ui/**]\n---\n## Outcome\nOutput stops after 24 lines.\n\
                ## Acceptance criteria\n- [ ] #1 `pager x` shows 24 lines (check: brief-1)\n## Verification\n```verify\ncargo test\n```\n";
    assert_eq!(found(text), Vec::<String>::new());
    assert_eq!(score(&lint(&brief(text), None)), 100);
}

#[test]
fn lint_finds_what_makes_a_brief_hard_to_meet() {
    for (text, finding) in [
        ("# Do it well\n", "1: nothing says when it is done"),
        ("# Do it well\n", "1: nothing says how it is shown"),
        ("# t t\n## Acceptance criteria\n- #1 it is fast\n", "3: criterion #1: \"fast\" cannot be checked"),
        ("# t t\n## Acceptance criteria\n- #4 users see it\n", "3: criterion #4 names nothing that shows it"),
        ("# t t\n## Acceptance criteria\n- [x] `a` is b\n", "3: criterion #1 is already ticked"),
        ("# t t\n## Outcome\nThe code is more robust.\n", "3: \"robust\" can mean anything"),
        ("# t t\n\nTODO: decide\n", "3: TODO leaves something open"),
        ("---\ntitle: t t\ntouches: \"**\"\n---\n", "1: touches ** is everything"),
        ("---\ntitle: t t\ntouches: a/*\noff_limits: a/*\n---\n", "1: a/* is both in touches and off_limits"),
        ("# One\n", "1: the title is one word"),
        ("---\ntitle: a b\n---\n## Context\nx\n", "1: it does not say what is different in the end"),
    ] {
        assert!(found(text).contains(&finding.to_owned()), "{:?} should have {finding}", found(text));
    }
    let many: String = (1..=13).map(|n| format!("- [ ] #{n} `x` is {n}\n")).collect();
    assert!(found(&format!("# t t\n## Acceptance criteria\n{many}"))[1].contains("13 acceptance criteria"));
    let long = format!("# t t\n{}", "word ".repeat(6_000));
    assert!(found(&long).iter().any(|finding| finding.contains("the brief has 29 KiB")), "{:?}", found(&long));
    for fine in ["breakfast", "`fast` mode", "etcetera", "fast-path"] {
        let text = format!("# t t\n## Acceptance criteria\n- #1 2 of {fine}\n");
        assert!(!found(&text).iter().any(|finding| finding.contains("cannot be checked")), "{fine}");
    }
    assert!(score(&lint(&brief("# x\n## Acceptance criteria\n- fast\n- nice\n- good\n"), None)) < 60);
}

#[test]
fn a_criterion_may_name_the_check_that_shows_it() {
    let text = "# t\n## Acceptance criteria\n- [ ] #1 It pages (check: test)\n- [ ] #2 It says so\n  twice. (Check: `brief-1`).\n\
                - #3 It ends (check: by hand)\n- #4 It ends (checked: test)\n- #5 (check: a.b_c-1)\n";
    let read: Vec<(u32, String, Option<String>)> =
        brief(text).criteria.into_iter().map(|c| (c.n, c.text, c.check.map(|name| name.to_string()))).collect();
    let want = [
        (1, "It pages", Some("test")),
        (2, "It says so\ntwice.", Some("brief-1")),
        (3, "It ends (check: by hand)", None),
        (4, "It ends (checked: test)", None),
        (5, "", Some("a.b_c-1")),
    ];
    let want = want.map(|(n, text, check)| (n, text.to_owned(), check.map(str::to_owned)));
    assert_eq!(read, want);
}

#[test]
fn lint_names_unknown_checks_and_criteria_that_none_shows() {
    let text = "# t t\n## Acceptance criteria\n- [ ] #1 `x` is 1 (check: tset)\n- [ ] #2 `x` is 2 (check: brief-2)\n\
                - [ ] #3 `x` is 3\n- [ ] #4 it ends (check: test)\n- [ ] #5 `x` is 5\n## Verification\n```verify\nmake\n```\n";
    let test = [CheckName::new("test").expect("a name")];
    let told: Vec<String> =
        lint(&brief(text), Some(&test)).into_iter().map(|f| format!("{}: {}", f.line, f.text)).collect();
    assert_eq!(
        told,
        [
            "3: criterion #1: there is no check tset; did you mean test?",
            "4: criterion #2: there is no check brief-2; did you mean brief-1?",
            "5: no check shows #3, #5",
        ]
    );
    // Where nobody knows what is configured, only the brief's own checks can be unknown.
    assert_eq!(found(text).iter().filter(|f| f.contains("there is no check")).count(), 1);
}

#[test]
fn no_text_makes_the_reader_panic() {
    use proptest::prelude::*;
    let pieces = prop::collection::vec(
        prop_oneof![
            Just("---\n"),
            Just("title: x\n"),
            Just("## Acceptance criteria\n"),
            Just("- [ ] #1 "),
            Just("```verify\n"),
            Just("```\n"),
            Just("\u{feff}"),
            Just("é\u{202e}"),
            Just("\r\n"),
            Just("1. "),
            Just("  "),
            Just("[agent: x]"),
            Just("(after 1)"),
            Just("# t\n"),
            Just("\t"),
            Just("&a *a"),
            Just("{"),
            Just("["),
            Just(": "),
            Just("!high"),
        ],
        0..24,
    );
    proptest!(|(pieces in pieces)| {
        let text = pieces.concat();
        if let Ok(brief) = parse("b", text.as_bytes(), Some("t")) {
            prop_assert_eq!(render_prompt(&brief), &text);
            let _ = lint(&brief, Some(&[]));
        }
        let _ = import("b", text.as_bytes());
        let _ = finish(&text);
    });
}
