//! The verbs and the flags that all of them take.
//!
//! **Invariant:** a verb's own arguments lie in its own file; here it has one line. Must not know:
//! what a verb does.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand};

use super::cmd;
use super::context::Context;
use super::error::{Code, Failure};
use super::ui::{Color, Ui};
use crate::client::scope;
use crate::wire::control::only_reports;

/// The stand-up for your coding agents: run several of them on one repository, each in its own
/// worktree, and see what is true.
#[derive(Debug, Parser)]
#[command(
    name = "standup",
    version,
    disable_help_subcommand = true,
    infer_long_args = true,
    max_term_width = 100,
    subcommand_help_heading = "Verbs",
    subcommand_value_name = "VERB"
)]
pub(super) struct Cli {
    /// For every verb.
    #[command(flatten)]
    pub(super) global: Global,
    /// Which verb; `status` where none is named.
    #[command(subcommand)]
    pub(super) verb: Option<Verb>,
}

/// Flags for every verb, before or after it.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct Global {
    /// Act as if started in this folder
    #[arg(short = 'C', value_name = "DIR", global = true, help_heading = "Everywhere")]
    pub(super) dir: Option<PathBuf>,
    /// Say nothing but the answer
    #[arg(short, long, global = true, help_heading = "Everywhere")]
    pub(super) quiet: bool,
    /// Say more on the way
    #[arg(short, long, global = true, action = clap::ArgAction::Count, help_heading = "Everywhere")]
    pub(super) verbose: u8,
    /// Answer in JSON
    #[arg(long, global = true, help_heading = "Everywhere")]
    pub(super) json: bool,
    /// Answer every question with yes
    #[arg(short, long, global = true, help_heading = "Everywhere")]
    pub(super) yes: bool,
    /// Ask nothing
    #[arg(long, global = true, help_heading = "Everywhere")]
    pub(super) no_input: bool,
    /// When to colour: auto, always or never
    #[arg(
        long,
        value_name = "WHEN",
        value_enum,
        default_value = "auto",
        hide_possible_values = true,
        hide_default_value = true,
        global = true,
        help_heading = "Everywhere"
    )]
    pub(super) color: Color,
}

impl From<&Global> for Ui {
    fn from(flags: &Global) -> Self {
        let mut ui = Self::new(flags.json, flags.quiet, flags.yes, flags.no_input, flags.color);
        ui.verbose = flags.verbose > 0;
        ui
    }
}

/// How to speak where the arguments could not be read: as far as they tell.
pub(super) fn ui_of(args: &[OsString]) -> Ui {
    let ours = args.iter().take_while(|arg| *arg != "--");
    let json = ours.clone().any(|arg| arg == "--json");
    let never = ours.zip(args.iter().skip(1)).any(|(a, b)| a == "--color" && b == "never");
    Ui::new(json, false, false, true, if never { Color::Never } else { Color::Auto })
}

macro_rules! verbs {
    ($($(#[$attr:meta])* $name:ident $file:ident),* $(,)?) => {
        #[derive(Debug, Subcommand)]
        pub(super) enum Verb {
            $($(#[$attr])* $name(cmd::$file::Args),)*
        }

        impl Verb {
            /// Carries it out.
            pub(super) fn run(self, ctx: &Context) -> Result<Code, Failure> {
                self.require_scope(ctx)?;
                match self {
                    $(Self::$name(args) => cmd::$file::run(args, ctx),)*
                }
            }
        }
    };
}

verbs! {
    Demo demo,
    Init init,
    Doctor doctor,
    Add add,
    Import import,
    Edit edit,
    Lint lint,
    Run run,
    Up up,
    Start start,
    Down down,
    Status status,
    Show show,
    Attach attach,
    Logs logs,
    Diff diff,
    Events events,
    State state,
    Wait wait,
    Next next,
    Send send,
    Pause pause,
    Resume resume,
    Takeover takeover,
    Handback handback,
    Nudge nudge,
    Answer answer,
    Move r#move,
    Stop stop,
    Retry retry,
    Cancel cancel,
    Verify verify,
    Report report,
    Stats stats,
    Approve approve,
    Reject reject,
    Agents agents,
    Config config,
    Trust trust,
    Supervisor supervisor,
    Reset reset,
    Completions completions,
    Man man,
    Help help,
    #[command(hide = true)]
    CheckIn check_in,
    #[command(hide = true)]
    Ask ask,
    #[command(hide = true)]
    Done done,
    #[command(hide = true)]
    Mcp mcp,
    #[command(hide = true)]
    Brief brief,
    #[command(hide = true)]
    Hook hook,
    #[command(hide = true)]
    Host host,
}

impl Verb {
    /// Refuses a person's verbs to an agent. The supervisor refuses what it is asked as well; but
    /// every verb may do or show something before that, or where no supervisor runs.
    fn require_scope(&self, ctx: &Context) -> Result<(), Failure> {
        if self.is_for_agents() {
            return Ok(());
        }
        let marked = scope::token(|name| std::env::var_os(name)).is_some();
        if marked || ctx.place().is_ok_and(|place| scope::is_agent(&place.layout)) {
            return Err(only_reports().into());
        }
        Ok(())
    }

    /// Whether an agent may use it: it speaks for the attempt alone, or changes nothing.
    fn is_for_agents(&self) -> bool {
        matches!(self, Self::CheckIn(_) | Self::Ask(_) | Self::Done(_) | Self::Mcp(_) | Self::Brief(_) | Self::Hook(_))
            || matches!(self, Self::Lint(_) | Self::Host(_) | Self::Reset(_))
            || matches!(self, Self::Completions(_) | Self::Man(_) | Self::Help(_))
    }
}

impl Default for Verb {
    fn default() -> Self {
        Self::Status(cmd::status::Args::default())
    }
}

/// The verbs as the short help groups them.
const GROUPS: [(&str, &[&str]); 6] = [
    ("Start", &["demo", "init", "doctor", "add", "import", "edit", "lint", "run", "up", "start", "down"]),
    ("Watch", &["status", "board", "show", "attach", "logs", "diff", "events", "state", "wait", "next"]),
    (
        "Steer",
        &[
            "send", "answer", "nudge", "pause", "resume", "takeover", "handback", "move", "stop", "retry", "cancel",
            "undo",
        ],
    ),
    ("Decide", &["verify", "review", "packet", "approve", "reject", "merge"]),
    ("Learn", &["report", "stats", "retro"]),
    ("House", &["clean", "agents", "config", "trust", "supervisor", "reset", "completions", "man", "help"]),
];

/// The command line as clap knows it, its short help grouped.
pub(super) fn command() -> clap::Command {
    let command = Cli::command();
    let mut listed = String::new();
    for (group, names) in GROUPS {
        let verbs = names.iter().filter_map(|name| command.find_subcommand(name));
        let lines: Vec<String> = verbs
            .map(|verb| {
                format!("  {:<12} {}", verb.get_name(), verb.get_about().map(ToString::to_string).unwrap_or_default())
            })
            .collect();
        if !lines.is_empty() {
            listed.push_str(&format!("{group}:\n{}\n\n", lines.join("\n")));
        }
    }
    let template = format!("{{about}}\n\nUsage: standup [VERB] [ARGUMENTS]\n\n{listed}{{options}}{{after-help}}");
    command.help_template(template).after_help("standup VERB --help says more of one. Without a verb: status.\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn every_visible_verb_is_in_one_group() {
        let grouped: Vec<&str> = GROUPS.iter().flat_map(|(_, names)| names.iter().copied()).collect();
        for verb in command().get_subcommands() {
            let times = grouped.iter().filter(|name| **name == verb.get_name()).count();
            assert_eq!(times, usize::from(!verb.is_hide_set()), "{}", verb.get_name());
        }
    }

    /// Beside the verbs' names, in the columns of the usual terminal.
    #[test]
    fn the_short_help_fits_eighty_columns() {
        for verb in command().get_subcommands().filter(|verb| !verb.is_hide_set()) {
            let about = verb.get_about().map(ToString::to_string).unwrap_or_default();
            let columns = 2 + verb.get_name().len().max(12) + 1 + crate::model::text::width(&about);
            assert!(columns <= 80, "{}: {columns}", verb.get_name());
        }
    }

    /// One of the same name in a verb would be taken for the global one, and never be set.
    #[test]
    fn no_verb_has_an_argument_of_a_global_flags_name() {
        fn own(command: &clap::Command, globals: &[&str], clashes: &mut Vec<String>) {
            for verb in command.get_subcommands() {
                let ids = verb.get_arguments().map(|arg| arg.get_id().as_str());
                clashes.extend(ids.filter(|id| globals.contains(id)).map(|id| format!("{} {id}", verb.get_name())));
                own(verb, globals, clashes);
            }
        }
        let top = command();
        let globals: Vec<&str> =
            top.get_arguments().filter(|arg| arg.is_global_set()).map(|arg| arg.get_id().as_str()).collect();
        assert!(globals.contains(&"json"));
        let mut clashes = Vec::new();
        own(&top, &globals, &mut clashes);
        assert_eq!(clashes, Vec::<String>::new());
    }

    #[test]
    fn global_flags_stand_before_or_after_the_verb() {
        for line in ["standup --json -q -C /x status", "standup status --json -q -C /x", "standup --json status -qC /x"]
        {
            let cli = Cli::try_parse_from(line.split(' ')).expect(line);
            assert!(cli.global.json && cli.global.quiet, "{line}");
            assert_eq!(cli.global.dir.as_deref(), Some(std::path::Path::new("/x")), "{line}");
        }
    }

    #[test]
    fn broken_arguments_still_say_how_to_speak() {
        let args = |line: &str| line.split(' ').map(OsString::from).collect::<Vec<_>>();
        assert!(ui_of(&args("standup --bogus --json")).json);
        assert!(!ui_of(&args("standup send T1 -- --json")).json, "that is text");
    }
}
