//! Settings shown, asked for and set.

use super::*;

#[test]
fn what_is_shown_reads_as_the_same_settings() {
    let odd = "schema = 1\nagent = \"x\"\n[check_in]\nevery = \"1d2h3m4s5ms\"\n[agents.x]\ncommand = [\"a b\", \"'\\\"\"]\n\
               prompt = \"stdin\"\n[worktrees]\nroot = \"~/trees\"\n[[verify.check]]\nname = \"t\"\nrun = \"a && b # c\"\n";
    for text in ["schema = 1\n", DOCUMENTED, odd] {
        let effective = effective(text);
        let shown = effective.show();
        assert_eq!(settings(&shown), effective.settings, "{shown}");
    }
    let shown = effective("schema = 1\n[wip]\nbuild = 5\n").show();
    assert!(shown.contains("build = 5  # agents.toml:3"), "{shown}");
    assert!(shown.contains("review = 4  # default"), "{shown}");
}

#[test]
fn one_value_can_be_asked_for() {
    let effective = effective(DOCUMENTED);
    assert_eq!(effective.get("wip.build").expect("known").as_deref(), Some("3"));
    assert_eq!(effective.get("check_in.every").expect("known").as_deref(), Some("\"15m\""));
    assert_eq!(effective.get("agents.claude.env.IS_SANDBOX").expect("known").as_deref(), Some("\"1\""));
    assert_eq!(effective.get("wip.machine").expect("known"), None);
    let error = effective.get("wip.biuld").expect_err("unknown");
    assert_eq!(error.to_string(), "unknown key wip.biuld (did you mean wip.build?)");
}

#[test]
fn setting_a_value_keeps_everything_else() {
    let text = "# mine\nschema = 1 # one\n\n[wip]\nbuild = 3 # three\n# end\n";
    let changed = set(&repository(text), "wip.build", "5").expect("set");
    assert_eq!(changed, "# mine\nschema = 1 # one\n\n[wip]\nbuild = 5 # three\n# end\n");
    let changed = set(&repository(text), "check_in.every", "20m").expect("set");
    assert_eq!(changed, format!("{text}\n[check_in]\nevery = \"20m\"\n"));
    let changed = set(&repository(text), "base", "2024").expect("a number is a name here");
    assert_eq!(settings(&changed).base.as_deref(), Some("2024"));
    let changed = set(&repository(text), "worktrees.setup", "[\"a\"]").expect("set");
    assert_eq!(settings(&changed).worktrees.setup, ["a"]);
    let changed = set(&repository(text), "agents.codex.max", "2").expect("set");
    assert_eq!(settings(&changed).agents[&agent("codex")].max, Limit::of(2));
    let agents =
        "schema = 1\nagent = \"a\"\n[agents.a]\ncommand = [\"x\"]\n[[route]]\npaths = [\"b\"]\nagent = \"a\"\n# end\n";
    let changed = set(&repository(agents), "agents.codex.max", "2").expect("set");
    assert_eq!(changed, format!("{agents}\n[agents.codex]\nmax = 2\n"));
    let changed = set(&repository(""), "wip.build", "2").expect("a new file");
    assert_eq!(settings(&changed).wip.build, Limit::of(2));
}

#[test]
fn setting_keeps_line_ends_and_the_byte_order_mark() {
    let text = "\u{feff}schema = 1\r\n[wip]\r\nbuild = 3\r\n";
    let changed = set(&repository(text), "wip.review", "2").expect("set");
    assert_eq!(changed, "\u{feff}schema = 1\r\n[wip]\r\nbuild = 3\r\nreview = 2\r\n");
}

#[test]
fn a_wrong_value_or_key_is_not_set() {
    let text = "schema = 1\n";
    for (path, value, message) in [
        ("wip.build", "0", "from 1 to 1000"),
        ("wip.build", "many", "from 1 to 1000"),
        ("wip.biuld", "3", "did you mean wip.build?"),
        ("check_in.every", "5", "a number and a unit"),
        ("wip", "3", "wip must be a section"),
        ("schema", "2", "this standup reads schema 1"),
        ("wip.machine", "2", "only from your own settings"),
    ] {
        let errors = set(&repository(text), path, value).expect_err(path);
        assert!(errors[0].to_string().contains(message), "{path}: {}", errors[0]);
    }
    assert!(set(&user(text), "wip.machine", "2").is_ok());
    assert!(set(&repository(DOCUMENTED), "verify.check.name", "x").is_err());
    assert!(set(&repository("schema = 1\nbuild = 3"), "wip.build", "3").is_err(), "the file was wrong before");
}

#[test]
fn values_are_set_in_every_way_of_writing_sections() {
    for (text, path, value) in [
        ("schema = 1\nwip.build = 3\n", "wip.review", "2"),
        ("schema = 1\nwip = { build = 3 }\n", "wip.review", "2"),
        ("schema = 1\nagents = { codex = {} }\nagent = \"codex\"\n", "agents.claude.max", "2"),
        ("schema = 1\nagents.codex = {}\nagent = \"codex\"\n", "agents.claude.max", "2"),
        ("schema = 1\n[agents.codex]\n[wip]\nbuild = 2\n", "base", "main"),
        ("schema = 1\n[agents.codex]\n", "agents.codex.env.\"A\"", "1"),
        ("schema = 1\n[worktrees]\nports = { range = \"1-9\" }\n", "worktrees.ports.per_task", "2"),
        ("schema = 1\n[agents.codex]\nmax = 1", "agents.codex.env.HOME", "/x"),
    ] {
        let path = path.replace('"', "");
        let changed = set(&repository(text), &path, value).unwrap_or_else(|errors| panic!("{text}: {errors:?}"));
        let got = effective(&changed).get(&path).expect("known").expect("set");
        assert_eq!(got.trim_matches('"'), value, "{changed}");
        for (n, line) in text.lines().enumerate() {
            assert!(changed.contains(line.trim_end_matches(" }")), "line {n} of {text} is in {changed}");
        }
    }
}
