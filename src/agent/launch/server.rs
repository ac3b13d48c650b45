//! Our MCP server, given to an agent for one start.
//!
//! **Invariant:** it stands beside the servers that the user has configured, never in their place,
//! and no file is written for it.

use serde_json::json;

use super::{LaunchError, join, object};
use crate::agent::adapter::{HookStyle, McpRules};
use crate::agent::{placeholder, quote};

/// The arguments that give it.
pub(super) fn mcp(rules: &McpRules, standup: &str) -> Result<Vec<String>, LaunchError> {
    let value = match rules.style {
        HookStyle::SettingsJson => {
            let mut server = object(&rules.flag, if rules.server.is_empty() { "{}" } else { &rules.server })?;
            join(
                &mut server,
                [("command".to_owned(), json!(standup)), ("args".to_owned(), json!(["mcp"]))].into_iter().collect(),
            );
            json!({"mcpServers": {"standup": server}}).to_string()
        }
        HookStyle::ConfigToml => {
            let more = if rules.server.is_empty() { String::new() } else { format!(",{}", rules.server) };
            format!("mcp_servers.standup={{command={},args=[\"mcp\"]{more}}}", quote::toml(standup))
        }
    };
    // A list of what is allowed has its own commas and brackets; a path that has them too goes by
    // the name that is on PATH.
    let plain = standup.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._+-".contains(&b));
    let values = [("standup", if plain { standup } else { "standup" }.to_owned())].into();
    let mut args = vec![rules.flag.clone(), value];
    for word in &rules.args {
        args.push(placeholder::fill(word, &values)?);
    }
    Ok(args)
}
