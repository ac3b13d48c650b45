//! What the user's own command and arguments give that a CLI takes only once: its settings, its notify
//! program.
//!
//! **Invariant:** it counts wherever he wrote it, and the last of each holds; what is taken out is joined
//! with ours. Must not know: what ours are.

use std::path::PathBuf;

use super::{LaunchRequest, notify};
use crate::agent::adapter::{Adapter, HookStyle, NotifyRules};
use crate::model::settings::AgentSettings;

/// What the user wrote of which a CLI takes only one: it is joined with ours.
pub(super) struct Own {
    /// The settings, or their file.
    pub(super) settings: Option<String>,
    /// The notify program.
    pub(super) notify: Option<Vec<String>>,
}

impl Own {
    /// Takes it out of the command and its arguments; the last of each holds.
    pub(super) fn taken(
        adapter: &Adapter,
        request: &LaunchRequest<'_>,
        command: &mut Vec<String>,
        args: &mut Vec<String>,
    ) -> Self {
        let mut own = Self { settings: None, notify: None };
        let mut tail = command.split_off(beginning(command));
        if let Some(rules) = adapter.hooks.as_ref().filter(|rules| rules.style == HookStyle::SettingsJson) {
            for words in [&mut *args, &mut tail] {
                while let Some((range, value)) = flag_value(words, &rules.flag) {
                    words.drain(range);
                    own.settings.get_or_insert(value);
                }
            }
        }
        if let Some(rules) = adapter.notify.as_ref().filter(|_| adapter.hooks.is_none() || !request.hooks) {
            for words in [args, &mut tail] {
                let found = notify::given(&rules.key, &adapter.approvals.config_flags, words);
                own.notify = own.notify.take().or(found);
            }
        }
        command.append(&mut tail);
        own
    }
}

/// The file of settings that the user's command or arguments name, where they do: what stands in it
/// is joined with ours, because a CLI takes one object of settings only.
#[must_use]
pub fn own_settings_file(adapter: &Adapter, settings: &AgentSettings) -> Option<PathBuf> {
    let rules = adapter.hooks.as_ref().filter(|rules| rules.style == HookStyle::SettingsJson)?;
    let in_command = || flag_value(&settings.command[beginning(&settings.command)..], &rules.flag);
    let (_, own) = flag_value(&settings.args, &rules.flag).or_else(in_command)?;
    is_file(&own).then(|| PathBuf::from(own))
}

/// Whether the value of a flag for settings names a file rather than holding them.
pub(super) fn is_file(value: &str) -> bool {
    !value.trim_start().starts_with('{')
}

/// The files of settings that may name the user's own notify program, below the folder of his
/// settings, the one that holds first.
#[must_use]
pub fn own_notify_files(rules: &NotifyRules, settings: &AgentSettings) -> Vec<String> {
    let command = &settings.command[beginning(&settings.command)..];
    notify::own_files(rules, &command.iter().chain(&settings.args).cloned().collect::<Vec<_>>())
}

/// Where in a command the arguments of the CLI begin: behind its name, and behind the `--` of a
/// program that starts it.
fn beginning(command: &[String]) -> usize {
    command.iter().rposition(|word| word == "--").map_or(1, |at| at + 1).min(command.len())
}

/// Where the last `flag VALUE` or `flag=VALUE` stands, and its value.
fn flag_value(args: &[String], flag: &str) -> Option<(std::ops::Range<usize>, String)> {
    (0..args.len()).rev().find_map(|i| {
        if args[i] == flag {
            return args.get(i + 1).map(|value| (i..i + 2, value.clone()));
        }
        let value = args[i].strip_prefix(flag)?.strip_prefix('=')?;
        Some((i..i + 1, value.to_owned()))
    })
}
