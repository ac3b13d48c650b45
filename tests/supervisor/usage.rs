//! What agents use: counted by an adapter of the user's own, put beside check-ins, limited.

use standup::model::attempt::{End, StopWhy};
use standup::model::rhythm::LimitName;

use crate::scene::{Scene, id};

const ADAPTER: &str = r#"
schema = 1
name = "metered"
[launch]
session = ["--session-id", "{session}"]
[transcripts]
root_env = "METERED_HOME"
home = ".metered"
path = "logs"
[usage]
file = "logs/{session}.jsonl"
[[usage.count]]
marker = "usage"
id = "/id"
tokens = ["/usage/tokens"]
cost_usd = "/usage/usd"
"#;

/// Works in a process of its own that ends, writes its log, reports, and goes on when it may.
const SCRIPT: &str = r#"
mkdir -p "$HOME/.metered/logs"; log="$HOME/.metered/logs/$2.jsonl"
(i=0; while [ $i -lt 400000 ]; do i=$((i+1)); done)
echo not json with usage in it >> "$log"
for n in 1 2; do printf "%s\n" "{\"id\":\"a\",\"usage\":{\"tokens\":40,\"usd\":0.5}}" >> "$log"; done
printf "%s" "{\"schemaVersion\":1,\"kind\":\"check-in\",\"state\":\"working\",\"did\":\"half\"}" > $STANDUP_DIR/outbox/.t
mv $STANDUP_DIR/outbox/.t $STANDUP_DIR/outbox/one.json
while [ ! -e $STANDUP_DIR/go ]; do echo .; sleep 0.1; done
printf "%s\n" "{\"id\":\"b\",\"usage\":{\"tokens\":2,\"usd\":1.75}}" >> "$log"
while :; do echo .; sleep 0.1; done
"#;

fn scene() -> Scene {
    let settings = format!(
        "schema = 1\nagent = \"own\"\n[limits]\ntokens = 1000\ncost_usd = 2.0\naction = \"stop\"\n\
         [agents.own]\nadapter = \"metered\"\ncommand = [\"sh\", \"-c\", '''{SCRIPT}''', \"sh\"]\nprompt = \"none\"\n\
         [agents.silent]\nadapter = \"generic\"\ncommand = [\"sh\"]\nprompt = \"none\"\n"
    );
    // An adapter is there before settings name it.
    let scene = Scene::new("schema = 1\n");
    let adapters = scene.home().join("config/adapters");
    std::fs::create_dir_all(&adapters).expect("mkdir");
    std::fs::write(adapters.join("metered.toml"), ADAPTER).expect("write");
    std::fs::write(scene.repo().join("agents.toml"), settings).expect("write");
    scene.approve();
    scene
}

fn said(scene: &Scene, args: &[&str]) -> String {
    let standup = env!("CARGO_BIN_EXE_standup");
    let out = scene.command(standup).arg("-C").arg(scene.repo()).args(args).output().expect("run");
    String::from_utf8_lossy(&out.stdout).into_owned()
}

#[test]
fn what_an_agent_uses_stands_beside_its_check_in_and_its_cost_stops_it() {
    let mut scene = scene();
    scene.start();
    scene.start_tasks(1);
    let board =
        scene.until("compared", |b| b.tasks[&id(1)].check_ins.first().is_some_and(|c| c.beside.facts.is_some()));
    let used = board.tasks[&id(1)].check_ins[0].beside.facts.as_ref().expect("facts").used;
    assert!(used.cpu.is_some_and(|cpu| cpu.0 >= 20), "what has ended counts as well: {used:?}");
    let counted = used.counted.expect("its log was read");
    assert_eq!((counted.tokens, counted.cost_usd()), (40, Some(0.5)), "a response on two lines counts once");
    let shown: serde_json::Value = serde_json::from_str(&said(&scene, &["show", "T1", "--json"])).expect("json");
    assert_eq!(shown["checkins"][0]["facts"]["tokens"], serde_json::json!({"now": 40, "before": 0}));
    assert!(shown["checkins"][0]["facts"]["cpu_s"]["now"].as_f64().is_some_and(|s| s > 0.0), "{shown}");
    assert_eq!((shown["usage"]["tokens"].as_u64(), shown["usage"]["cost_usd"].as_f64()), (Some(40), Some(0.5)));
    assert_eq!(shown["unmeasured"], serde_json::json!([]));
    let text = said(&scene, &["show", "T1"]);
    assert!(text.contains("used      40 tokens, 0.50 USD, ") && text.contains("seen: "), "{text}");

    scene.signal_file(1, "go");
    let board = scene.until("stopped", |b| b.tasks[&id(1)].attempt().is_some_and(|a| a.end().is_some()));
    let attempt = board.tasks[&id(1)].attempt().expect("attempt");
    assert!(matches!(attempt.end(), Some(End::Stopped { why: StopWhy::Limit, .. })), "{:?}", attempt.end());
    assert_eq!(attempt.tripped.iter().map(|t| t.limit).collect::<Vec<_>>(), [LimitName::CostUsd]);
    let question = board.tasks[&id(1)].needs_you.as_ref().map(|n| n.question.clone());
    assert_eq!(question.as_deref(), Some("it has cost 2.25 USD; the limit is 2.00; it was stopped"));
}

#[test]
fn a_limit_that_nobody_measures_is_called_so() {
    let mut scene = scene();
    scene.start();
    let spec = standup::model::task::TaskSpec {
        agent: Some(standup::model::name::AgentName::new("silent").expect("a name")),
        ..crate::scene::spec("nobody counts")
    };
    scene.add_specs(vec![spec]);
    let why =
        |limit: &str, what: &str| format!("limits.{limit} is not measured: silent does not say in its logs {what}");
    let (tokens, cost) = (why("tokens", "how many tokens it uses"), why("cost_usd", "what it costs"));
    for args in [&["state", "T1"][..], &["doctor"]] {
        let text = said(&scene, args).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains(&tokens) && text.contains(&cost), "{args:?}: {text}");
        assert!(!text.contains("own does not say"), "{text}");
    }
    let state: serde_json::Value = serde_json::from_str(&said(&scene, &["state", "T1", "--json"])).expect("json");
    assert_eq!(state["unmeasured"][0], serde_json::json!({"limit": "tokens", "told": "never"}));
}

/// Burns some tenths of a second in a process of its own.
const BURNS: &str = "burn() { (i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done); }; \
                     until_go() { while [ ! -e $STANDUP_DIR/$1 ]; do sleep 0.02; done; }; \
                     turn() { printf '\\033]7501;state=working:app=x\\007'; burn; \
                              printf '\\033]7501;state=done:app=x\\007'; }";

fn cpu_ms(board: &standup::model::board::Board) -> u64 {
    board.tasks[&id(1)].attempt().and_then(|a| a.usage.totals().cpu).map_or(0, |cpu| cpu.0)
}

#[test]
fn what_a_short_turn_has_used_is_known_soon_after_its_end() {
    let mut scene = Scene::new(&crate::scene::scripted(&format!("{BURNS}; turn; until_go two; turn; until_go stop")));
    scene.start();
    scene.start_tasks(1);
    let first = cpu_ms(&scene.until("the first turn", |b| cpu_ms(b) > 0));
    scene.signal_file(1, "two");
    let began = std::time::Instant::now();
    // The second turn took as long as the first, more or less.
    scene.until("the second turn", |b| cpu_ms(b) >= first + first / 4);
    // A look that waits for its time comes half a minute after the one before it.
    assert!(began.elapsed() < std::time::Duration::from_secs(20), "{:?}", began.elapsed());
}

#[test]
fn what_an_agent_has_used_is_known_at_its_end() {
    let ended = |b: &standup::model::board::Board| b.tasks[&id(1)].attempt().is_some_and(|a| a.end().is_some());
    for watched in [true, false] {
        let mut scene = Scene::new(&crate::scene::scripted(&format!("{BURNS}; until_go go; burn; exit 3")));
        scene.start();
        scene.live(1);
        let go = standup::store::layout::run_dir(&scene.attempt(1).worktree).join("go");
        if !watched {
            scene.kill();
        }
        std::fs::write(go, "").expect("write");
        if !watched {
            crate::scene::poll("its end", || scene.record("T1-1-1").exit.is_some());
            scene.start();
        }
        let board = scene.until("its end", ended);
        assert!(cpu_ms(&board) >= 20, "watched: {watched}, {} ms", cpu_ms(&board));
    }
}
