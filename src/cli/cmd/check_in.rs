//! `standup check-in`: an agent reports. The socket is tried first; the outbox always works.

use std::path::{Path, PathBuf};

use crate::board::doc::{Document, SCHEMA_VERSION};
use crate::cli::context::Context;
use crate::cli::error::{Code, Failure, chain};
use crate::client::control::{self, ClientError};
use crate::model::checkin::{CheckIn, CheckInKind, Claim};
use crate::model::input::RefusalCode;
use crate::os::{clock, file};
use crate::wire::control::Request;

/// Report where you stand: what you did, what is next, what is in the way
///
/// For agents. A claim moves no card; `--state ready` starts the checks.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Where you stand
    #[arg(long, value_enum, default_value = "working")]
    state: State,
    /// What you did
    #[arg(long, value_name = "TEXT", default_value = "")]
    did: String,
    /// What you do next
    #[arg(long, value_name = "TEXT", default_value = "")]
    next: String,
    /// What is in the way (repeatable)
    #[arg(long, value_name = "TEXT")]
    blockers: Vec<String>,
    /// What a person must decide
    #[arg(long, value_name = "TEXT")]
    question: Option<String>,
    /// Acceptance criteria that are met, by number
    #[arg(long, value_name = "N", value_delimiter = ',')]
    met: Vec<u32>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum State {
    /// Going on
    Working,
    /// Something is in the way
    Blocked,
    /// A person must decide
    NeedsDecision,
    /// Done; starts the checks
    Ready,
    /// It cannot be done
    GivingUp,
}

impl From<State> for Claim {
    fn from(state: State) -> Self {
        match state {
            State::Working => Self::Working,
            State::Blocked => Self::Blocked,
            State::NeedsDecision => Self::NeedsDecision,
            State::Ready => Self::Ready,
            State::GivingUp => Self::GivingUp,
        }
    }
}

pub(in crate::cli) fn run(args: Args, ctx: &Context) -> Result<Code, Failure> {
    let check_in = CheckIn {
        schema_version: SCHEMA_VERSION,
        kind: CheckInKind::CheckIn,
        state: args.state.into(),
        did: args.did,
        next: args.next,
        blockers: args.blockers.into_iter().filter(|text| !text.trim().is_empty()).collect(),
        question: args.question.filter(|text| !text.trim().is_empty()),
        met: args.met,
    };
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let why = match (set("STANDUP_SOCKET"), set("STANDUP_TOKEN")) {
        (Some(socket), Some(token)) => {
            let request = Request::CheckIn { check_in: check_in.clone() };
            match control::report(Path::new(&socket), &token.to_string_lossy(), &request) {
                Ok(_) => return said(ctx, "socket", None),
                Err(ClientError::Refused(refusal)) if refusal.code == RefusalCode::Usage => return Err(refusal.into()),
                Err(error) => chain(&error),
            }
        }
        _ => "STANDUP_SOCKET is not set".to_owned(),
    };
    ctx.ui.detail(&format!("the supervisor was not reached ({why})"));
    let Some(dir) = set("STANDUP_DIR") else {
        let text = "this is no attempt of standup: STANDUP_DIR is not set, so there is nobody to check in with";
        return Err(Failure::new(Code::Failure, text));
    };
    let path = leave(Path::new(&dir), &check_in)?;
    said(ctx, "outbox", Some(&path))
}

/// Puts the report into the outbox: whole or not at all.
fn leave(dir: &Path, check_in: &CheckIn) -> Result<PathBuf, Failure> {
    let outbox = dir.join("outbox");
    std::fs::create_dir_all(&outbox)
        .map_err(|error| Failure::new(Code::Failure, format!("cannot make {}: {error}", outbox.display())))?;
    let random = uuid::Uuid::new_v4().simple().to_string();
    let path = outbox.join(format!("{}-{}.json", clock::now().wall.0, &random[..8]));
    let text = serde_json::to_vec(check_in).expect("a check-in is plain data");
    file::write_atomic(&path, &text, 0o644)?;
    Ok(path)
}

fn said(ctx: &Context, via: &str, path: Option<&Path>) -> Result<Code, Failure> {
    if ctx.ui.json {
        ctx.ui.json(&Document::new("checked-in", serde_json::json!({"via": via, "path": path})))?;
    } else {
        match path {
            Some(path) => ctx.ui.answer(&format!("checked in through the outbox: {}", path.display()))?,
            None => ctx.ui.answer("checked in with the supervisor")?,
        }
    }
    Ok(Code::Ok)
}
