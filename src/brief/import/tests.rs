//! Lists of tasks in every form, and what is wrong with them.

use std::collections::BTreeMap;

use super::*;
use crate::brief::{SectionKind, parse};
use crate::model::settings::{Mode, Priority};

fn tasks(name: &str, text: &str) -> Vec<Imported> {
    import(name, text.as_bytes()).unwrap_or_else(|errors| panic!("{errors:?}"))
}

fn complaints(text: &str) -> Vec<String> {
    let errors = import("tasks.txt", text.as_bytes()).expect_err("something is wrong");
    errors.iter().map(ToString::to_string).collect()
}

fn titles(tasks: &[Imported]) -> Vec<&str> {
    tasks.iter().map(|task| task.brief.title.as_str()).collect()
}

const NUMBERED: &str = "This week:

1. Write the lexer
2. Write the parser (after 1) [agent: codex] !high
   It takes tokens.

   - and errors
3) Add a pager for [long] output (needs: 1, 2) [touches: src/{a,b}/**, docs/*]
    mode: checkpoint
    labels: ui, later
    ```
1. not a task
    ```
    Note: it is not a key.
4. Ship (after T9)
";

#[test]
fn numbered_text_is_read_with_its_marks() {
    let all = tasks("tasks.txt", NUMBERED);
    assert_eq!(titles(&all), ["Write the lexer", "Write the parser", "Add a pager for [long] output", "Ship"]);
    let keys: Vec<&str> = all.iter().map(|task| task.key.as_str()).collect();
    assert_eq!(keys, ["tasks.txt#1", "tasks.txt#2", "tasks.txt#3", "tasks.txt#4"]);
    assert_eq!(all[1].needs, ["tasks.txt#1"]);
    assert_eq!(all[2].needs, ["tasks.txt#1", "tasks.txt#2"]);
    assert_eq!((all[3].needs.len(), all[3].needs_tasks[0].to_string().as_str()), (0, "T9"));
    assert_eq!(all[1].brief.front.priority, Some(Priority::High));
    assert_eq!(all[1].brief.front.agent.as_ref().map(|agent| agent.as_str()), Some("codex"));
    assert_eq!(all[1].brief.source, "Write the parser\n\nIt takes tokens.\n\n- and errors\n");
    let pager = &all[2].brief;
    let touches: Vec<&str> = pager.front.touches.iter().map(|pattern| pattern.as_str()).collect();
    assert_eq!(touches, ["src/{a,b}/**", "docs/*"]);
    assert_eq!((pager.front.mode, pager.front.labels.len()), (Some(Mode::Checkpoint), 2));
    assert!(
        pager.source.contains("1. not a task") && pager.source.contains("Note: it is not a key."),
        "{}",
        pager.source
    );
    let lines: Vec<u32> = all.iter().map(|task| task.line).collect();
    assert_eq!(lines, [3, 4, 8, 15]);
    assert_eq!(tasks("tasks.txt", NUMBERED), all, "the same again");
    let crlf = tasks("tasks.txt", &format!("\u{feff}{}", NUMBERED.replace('\n', "\r\n")));
    assert_eq!(titles(&crlf), titles(&all));
}

#[test]
fn a_markdown_list_is_read_with_its_headings_left_out() {
    let text = "# Plan\n\n## Now\n- [ ] Fix the Pager\n  with care\n- [x] Old thing\n* Next (after fix-the-pager)\n\n\
                ## Later\n\n- [ ] Ship (after Next, 1)\n\n---\n<!-- end -->\n";
    let all = tasks("plan.md", text);
    assert_eq!(titles(&all), ["Fix the Pager", "Old thing", "Next", "Ship"]);
    assert_eq!(all[0].key, "plan.md:fix the pager");
    assert_eq!(all[0].brief.source, "Fix the Pager\n\nwith care\n");
    assert_eq!((all[0].done, all[1].done), (false, true));
    assert_eq!(all[2].needs, ["plan.md:fix the pager"]);
    assert_eq!(all[3].needs, ["plan.md:next", "plan.md:fix the pager"]);
}

#[test]
fn headings_are_tasks_with_sections_below() {
    let text = "# Tasks\n\n## Fix the pager\nneeds: write-docs\nIt hangs.\n\n### Acceptance criteria\n- [ ] #1 `x` ends\n\n\
                ### Notes\nx\n\n## Write docs\n1. one\n2. two\n";
    let all = tasks("t.md", text);
    assert_eq!(titles(&all), ["Fix the pager", "Write docs"]);
    assert_eq!(all[0].needs, ["t.md:write docs"]);
    assert_eq!((all[0].brief.criteria.len(), all[0].brief.criteria[0].line), (1, 8));
    assert!(all[0].brief.source.contains("### Notes"));
    assert!(all[1].brief.source.ends_with("1. one\n2. two\n"));
    let prose = tasks("t.md", "# Plan\n## Why\nBecause.\n\n## Tasks\n- [ ] a\n- [ ] b\n");
    assert_eq!(titles(&prose), ["a", "b"]);
    let tops = tasks("t.md", "# First\na\n# Second\nb\n");
    assert_eq!(titles(&tops), ["First", "Second"]);
}

#[test]
fn one_brief_is_itself() {
    let text = "---\ntitle: Fix it\nneeds: T3\n---\n## Outcome\n- one\n- two\n";
    let all = tasks("fix.md", text);
    assert_eq!((all.len(), all[0].key.as_str(), all[0].brief.source.as_str()), (1, "fix.md", text));
    assert_eq!(all[0].brief, parse("fix.md", text.as_bytes(), None).expect("a brief"));
    assert_eq!(all[0].needs_tasks.len(), 1);
    let text = "# Fix it\n\n## Outcome\n- one\n- two\n";
    let all = tasks("fix.md", text);
    assert_eq!((all.len(), all[0].brief.title.as_str()), (1, "Fix it"));
    assert_eq!(all[0].brief.section(SectionKind::Outcome), Some("- one\n- two"));
}

#[test]
fn several_briefs_stand_in_one_file() {
    let text = "---\ntitle: One\n---\nA.\n\n---\n\nstill one\n\n```\n\n---\ntitle: no\n---\n```\n\n---\ntitle: Two\nneeds: one\n---\nB.\n";
    let all = tasks("two.md", text);
    assert_eq!(titles(&all), ["One", "Two"]);
    assert!(all[0].brief.source.contains("still one") && all[0].brief.source.contains("title: no"));
    assert_eq!((all[1].key.as_str(), all[1].line), ("two.md:two", 17));
    assert_eq!(all[1].needs, ["two.md:one"]);
    let told = complaints("---\ntitle: A\n---\n\n---\ntitle: a\nmood: x\n---\n");
    assert!(told.iter().any(|t| t == "tasks.txt:5:1: a task titled \"a\" is already on line 1"), "{told:?}");
    assert!(told.iter().any(|t| t == "tasks.txt:7:1: unknown key mood (did you mean mode?)"), "{told:?}");
}

#[test]
fn issues_keep_their_numbers() {
    let text = r#"[
        {"number": 12, "title": "Pager hangs", "body": "It does.\r\n\r\nBlocked by #14, #99", "labels": [{"name": "bug"}]},
        {"number": 14, "title": "Lexer", "body": null, "labels": ["x"], "url": "ignored"},
        {"number": 15, "title": "Old", "body": "After all, #12 was easy", "labels": [], "state": "CLOSED"}
    ]"#;
    let all = tasks("-", text);
    let keys: Vec<&str> = all.iter().map(|task| task.key.as_str()).collect();
    assert_eq!(keys, ["#12", "#14", "#15"]);
    assert_eq!(all[0].needs, ["#14"]);
    assert_eq!(all[0].notes, ["#99 is not in this list and is taken as done"]);
    assert_eq!((&all[0].brief.front.labels[0], &all[1].brief.front.labels[0]), (&"bug".to_owned(), &"x".to_owned()));
    assert_eq!(all[1].brief.source, "Lexer\n");
    assert_eq!((all[2].needs.len(), all[2].done), (0, true));
    assert_eq!(tasks("-", "[]"), []);
    assert_eq!(tasks("-", r#"{"number": 1, "title": "One"}"#).len(), 1);
    // Anybody may open an issue: its blocks are no checks, and an empty one is no mistake.
    let body = r"Text.\n<!--\n```verify\ntouch pwn\n```\n-->\n- [ ] #1 x\n```verify\n```\n";
    let open = tasks("-", &format!(r#"[{{"number": 7, "title": "a", "body": "{body}"}}]"#));
    assert_eq!(open[0].brief.verification, []);
    assert!(open[0].brief.source.contains("touch pwn"), "it stays to be read");
    let left: Vec<&str> = open[0].left_out.iter().map(|block| block.run.as_str()).collect();
    assert_eq!(left, ["touch pwn"]);
    assert_eq!(tasks("list.md", "- a\n\n  ```verify\n  make\n  ```\n")[0].brief.verification.len(), 1, "your own list");
    for (text, message) in [
        (r#"[{"number": 1}]"#, "it is no list of issues: missing field `title`"),
        ("[{", "it is no list of issues: EOF while parsing"),
        (r#"[{"number": 1, "title": " "}]"#, "a task has no title"),
        (
            r#"[{"number": 1, "title": "a"}, {"number": 1, "title": "b"}]"#,
            "tasks.txt:2:1: issue #1 is already on line 1",
        ),
        (r#"[{"number": 1, "title": "a", "body": "x\u0000"}]"#, "byte 1 is NUL"),
    ] {
        assert!(complaints(text)[0].contains(message), "{:?}", complaints(text));
    }
}

#[test]
fn nothing_to_do_is_no_error() {
    for text in ["", "\n \n", "\u{feff}\n"] {
        assert_eq!(tasks("tasks.txt", text), []);
    }
    assert_eq!(complaints("just prose\nand more\n"), ["tasks.txt:1:1: no tasks were found in it"]);
}

#[test]
fn numbers_of_standard_input_are_no_identity() {
    let (a, b) = (tasks("-", "1. Write docs\n"), tasks("-", "1. Fix pager\n"));
    assert_eq!((a[0].key.as_str(), b[0].key.as_str()), ("-:write docs", "-:fix pager"));
    let both = tasks("-", "1. Write docs\n2. Fix pager (after 1)\n");
    assert_eq!(both[1].needs, ["-:write docs"]);
}

#[test]
fn a_task_that_stands_twice_is_told_with_both_lines() {
    assert_eq!(complaints("1. a\n\n1. b\n"), ["tasks.txt:3:1: task 1 is already on line 1"]);
    let told = complaints("- Fix the pager\n- other\n- fix  The pager\n");
    assert_eq!(told, ["tasks.txt:3:1: a task titled \"fix  The pager\" is already on line 1"]);
}

#[test]
fn needs_that_are_no_tasks_are_told_with_the_nearest() {
    assert_eq!(
        complaints("1. a\n2. b (after 7)\n"),
        ["tasks.txt:2:1: needs \"7\", which is no task here (did you mean 2?)"]
    );
    let told = complaints("- Fix the pager\n- b (after fix-teh-pager)\n");
    assert_eq!(told, ["tasks.txt:2:1: needs \"fix-teh-pager\", which is no task here (did you mean fix-the-pager?)"]);
}

#[test]
fn tasks_that_wait_for_each_other_are_told_as_a_round() {
    let told = complaints("1. a (after 3)\n2. b (after 1)\n3. c (after 2)\n4. d\n");
    assert_eq!(told, ["tasks.txt:1:1: these tasks wait for each other: 1 (a) → 3 (c) → 2 (b) → 1 (a)"]);
    let told = complaints("1. a (after 1)\n");
    assert!(told[0].ends_with(": 1 (a) → 1 (a)"), "{told:?}");
    let named = "- Fix the pager (after test-it)\n- Test it (after fix-the-pager)\n";
    let round = "these tasks wait for each other: 1 (Fix the pager) → 2 (Test it) → 1 (Fix the pager)";
    assert!(complaints(named)[0].ends_with(round), "{:?}", complaints(named));
    let told = import(STDIN, named.as_bytes()).expect_err("a round")[0].to_string();
    assert!(told.ends_with(round), "standard input has no name that anybody wrote: {told}");
}

#[test]
fn a_graph_is_searched_in_full_and_in_depth() {
    let graph = |edges: &[(u32, &[u32])]| -> BTreeMap<u32, Vec<u32>> {
        edges.iter().map(|(from, to)| (*from, to.to_vec())).collect()
    };
    assert_eq!(cycle(&graph(&[(1, &[2, 3]), (2, &[4]), (3, &[4]), (4, &[5])])), None);
    assert_eq!(cycle(&graph(&[(1, &[2]), (2, &[3, 4]), (3, &[]), (4, &[2])])), Some(vec![2, 4, 2]));
    let deep: BTreeMap<u32, Vec<u32>> = (0..200_000).map(|n| (n, vec![n + 1])).collect();
    assert_eq!(cycle(&deep), None, "and no stack overflows");
}

#[test]
fn marks_that_are_wrong_are_told_and_look_alikes_are_titles() {
    for (text, message) in [
        ("1. a [agnet: codex]\n", "tasks.txt:1:1: unknown key agnet (did you mean agent?)"),
        ("1. a\n   prioritty: high\n", "tasks.txt:2:1: unknown key prioritty (did you mean priority?)"),
        ("1. a [mode: fast]\n", "mode is \"fast\"; it must be one of delegate, checkpoint, own"),
        ("1. a [agent: a b]\n", "not a valid agent name"),
        ("1. [agent: codex]\n", "a task has no title"),
        ("1.\n", "a task has no title"),
        ("1. a\n\nand what is this?\n", "tasks.txt:3:1: this text belongs to no task"),
        ("- a\n## group\nprose\n- b\n", "tasks.txt:3:1: this text belongs to no task"),
    ] {
        let told = complaints(text);
        assert!(told[0].contains(message), "{told:?} should say {message}");
    }
    for title in ["Use [brackets]", "Say hello!", "Fix f(x)", "Add a[b: c]", "Really !important", "Handle (see below)"]
    {
        assert_eq!(titles(&tasks("t", &format!("1. {title}\n"))), [title]);
    }
}
