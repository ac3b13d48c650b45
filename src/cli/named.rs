//! What a task names and this repository does not have: an agent, a base.
//!
//! **Invariant:** it is said when it is written, not when the task's turn comes; what nobody can
//! judge now, because settings cannot be read or hold no agent, is not called wrong.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;

use crate::git::GitError;
use crate::model::name::AgentName;
use crate::model::task::TaskSpec;
use crate::model::text::{clean_line, nearest};
use crate::supervisor::surroundings::{self, Loaded};

use super::context::Context;
use super::error::{Code, Failure};

/// Where the branches of attempts lie: they come when their task starts.
const ATTEMPTS: &str = "standup/";

/// A name that stands for nothing here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wrong {
    /// What, as a sentence.
    pub text: String,
    /// What to do.
    pub hint: String,
    /// Whether it may come to be by itself, or nobody can say as yet.
    pub may_come: bool,
}

/// Judges names, and looks at nothing before one is asked about.
pub(super) struct Names<'a> {
    ctx: &'a Context,
    loaded: OnceCell<Option<Loaded>>,
    bases: RefCell<BTreeMap<String, Option<Wrong>>>,
}

impl<'a> Names<'a> {
    pub(super) fn new(ctx: &'a Context) -> Self {
        Self { ctx, loaded: OnceCell::new(), bases: RefCell::default() }
    }

    /// What a task names that is not here; what its old spec named as well was said when it came.
    pub(super) fn wrong(&self, spec: &TaskSpec, old: Option<&TaskSpec>) -> Vec<Wrong> {
        let agent = spec.agent.as_ref().filter(|agent| old.is_none_or(|old| old.agent.as_ref() != Some(agent)));
        let base = spec.base.as_deref().filter(|base| old.is_none_or(|old| old.base.as_deref() != Some(base)));
        agent.and_then(|agent| self.agent(agent)).into_iter().chain(base.and_then(|base| self.base(base))).collect()
    }

    fn agent(&self, name: &AgentName) -> Option<Wrong> {
        let look = || surroundings::look(self.ctx.place().ok()?).ok();
        let known = &self.loaded.get_or_init(look).as_ref()?.agents;
        if known.contains_key(name) {
            return None;
        }
        // Agents may be configured after the tasks are written.
        if known.is_empty() {
            let text = format!("agent {name} is not configured; no agent is as yet");
            return Some(Wrong { text, hint: "standup init".into(), may_come: true });
        }
        let meant = nearest(name.as_str(), known.keys().map(AgentName::as_str));
        let meant = meant.map(|near| format!(" (did you mean {near}?)")).unwrap_or_default();
        let text = format!("agent {name} is not configured{meant}");
        Some(Wrong { text, hint: "standup agents".into(), may_come: false })
    }

    fn base(&self, name: &str) -> Option<Wrong> {
        let look = || {
            let place = self.ctx.place().ok()?;
            let error = place.repo.resolve_base(&place.git, Some(name)).err()?;
            let GitError::MissingBase { .. } = error else { return None };
            let may_come = name.starts_with(ATTEMPTS);
            let later = if may_come { "; the task waits until there is" } else { "" };
            let hint = error.hint().unwrap_or_default();
            Some(Wrong { text: format!("base: {error}{later}"), hint, may_come })
        };
        self.bases.borrow_mut().entry(name.to_owned()).or_insert_with(look).clone()
    }

    /// Refuses what is wrong, and says what may come.
    ///
    /// # Errors
    /// [`Code::Usage`], with each of them.
    pub(super) fn require(&self, wrong: &[(String, Wrong)]) -> Result<(), Failure> {
        let (may_come, refused): (Vec<_>, Vec<_>) = wrong.iter().partition(|(_, wrong)| wrong.may_come);
        let line = |(place, wrong): &&(String, Wrong)| format!("{place}{}", clean_line(&wrong.text));
        let with_hints = |of: &[&(String, Wrong)]| {
            let mut hints: Vec<String> = of.iter().map(|(_, wrong)| wrong.hint.clone()).collect();
            hints.sort();
            hints.dedup();
            hints
        };
        if !refused.is_empty() {
            let text = refused.iter().map(line).collect::<Vec<_>>().join("\n");
            return Err(Failure { hints: with_hints(&refused), ..Failure::new(Code::Usage, text) });
        }
        may_come.iter().for_each(|found| self.ctx.ui.say(&format!("note: {}", line(found))));
        with_hints(&may_come).iter().for_each(|hint| self.ctx.ui.hint(hint));
        Ok(())
    }
}

/// Refuses a task that names what is not here; says where that may come.
///
/// # Errors
/// As [`Names::require`].
pub(super) fn require(ctx: &Context, spec: &TaskSpec, old: Option<&TaskSpec>) -> Result<(), Failure> {
    let names = Names::new(ctx);
    let wrong: Vec<_> = names.wrong(spec, old).into_iter().map(|wrong| (String::new(), wrong)).collect();
    names.require(&wrong)
}
