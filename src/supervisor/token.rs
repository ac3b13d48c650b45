//! Who may say what on the control socket.
//!
//! An attempt's token is its host's name and a digest of that name under the user's token: it
//! needs no list, survives a restart, and one attempt's says nothing about another's.

use sha2::{Digest, Sha256};

use crate::model::id::{AttemptId, AttemptNo, TaskId};
use crate::model::name::HostId;
use crate::store::token::{Token, same};

use super::server::Scope;

/// Judges tokens.
#[derive(Debug, Clone)]
pub struct Tokens {
    user: Token,
}

impl Tokens {
    /// Under the user's token.
    #[must_use]
    pub fn new(user: Token) -> Self {
        Self { user }
    }

    /// The token of an attempt's host.
    #[must_use]
    pub fn of_host(&self, host: &HostId) -> String {
        let mut digest = Sha256::new();
        digest.update(self.user.secret().as_bytes());
        digest.update(b"\0attempt\0");
        digest.update(host.as_str().as_bytes());
        let hex: String = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{host}.{hex}")
    }

    /// What a token opens; `None`: nothing.
    #[must_use]
    pub fn scope(&self, given: &str) -> Option<Scope> {
        if self.user.matches(given) {
            return Some(Scope::User);
        }
        let (host, _) = given.rsplit_once('.')?;
        let host = HostId::new(host).ok()?;
        let right = same(self.of_host(&host).as_bytes(), given.as_bytes());
        right.then(|| scope_of(&host)).flatten()
    }
}

/// What whoever runs in a host may do, whichever token they show.
#[must_use]
pub(super) fn scope_of(host: &HostId) -> Option<Scope> {
    Some(Scope::Attempt { attempt: attempt_of(host)?, launch: launch_of(host)? })
}

/// The attempt that a token names, whether it is that one's or not.
#[must_use]
pub(super) fn claimed(given: &str) -> Option<AttemptId> {
    let (host, _) = given.rsplit_once('.')?;
    attempt_of(&HostId::new(host).ok()?)
}

/// Which start of its attempt a host is, from 1.
fn launch_of(host: &HostId) -> Option<u32> {
    host.as_str().split('-').nth(2)?.parse().ok()
}

/// The attempt a host works for: hosts are named `T7-2-1`, task, attempt, launch.
#[must_use]
pub fn attempt_of(host: &HostId) -> Option<AttemptId> {
    let mut parts = host.as_str().split('-');
    let task: TaskId = parts.next()?.parse().ok()?;
    let no = AttemptNo::new(parts.next()?.parse().ok()?)?;
    Some(AttemptId { task, no })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_opens_its_own_scope_only() {
        let user = Token::random().expect("random");
        let secret = user.secret().to_owned();
        let tokens = Tokens::new(user);
        let host = HostId::new("T7-2-1").expect("host");
        let given = tokens.of_host(&host);
        let id: AttemptId = "T7/2".parse().expect("id");
        assert_eq!(tokens.scope(&secret), Some(Scope::User));
        assert_eq!(tokens.scope(&given), Some(Scope::Attempt { attempt: id, launch: 1 }));
        assert_eq!(tokens.scope(&given.replace("T7-2-1", "T8-1-1")), None);
        assert_eq!(tokens.scope(""), None);
        assert_eq!(tokens.scope("T7-2-1."), None);
    }
}
