//! Whether this process runs inside an agent, and so speaks for the agent alone.
//!
//! **Invariant:** inside an agent, the user's token is not looked at. This keeps an honest agent
//! within its bounds; one that sets its mind to it has the user's uid, and so the user's files.
//! Must not know: any verb.

use std::ffi::OsString;

use crate::host::registry;
use crate::os::process;
use crate::store::layout::Layout;

/// What an agent's own processes are given by its supervisor: where it listens, and what opens it.
const SOCKET: &str = "STANDUP_SOCKET";
const TOKEN: &str = "STANDUP_TOKEN";

/// The attempt's token, where the environment holds one and says where it opens something.
#[must_use]
pub fn token(env: impl Fn(&str) -> Option<OsString>) -> Option<String> {
    let set = |name| env(name).filter(|value| !value.is_empty());
    set(SOCKET)?;
    // A token that is no text opens nothing, and is an agent's all the same.
    set(TOKEN).map(|token| token.to_string_lossy().into_owned())
}

/// Whether this process runs inside an agent: by its environment, or because one of those it
/// descends from is a living host of this repository.
#[must_use]
pub fn is_agent(layout: &Layout) -> bool {
    token(|name| std::env::var_os(name)).is_some() || descends_from_host(layout)
}

fn descends_from_host(layout: &Layout) -> bool {
    registry::is_any_alive(&layout.hosts_dir(), &process::ancestors(std::process::id()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agents_environment_holds_both_variables() {
        let with = |socket: &str, token_: &str| {
            let (socket, token_) = (socket.to_owned(), token_.to_owned());
            token(move |name| Some(if name == SOCKET { &socket } else { &token_ }.into()))
        };
        assert_eq!(with("/s", "t"), Some("t".to_owned()));
        assert_eq!(with("/s", ""), None);
        assert_eq!(with("", "t"), None);
        assert_eq!(token(|_| None), None);
    }
}
