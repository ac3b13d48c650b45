//! Reading and merging as a caller sees them; below, what is written and what is found.

mod commands;
mod found;
mod written;

use super::edit::set;
use super::*;
use crate::model::name::AgentName;
use crate::model::settings::{
    CheckSettings, Limit, LimitAction, MergeStrategy, Ports, PromptVia, ReportFormat, Requirement, VerifyOn, Weights,
};
use crate::model::time::Span;

const DOCUMENTED: &str = include_str!("testdata/documented.toml");

fn repository(text: &str) -> Source<'_> {
    Source { label: "agents.toml", bytes: text.as_bytes(), kind: Kind::Repository }
}

fn user(text: &str) -> Source<'_> {
    Source { label: "config.toml", bytes: text.as_bytes(), kind: Kind::User }
}

fn settings(text: &str) -> Settings {
    effective(text).settings
}

fn effective(text: &str) -> Effective {
    merge([parse(&repository(text)).expect("it parses")]).expect("it holds together")
}

/// The messages about a text, with hints, in order.
fn complaints(text: &str) -> Vec<String> {
    let errors = match parse(&repository(text)) {
        Ok(layer) => merge([layer]).expect_err("something is wrong"),
        Err(errors) => errors,
    };
    errors.iter().map(|e| e.hint().map_or(e.to_string(), |hint| format!("{e} | {hint}"))).collect()
}

fn one(body: &str) -> String {
    let complaints = complaints(&format!("schema = 1\n{body}"));
    assert_eq!(complaints.len(), 1, "{complaints:?}");
    complaints.into_iter().next().expect("one")
}

fn agent(name: &str) -> AgentName {
    AgentName::new(name).expect(name)
}

#[test]
fn the_documented_example_reads_as_it_says() {
    let s = settings(DOCUMENTED);
    assert_eq!(s.base.as_deref(), Some("main"));
    assert_eq!(s.agent, Some(agent("claude")));
    assert_eq!(s.worktrees.copy[0].as_str(), ".env");
    assert_eq!(s.worktrees.ports, Some(Ports { first: 4200, last: 4299, per_task: 2 }));
    assert_eq!(s.worktrees.setup_timeout, Span::mins(10));
    assert_eq!((s.wip.build, s.wip.review, s.wip.machine), (Limit::of(3), Limit::of(4), Limit::Unlimited));
    assert_eq!((s.limits.tokens, s.limits.cost_usd), (Some(4_000_000), Some(20.0)));
    assert_eq!(s.limits.off_limits, LimitAction::Takeover);
    assert_eq!(s.verify.on, [VerifyOn::Done, VerifyOn::CheckIn]);
    let junit = crate::model::name::RepoPath::new("target/nextest/ci/junit.xml").expect("path");
    assert_eq!(s.verify.checks[0].report, ReportFormat::Junit(junit));
    assert_eq!(s.merge.strategy, MergeStrategy::Squash);
    assert_eq!(s.agents[&agent("claude")].env["IS_SANDBOX"], "1");
    assert_eq!(s.agents[&agent("claude")].max, Limit::of(2));
    assert_eq!(s.agents[&agent("aider")].prompt, Some(PromptVia::None));
    assert_eq!(s.routes[0].agent, agent("codex"));
}

#[test]
fn an_empty_document_is_the_default_and_invents_no_agent() {
    assert_eq!(settings("schema = 1\n"), Settings::default());
    assert_eq!(merge([]).expect("no file at all").settings, Settings::default());
}

#[test]
fn a_byte_order_mark_and_carriage_returns_are_fine() {
    let text = format!("\u{feff}{}", DOCUMENTED.replace('\n', "\r\n"));
    assert_eq!(settings(&text), settings(DOCUMENTED));
    let text = "\u{feff}schema = 1\r\n[wip]\r\nbuild = 0\r\n";
    assert!(complaints(text)[0].starts_with("agents.toml:3:9: wip.build is 0"), "{:?}", complaints(text));
    assert!(complaints("\u{feff}schema = 2")[0].starts_with("agents.toml:1:10:"));
}

#[test]
fn syntax_errors_name_line_and_column_and_all_are_told() {
    let told = complaints("schema = 1\n[wip]\nbuild 3\n\n[check_in\nevery = \"5m\"\n");
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].starts_with("agents.toml:3:") && told[0].contains("expected '='"), "{told:?}");
    assert!(told[1].starts_with("agents.toml:5:10: "), "{told:?}");
    assert_eq!(one("[check_in]\nevery = 5m"), "agents.toml:3:9: a text must stand in quotes");
    assert_eq!(one("[wip]\nbuild = 1\nbuild = 2"), "agents.toml:4:1: build is written twice in this section");
}

#[test]
fn bytes_that_are_no_text_are_named() {
    let source = Source { label: "agents.toml", bytes: b"schema = 1\nbase = \"\xff\"\n", kind: Kind::Repository };
    let errors = parse(&source).expect_err("not UTF-8");
    assert_eq!(errors[0].to_string(), "agents.toml:2:9: byte 19 is not UTF-8");
    let long = vec![b'#'; MAX_BYTES + 1];
    let errors = parse(&Source { bytes: &long, ..source }).expect_err("too long");
    assert!(matches!(errors[0].problem, Problem::TooLarge { .. }));
}

#[test]
fn unknown_keys_are_errors_with_the_nearest_one() {
    for (body, message) in [
        ("[wip]\nbiuld = 3", "agents.toml:3:1: unknown key wip.biuld (did you mean wip.build?)"),
        ("[wpi]\nbuild = 3", "agents.toml:2:2: unknown key wpi (did you mean wip?)"),
        ("build = 3", "agents.toml:2:1: unknown key build (did you mean wip.build?)"),
        ("agnet = \"x\"", "agents.toml:2:1: unknown key agnet (did you mean agent?)"),
        (
            "[agents.claude]\ncomand = [\"x\"]",
            "agents.toml:3:1: unknown key agents.claude.comand (did you mean agents.claude.command?)",
        ),
        (
            "[[verify.check]]\nname = \"a\"\nrun = \"b\"\ntimout = \"1m\"",
            "agents.toml:5:1: unknown key verify.check.timout (did you mean verify.check.timeout?)",
        ),
        ("zzzzzzzz = 3", "agents.toml:2:1: unknown key zzzzzzzz | standup config schema prints every key"),
    ] {
        assert_eq!(one(body), message);
    }
}

#[test]
fn numbers_and_types_are_told_with_their_range() {
    for (body, message) in [
        ("[wip]\nbuild = 0", "wip.build is 0; it must be a whole number from 1 to 1000"),
        ("[wip]\nbuild = -1", "wip.build is -1; it must be a whole number from 1 to 1000"),
        ("[wip]\nbuild = 1_000_000_000", "wip.build is 1000000000; it must be a whole number from 1 to 1000"),
        ("[wip]\nbuild = 99999999999999999999999", "it must be a whole number from 1 to 1000"),
        ("[wip]\nbuild = \"3\"", "wip.build must be a whole number from 1 to 1000, not a text"),
        ("[wip]\nbuild = 3.5", "wip.build must be a whole number from 1 to 1000, not a decimal number"),
        ("[limits]\ncost_usd = -3.5", "limits.cost_usd is -3.5; it must be an amount above 0, up to 1000000"),
        ("[limits]\ncost_usd = nan", "limits.cost_usd is nan"),
        ("wip = 3", "wip must be a section, not a whole number"),
        ("[notify]\nterminal = \"yes\"", "notify.terminal must be true or false, not a text"),
        ("[worktrees]\nsetup = \"npm ci\"", "worktrees.setup must be a list, not a text"),
        ("[worktrees]\nsetup = [\" \"]", "worktrees.setup must not be empty"),
        ("route = 3", "route must be a list, not a whole number"),
        ("[merge]\nstrategy = \"sqash\"", "it must be one of squash, merge, rebase (did you mean squash?)"),
    ] {
        assert!(one(body).contains(message), "{} should say {message}", one(body));
    }
    assert_eq!(settings("schema = 1\n[limits]\ncost_usd = 20").limits.cost_usd, Some(20.0));
    assert_eq!(settings("schema = 1\n[wip]\nbuild = 0x0_a").wip.build, Limit::of(10));
}

#[test]
fn durations_are_told_with_units_and_bounds() {
    for text in ["\"5\"", "\"-1m\"", "\"1.5h\"", "\"\""] {
        let told = one(&format!("[check_in]\nevery = {text}"));
        assert!(told.starts_with("agents.toml:3:9: check_in.every: ") && told.contains("ms, s, m, h, d"), "{told}");
    }
    assert!(one("[check_in]\nevery = \"999999h\"").contains("durations go from 1ms to 365d"));
    assert!(one("[check_in]\nevery = 5").contains("a number and a unit (ms, s, m, h, d)"));
}

#[test]
fn the_schema_line_is_asked_for() {
    assert_eq!(
        complaints("[wip]\nbuild = 3\n"),
        ["agents.toml:1:1: the file does not say which schema it follows | add this line at the top: schema = 1"]
    );
    let newer = complaints("schema = 2\n[new]\nthings = 1\n");
    assert_eq!(newer.len(), 1, "{newer:?}");
    assert!(newer[0].contains("schema is 2; this standup reads schema 1"));
    assert!(complaints("schema = \"1\"")[0].contains("schema must be a whole number"));
}

#[test]
fn every_mistake_is_told_at_once_in_the_order_of_the_file() {
    let text = "[wip]\nbuild = 0\nreveiw = 1\n[verify]\non = [\"sometimes\"]\n[check_in]\nevery = \"5\"\n";
    let told = complaints(text);
    assert_eq!(told.len(), 5, "{told:?}");
    let lines: Vec<&str> = told.iter().map(|t| t.split(':').nth(1).expect("line")).collect();
    assert_eq!(lines, ["1", "2", "3", "5", "7"]);
}

#[test]
fn finished_work_is_checked_whatever_else_is() {
    let told = one("[verify]\non = [\"check-in\"]");
    assert!(told.contains("agents.toml:3:6: \"done\" in verify.on is missing"), "{told}");
    assert!(one("[verify]\non = []").contains("\"done\" in verify.on"));
    let both = settings("schema = 1\n[verify]\non = [\"file-change\", \"done\"]");
    assert_eq!(both.verify.on, [VerifyOn::FileChange, VerifyOn::Done]);
}

#[test]
fn checks_need_a_name_of_their_own_and_a_command() {
    let check = "[[verify.check]]\nname = \"a\"\nrun = \"true\"\n";
    assert!(one(&format!("{check}{check}")).contains("agents.toml:6:8: a check named a is already on line 3"));
    assert!(one("[[verify.check]]\nname = \"a\"").contains("agents.toml:2:1: verify.check.run is missing"));
    assert!(one("[[verify.check]]\nrun = \"a\"").contains("verify.check.name is missing"));
    assert!(one("[[verify.check]]\nname = \"a\"\nrun = \"\"").contains("verify.check.run must not be empty"));
    assert!(one("[[verify.check]]\nname = \"a b\"\nrun = \"x\"").contains("not a valid check name"));
    let told = complaints("schema = 1\n[[verify.check]]\nname = 1\nrun = \"x\"\n[[verify.check]]\nrun = \"y\"\n");
    assert_eq!(told.len(), 2, "{told:?}");
}

#[test]
fn reports_are_known_words_or_a_file_in_the_worktree() {
    let check = |report: &str| format!("[[verify.check]]\nname = \"a\"\nrun = \"x\"\nreport = \"{report}\"");
    let told = one(&check("nextets"));
    assert!(
        told.contains("exit, libtest, nextest, pytest, go, jest, tap, junit:PATH (did you mean nextest?)"),
        "{told}"
    );
    for path in ["junit:../x.xml", "junit:/tmp/x.xml", "junit:"] {
        assert!(one(&check(path)).contains("not a valid repository path"), "{path}");
    }
}

#[test]
fn placeholders_are_checked_where_they_are_filled_in() {
    let told = one("[agents.a]\ncommand = [\"run\", \"--dir={worktre}\"]");
    assert_eq!(
        told,
        "agents.toml:3:19: agents.a.command uses {worktre}; known here are {brief} {prompt} {worktree} {task} {branch} \
         (did you mean {worktree}?)"
    );
    assert!(one("[notify]\ncommand = [\"n\", \"{brief}\"]").contains("known here are {title} {body}"));
    let fine = "schema = 1\n[agents.claude]\nargs = [\"--settings\", '{\"a\": {\"b\": 1}}', \"{task}\"]\n\
                [worktrees]\nsetup = [\"echo ${HOME} {anything}\"]\n";
    assert_eq!(settings(fine).agents[&agent("claude")].args[2], "{task}");
}

#[test]
fn agents_are_what_their_name_says_or_say_more() {
    let s = settings("schema = 1\n[agents.codex]\n");
    assert_eq!((s.agents[&agent("codex")].adapter.as_str(), s.agent), ("codex", Some(agent("codex"))));
    assert!(one("[agents.aider]\nmax = 1").contains("agents.aider.command is missing"));
    assert!(one("[agents.aider]\ncommand = []").contains("the program in agents.aider.command is missing"));
    assert!(one("[agents.aider]\ncommand = [\"\"]").contains("the program in agents.aider.command is missing"));
    assert!(one("[agents.\"a b\"]\ncommand = [\"x\"]").contains("not a valid agent name"));
    assert!(one("[agents.claude]\nenv = { STANDUP_TASK = \"x\" }").contains("is set by standup itself"));
    assert!(one("[agents.claude]\nenv = { \"A=B\" = \"x\" }").contains("is no name of an environment variable"));
    let told = one("[agents.claude]\n[agents.codex]\n");
    assert!(told.contains("several agents are configured (claude, codex)") && told.contains("agent = \"claude\""));
}

#[test]
fn names_of_agents_must_exist() {
    let told = one("agent = \"cluade\"\n[agents.claude]\n[agents.codex]");
    assert!(told.contains("agents.toml:2:9: agent names cluade, which is no configured agent (did you mean claude?)"));
    assert!(one("agent = \"codex\"").contains("add a section: [agents.codex]"));
    let told = one("[agents.claude]\n[[route]]\npaths = [\"a/**\"]\nagent = \"codex\"");
    assert!(told.contains("route.agent names codex") && told.contains("configured are: claude"), "{told}");
    assert!(one("[agents.claude]\n[[route]]\nagent = \"claude\"").contains("route.paths is missing"));
    assert!(one("[agents.claude]\n[[route]]\npaths = [\"a[\"]\nagent = \"claude\"").contains("not a valid pattern"));
}

#[test]
fn ports_are_a_range_that_is_large_enough() {
    for range in ["4200", "4299-4200", "0-10", "1-65536", "a-b", ""] {
        let told = one(&format!("[worktrees]\nports = {{ range = \"{range}\" }}"));
        assert!(told.contains("two ports from 1 to 65535"), "{told}");
    }
    let told = one("[worktrees]\nports = { range = \"4200-4204\", per_task = 2 }");
    assert!(told.contains("4200-4204 has 5 ports; 3 at once need 6"), "{told}");
    assert!(one("[worktrees]\nports = { per_task = 2 }").contains("worktrees.ports.range is missing"));
    assert!(one("[worktrees]\nports = { range = \"1-65535\", per_task = 101 }").contains("from 1 to 100"));
}

#[test]
fn a_base_is_no_option() {
    assert!(one("base = \"--upload-pack=x\"").contains("which is no branch or revision"));
    assert!(one("base = \"\"").contains("base must not be empty"));
    assert_eq!(settings("schema = 1\nbase = \"HEAD~2\"").base.as_deref(), Some("HEAD~2"));
}

#[test]
fn the_repository_wins_over_the_user_key_by_key() {
    let mine = "schema = 1\nagent = \"codex\"\n[wip]\nbuild = 9\nmachine = 5\nreview = 8\n[agents.codex]\nmax = 7\n\
                env = { A = \"1\", B = \"1\" }\n[merge]\nrequire = [\"green\"]\n";
    let theirs = "schema = 1\n[wip]\nbuild = 2\n[agents.codex]\nenv = { B = \"2\" }\n[merge]\nrequire = []\n";
    let layers = [parse(&user(mine)).expect("mine"), parse(&repository(theirs)).expect("theirs")];
    let effective = merge(layers).expect("both");
    let s = &effective.settings;
    assert_eq!((s.wip.build, s.wip.review, s.wip.machine), (Limit::of(2), Limit::of(8), Limit::of(5)));
    let codex = &s.agents[&agent("codex")];
    assert_eq!((codex.max, codex.env["A"].as_str(), codex.env["B"].as_str()), (Limit::of(7), "1", "2"));
    assert_eq!(s.merge.require, Vec::<Requirement>::new());
    assert_eq!(effective.origin("wip.build"), "agents.toml:3");
    assert_eq!(effective.origin("wip.machine"), "config.toml:5");
    assert_eq!(effective.origin("agents.codex.env.A"), "config.toml:9");
    assert_eq!(effective.origin("check_in.every"), "default");
}

#[test]
fn each_mode_has_a_weight_of_its_own_and_none_counts_nothing() {
    let weight = |text: &str| settings(&format!("schema = 1\n{text}")).wip.weight;
    assert_eq!(weight(""), Weights { delegate: 1, checkpoint: 1, own: 2 });
    assert_eq!(weight("[wip]\nweight = { own = 3 }"), Weights { own: 3, ..Weights::default() });
    assert_eq!(weight("[wip.weight]\ncheckpoint = 2\nown = 1"), Weights { delegate: 1, checkpoint: 2, own: 1 });
    assert!(one("[wip.weight]\nown = 0").contains("wip.weight.own is 0; it must be a whole number from 1 to 1000"));
    assert!(one("[wip.weight]\nowm = 2").contains("did you mean wip.weight.own?"));
}

#[test]
fn the_machine_limit_is_the_users_alone() {
    let told = one("[wip]\nmachine = 5");
    assert!(told.contains("agents.toml:3:11: wip.machine is read only from your own settings"), "{told}");
}

#[test]
fn no_text_makes_the_reader_panic_or_hang() {
    use proptest::prelude::*;
    let pieces = prop::collection::vec(
        prop_oneof![
            Just("schema = 1\n"),
            Just("[wip]\n"),
            Just("build = "),
            Just("3\n"),
            Just("\"é\u{202e}\""),
            Just("[[verify.check]]\n"),
            Just("name = \"a\"\n"),
            Just("run = 1\n"),
            Just("[agents.codex]\n"),
            Just("env = { A = \"1\" }\n"),
            Just("[agents."),
            Just("]\n"),
            Just("\r\n"),
            Just("{"),
            Just("\u{feff}"),
            Just("# c\n"),
            Just("["),
            Just("agent = \"{x}\"\n"),
        ],
        0..16,
    );
    proptest!(|(pieces in pieces)| {
        let text = pieces.concat();
        if let Ok(effective) = parse(&repository(&text)).and_then(|layer| merge([layer])) {
            prop_assert_eq!(settings(&effective.show()), effective.settings);
            let changed = set(&repository(&text), "wip.idle", "7m").expect("it was right before");
            prop_assert_eq!(settings(&changed).wip.idle, Span::mins(7));
        }
    });
    let endless =
        format!("schema = 1\nwip = {{ {} }}\n", (0..60_000).map(|n| format!("k{n} = 1, ")).collect::<String>());
    assert_eq!(parse(&repository(&endless)).expect_err("unknown keys").len(), 60_000);
    let deep = format!("schema = 1\nbase = {}", "[".repeat(100_000));
    assert!(parse(&repository(&deep)).is_err());
}

#[test]
fn the_schema_has_exactly_the_keys_of_the_documentation() {
    let schema = schema();
    let example: toml::Table = toml::from_str(DOCUMENTED).expect("TOML");
    every_key_is_described(&schema, &serde_json::to_value(example).expect("JSON"), "");
    let undocumented = [
        "worktrees.root",
        "worktrees.setup_timeout",
        "wip.machine",
        "wip.weight.delegate",
        "wip.weight.checkpoint",
        "wip.weight.own",
    ];
    let mut known = Vec::new();
    Raw::keys("", &mut known);
    let example: toml::Value = toml::from_str(DOCUMENTED).expect("TOML");
    for key in known {
        let mut found = vec![&example];
        for part in key.split('.') {
            found = found.into_iter().flat_map(|value| step(value, part)).collect();
        }
        assert_eq!(found.is_empty(), undocumented.contains(&key.as_str()), "{key}");
    }
    assert_eq!(schema["properties"]["wip"]["properties"]["build"]["default"], 3);
    assert_eq!(schema["properties"]["wip"]["properties"]["build"]["maximum"], 1000);
    assert_eq!(schema["properties"]["wip"]["additionalProperties"], false);
}

/// The values below one part of a path; `*` is any, a list is each of its items.
fn step<'a>(value: &'a toml::Value, part: &str) -> Vec<&'a toml::Value> {
    match value {
        toml::Value::Array(items) => items.iter().flat_map(|item| step(item, part)).collect(),
        toml::Value::Table(table) if part == "*" => table.values().collect(),
        toml::Value::Table(table) => table.get(part).into_iter().collect(),
        _ => Vec::new(),
    }
}

fn every_key_is_described(schema: &serde_json::Value, value: &serde_json::Value, path: &str) {
    match value {
        serde_json::Value::Object(object) => {
            assert_eq!(schema["type"], "object", "{path}");
            for (key, value) in object {
                let (named, other) = (&schema["properties"][key], &schema["additionalProperties"]);
                let below = if named.is_object() { named } else { other };
                assert!(below.is_object(), "{path}.{key} is not in the schema");
                every_key_is_described(below, value, &format!("{path}.{key}"));
            }
        }
        serde_json::Value::Array(items) => {
            assert_eq!(schema["type"], "array", "{path}");
            items.iter().for_each(|item| every_key_is_described(&schema["items"], item, path));
        }
        serde_json::Value::String(_) => assert_eq!(schema["type"], "string", "{path}"),
        serde_json::Value::Bool(_) => assert_eq!(schema["type"], "boolean", "{path}"),
        serde_json::Value::Number(n) if n.is_f64() => assert_eq!(schema["type"], "number", "{path}"),
        serde_json::Value::Number(_) => assert_eq!(schema["type"], "integer", "{path}"),
        serde_json::Value::Null => panic!("TOML has no null"),
    }
}

#[test]
fn this_repositorys_own_file_is_right() {
    let s = settings(include_str!("../../agents.toml"));
    let names: Vec<&str> = s.verify.checks.iter().map(|check| check.name.as_str()).collect();
    assert_eq!(names, ["fmt", "clippy", "test"]);
}
