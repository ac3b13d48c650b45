//! `standup help`: a verb, or a topic that is no verb's alone.

use crate::board::doc::Document;
use crate::board::text::{Paint, Tone};
use crate::cli::args;
use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::model::text::nearest;

/// Explain a verb or a topic
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// A verb, or a topic: agents.toml, briefs, exit-codes, hosts, json, states, troubleshooting, worktrees
    #[arg(value_name = "VERB|TOPIC")]
    what: Vec<String>,
}

/// The pages of the documentation, which are the topics.
const PAGES: &[(&str, &str, &str)] = &[
    ("agents.toml", "every setting", include_str!("../../../docs/agents-toml.md")),
    ("briefs", "what a task says, and lists of tasks", include_str!("../../../docs/briefs.md")),
    ("states", "how it is known what an agent does", include_str!("../../../docs/states.md")),
    ("hosts", "hosts, attaching, messages", include_str!("../../../docs/hosts.md")),
    ("worktrees", "worktrees, branches, what is never touched", include_str!("../../../docs/worktrees.md")),
    ("json", "documents for scripts", include_str!("../../../docs/json.md")),
    ("troubleshooting", "what to do when", include_str!("../../../docs/troubleshooting.md")),
];

/// The one topic that is no page: it is printed from the table that the program itself uses.
const EXIT_CODES: &str = "exit-codes";

/// Other words for a topic.
const ALIASES: &[(&str, &str)] = &[
    ("config", "agents.toml"),
    ("settings", "agents.toml"),
    ("brief", "briefs"),
    ("worktree", "worktrees"),
    ("state", "states"),
];

pub(in crate::cli) fn run(args: Args, ctx: &Context) -> Result<Code, Failure> {
    let Some(first) = args.what.first() else {
        let text = args::command().render_help();
        ctx.ui.answer(&if ctx.ui.colors() { text.ansi().to_string() } else { text.to_string() })?;
        ctx.ui.answer(&format!("\nTopics:\n{}", topics()))?;
        return Ok(Code::Ok);
    };
    if first == EXIT_CODES {
        return exit_codes(ctx);
    }
    // A verb of the same name says more of itself.
    if let Some(text) = of_verb(&args.what) {
        ctx.ui.answer(&if ctx.ui.colors() { text.ansi().to_string() } else { text.to_string() })?;
        if let Some((topic, ..)) = page(first) {
            ctx.ui.hint(&format!("standup help {topic}"));
        }
        return Ok(Code::Ok);
    }
    if let Some((_, _, text)) = page(first) {
        ctx.ui.answer(text)?;
        return Ok(Code::Ok);
    }
    let command = args::command();
    let verbs = command.get_subcommands().filter(|verb| !verb.is_hide_set()).map(clap::Command::get_name);
    let known = verbs.chain(PAGES.iter().map(|(name, ..)| *name)).chain([EXIT_CODES]);
    let meant = nearest(first, known).map(|near| format!(" (did you mean {near}?)")).unwrap_or_default();
    Err(Failure::new(Code::Usage, format!("there is no verb and no topic {first:?}{meant}")).hint("standup help"))
}

fn page(name: &str) -> Option<&'static (&'static str, &'static str, &'static str)> {
    let name = ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, topic)| topic);
    PAGES.iter().find(|(topic, ..)| *topic == name)
}

fn topics() -> String {
    let mut lines: Vec<String> =
        PAGES.iter().map(|(name, about, _)| format!("  standup help {name:<16} {about}")).collect();
    lines.push(format!("  standup help {EXIT_CODES:<16} what the exit code of a verb means"));
    lines.join("\n")
}

/// The long help of a verb, or of a verb of a verb.
fn of_verb(names: &[String]) -> Option<clap::builder::StyledStr> {
    let mut command = args::command();
    command.build();
    let mut found = &mut command;
    for name in names {
        found = found.find_subcommand_mut(name)?;
    }
    Some(found.render_long_help())
}

fn exit_codes(ctx: &Context) -> Result<Code, Failure> {
    if ctx.ui.json {
        let codes: Vec<_> = Code::ALL
            .iter()
            .map(|(code, text)| serde_json::json!({"code": code.number(), "name": code.name(), "text": text}))
            .collect();
        ctx.ui.json(&Document::new("exit-codes", serde_json::json!({ "codes": codes })))?;
        return Ok(Code::Ok);
    }
    let line = |(code, text): &(Code, &str)| {
        format!("{}  {:<14} {text}", ctx.ui.paint(Tone::Bold, &format!("{:>3}", code.number())), code.name())
    };
    ctx.ui.answer(&Code::ALL.iter().map(line).collect::<Vec<_>>().join("\n"))?;
    Ok(Code::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_alias_leads_to_a_page() {
        for (alias, _) in ALIASES {
            assert!(page(alias).is_some(), "{alias}");
        }
    }

    #[test]
    fn every_visible_verb_explains_itself() {
        for verb in args::command().get_subcommands().filter(|verb| !verb.is_hide_set()) {
            let text = of_verb(&[verb.get_name().to_owned()]).expect("a verb").to_string();
            assert!(text.contains("Usage: standup"), "{}: {text}", verb.get_name());
        }
        assert!(of_verb(&["config".to_owned(), "set".to_owned()]).is_some());
    }
}
