//! The dialog in which an agent waits: what is known of it, the hooks that wait beside it, and
//! how an answer is given.
//!
//! **Invariant:** an answer reaches the dialog it was given for or none: by the hook that asked, or
//! by one key while nothing moved and the dialog is still on the screen. A hook that waits is let
//! go as soon as its dialog is gone.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::typing::{Stage, TYPE_LIMIT, Typing, number};
use super::{Host, Observation, TypedHow, send};
use crate::agent::dialog;
use crate::agent::hook::{Event, HookEvent};
use crate::agent::screen::Prompt;
use crate::model::dialog::{Choice, Dialog, DialogNo, Says, Way};
use crate::model::id::MsgId;
use crate::model::state::{RunKind, RunState};
use crate::model::time::Now;
use crate::os::clock;
use crate::wire::host::{Bytes, KeyRequest, ToHost};

/// How long a hook may wait without its agent being seen to wait: the dialog was answered before
/// the hook came up.
const UNSEEN: Duration = Duration::from_secs(5);

/// How long a hook waits at least: what its agent reported before the hook came up may be heard after
/// it, and looks as if the dialog were over.
const SETTLES: Duration = Duration::from_secs(1);

/// How long after an agent was seen to wait its screen is asked for: a dialog that looks like the one
/// before is not shown to us by itself.
const LOOK: Duration = Duration::from_millis(200);

/// Hooks of one agent that wait at once; a CLI asks one thing at a time, its parts may ask beside it.
const MAX_WAITING: usize = 8;

/// What a hook that waits is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Decision {
    /// Yes.
    Allow,
    /// No, and perhaps why.
    Deny(Option<String>),
    /// Nothing: the dialog decides, or has.
    Nothing,
}

/// A hook that waits.
struct Waiter {
    tool: String,
    what: String,
    decide: oneshot::Sender<Decision>,
    since: Instant,
    /// Whether its agent was seen to wait since.
    seen: bool,
    no: u64,
}

impl Waiter {
    /// How long after it came it may be let go, where its agent waits in no dialog.
    fn patience(&self) -> Duration {
        if self.seen { SETTLES } else { UNSEEN }
    }
}

/// What is known of the dialog.
pub(super) struct Asking {
    waiting: Vec<Waiter>,
    hooks: u64,
    current: Option<Current>,
    /// The dialog that was left last, and how many screens had come by then: until another comes,
    /// the old one is no news.
    left: Option<(String, u64)>,
    screens: u64,
    told: Option<Dialog>,
    first: DialogNo,
    /// When the host is asked for its screen, because the agent waits and nothing new was shown.
    look: Option<Instant>,
    looked: bool,
}

struct Current {
    no: DialogNo,
    since: Now,
    /// What it looked like, without blanks; empty where it was not on the screen yet.
    looks: String,
    /// The hook beside it.
    hook: Option<u64>,
}

/// A number that no dialog had before, in this process or an earlier one.
fn fresh() -> DialogNo {
    static NEXT: OnceLock<AtomicU64> = OnceLock::new();
    let next = NEXT.get_or_init(|| {
        let now = u64::try_from(clock::now().wall.0).unwrap_or(0);
        AtomicU64::new(now << 8)
    });
    DialogNo(next.fetch_add(1, Ordering::Relaxed))
}

impl Asking {
    pub(super) fn new() -> Self {
        Self {
            waiting: Vec::new(),
            hooks: 0,
            current: None,
            left: None,
            screens: 0,
            told: None,
            first: fresh(),
            look: None,
            looked: false,
        }
    }

    /// Another screen came.
    pub(super) fn screen(&mut self) {
        self.screens += 1;
    }

    /// When a hook that waits for nothing is to be let go.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        // In a dialog that stands, those that were seen to wait in it wait on.
        let waits = self.waiting.iter().filter(|w| !w.seen || self.current.is_none());
        waits.map(|w| w.since + w.patience()).chain(self.look).min()
    }

    /// Whether the host is to be asked for its screen now.
    pub(super) fn take_look(&mut self) -> bool {
        let due = self.look.is_some_and(|at| Instant::now() >= at);
        if due {
            self.look = None;
        }
        due
    }

    fn forget_gone(&mut self) {
        self.waiting.retain(|w| !w.decide.is_closed());
    }

    /// Lets go of hooks whose dialog is over.
    fn release(&mut self) {
        let now = Instant::now();
        let (over, waiting) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|w: &Waiter| now.saturating_duration_since(w.since) >= w.patience());
        self.waiting = waiting;
        for waiter in over {
            let _ = waiter.decide.send(Decision::Nothing);
        }
    }

    /// Whether the dialog on the screen is one that was not left before.
    fn is_news(&self, looks: &str) -> bool {
        self.left.as_ref().is_none_or(|(left, screens)| left != looks || self.screens > *screens)
    }

    /// Follows the dialog; `None` while the agent waits in none that is known.
    fn follow(&mut self, state: &RunState, prompt: Option<&Prompt>) -> Option<Dialog> {
        self.forget_gone();
        if state.kind != RunKind::Waiting {
            if let Some(current) = self.current.take() {
                self.left = Some((current.looks, self.screens));
            }
            self.release();
            (self.look, self.looked) = (None, false);
            return None;
        }
        for waiter in &mut self.waiting {
            waiter.seen = true;
        }
        // Beside several hooks nobody can tell whose dialog is on the screen.
        let prompt = prompt.filter(|p| self.waiting.len() < 2 && self.is_news(&looks(p)));
        if prompt.is_none() && !std::mem::replace(&mut self.looked, true) {
            self.look = Some(Instant::now() + LOOK);
        }
        let waiter = self.waiting.first();
        if prompt.is_none() && waiter.is_none() {
            let known = self.current.as_ref()?.no;
            return self.told.clone().filter(|told| told.no == known && !told.hook);
        }
        // The first may have stood before we came; a later one comes while we look.
        let first = self.current.is_none() && self.left.is_none();
        let since = if first { state.at } else { clock::now() };
        let (seen_looks, hook) = (prompt.map(looks).unwrap_or_default(), waiter.map(|w| w.no));
        let seen = Current { no: DialogNo(0), since, looks: seen_looks, hook };
        let (no, since) = match &self.current {
            Some(before) if before.is(&seen) => (before.no, before.since),
            _ => (fresh(), since),
        };
        let hook = waiter.filter(|w| dialog::hook_answers(&w.tool));
        let mut options = prompt.map(dialog::options).unwrap_or_default();
        if hook.is_some() && !options.iter().any(|o| o.says == Some(Says::Yes)) {
            options = dialog::hook_options();
        }
        let question = match (prompt, waiter) {
            (Some(prompt), _) => prompt.text(),
            (None, Some(waiter)) => format!("{}: {}", waiter.tool, waiter.what),
            (None, None) => String::new(),
        };
        let ask = prompt.map(|p| p.ask).or(state.ask).unwrap_or(crate::model::state::Ask::Permission);
        let plan = prompt.is_some_and(|p| p.plan) || waiter.is_some_and(|w| dialog::is_plan(&w.tool));
        let dialog = Dialog { no, ask, question, options, hook: hook.is_some(), plan, since: Some(since) };
        let looks =
            if seen.looks.is_empty() { self.current.take().map(|c| c.looks).unwrap_or_default() } else { seen.looks };
        self.current = Some(Current { no, since, looks, hook: seen.hook });
        Some(dialog)
    }
}

impl Current {
    /// Whether what is seen now is this dialog: its hook says so, else its looks; either may come
    /// before the other.
    fn is(&self, seen: &Self) -> bool {
        match (self.hook, seen.hook) {
            (Some(a), Some(b)) => a == b,
            _ => self.looks.is_empty() || seen.looks.is_empty() || self.looks == seen.looks,
        }
    }
}

/// A dialog without its blanks and without what is selected: another width breaks its lines
/// elsewhere.
fn looks(prompt: &Prompt) -> String {
    let options = prompt.options.iter().map(|o| &o.text);
    let all = std::iter::once(&prompt.question).chain(&prompt.detail).chain(options);
    all.flat_map(|text| text.chars()).filter(|c| !c.is_whitespace()).collect()
}

/// What is to be answered.
pub(in super::super) struct Wanted {
    /// Its number.
    pub(in super::super) msg: MsgId,
    /// Which dialog.
    pub(in super::super) dialog: DialogNo,
    /// What.
    pub(in super::super) choice: Choice,
    /// How.
    pub(in super::super) way: Way,
    /// What a hook is told beside a no.
    pub(in super::super) note: Option<String>,
}

impl Host {
    /// A hook asks for permission and waits.
    pub(super) async fn permission(&mut self, event: HookEvent, decide: oneshot::Sender<Decision>) {
        let asked = match &event.event {
            Event::PermissionAsked { tool, what } => Some((tool.clone(), what.clone())),
            _ => None,
        };
        let foreign = self.weigher.foreign();
        self.hooked(event, clock::now()).await;
        let own = self.weigher.foreign() == foreign;
        match asked.filter(|_| own && self.asking.waiting.len() < MAX_WAITING) {
            Some((tool, what)) => {
                self.asking.hooks += 1;
                let no = self.asking.hooks;
                self.asking.waiting.push(Waiter { tool, what, decide, since: Instant::now(), seen: false, no });
            }
            None => {
                let _ = decide.send(Decision::Nothing);
            }
        }
    }

    /// Follows the dialog; says what it is now, where that is not what was told.
    pub(super) fn dialog(&mut self, state: &RunState) -> Option<Option<Dialog>> {
        let dialog = self.asking.follow(state, self.weigher.prompt());
        (dialog != self.asking.told).then_some(dialog)
    }

    /// Tells of the dialog.
    pub(super) async fn tell_dialog(&mut self, dialog: Option<Dialog>) {
        self.asking.told.clone_from(&dialog);
        self.observed(Observation::Dialog { dialog }).await;
    }

    /// Gives an answer, if its dialog is still the one.
    pub(super) async fn answer(
        &mut self,
        wanted: Wanted,
        done: oneshot::Sender<TypedHow>,
        stream: &mut UnixStream,
    ) -> std::io::Result<()> {
        let state = self.weigher.state(clock::now());
        self.asking.follow(&state, self.weigher.prompt());
        if self.asking.current.as_ref().map(|c| c.no) != Some(wanted.dialog) {
            // A hook of an earlier supervisor may have been told before that one ended.
            let perhaps = wanted.way == Way::Hook && wanted.dialog < self.asking.first;
            let _ = done.send(match perhaps {
                true => TypedHow::Perhaps,
                false => TypedHow::No("the dialog is no longer the one that was answered".into()),
            });
            return Ok(());
        }
        if wanted.way == Way::Hook
            && let Some(decision) = decision(&wanted)
            && !self.asking.waiting.is_empty()
            && self.asking.waiting.remove(0).decide.send(decision).is_ok()
        {
            let _ = done.send(TypedHow::Yes);
            return Ok(());
        }
        // A key says no and nothing beside it.
        if wanted.way == Way::Hook && wanted.note.is_some() {
            let why = "its hook, which would have taken your words, waits no more; answer it again";
            let _ = done.send(TypedHow::No(why.into()));
            return Ok(());
        }
        self.press(wanted, done, stream).await
    }

    /// One key for an option that is on the screen.
    async fn press(
        &mut self,
        wanted: Wanted,
        done: oneshot::Sender<TypedHow>,
        stream: &mut UnixStream,
    ) -> std::io::Result<()> {
        let no = |why: &str| TypedHow::No(why.to_owned());
        if self.typing.is_some() {
            let _ = done.send(no("a message is being typed"));
            return Ok(());
        }
        let input = &self.voice.adapter.input;
        let prompt = self.weigher.prompt().filter(|p| self.asking.is_news(&looks(p)));
        let key = prompt.and_then(|p| Some((dialog::key(input, p, &wanted.choice)?, dialog::shown(p, &wanted.choice))));
        let Some((bytes, if_shows)) = key.filter(|_| input.typing) else {
            let _ = done.send(no("no key answers just this"));
            return Ok(());
        };
        let until = Instant::now() + TYPE_LIMIT;
        let (msg, stage) = (wanted.msg, Stage::Pressed);
        self.typing = Some(Typing { msg, text: String::new(), done: Some(done), stage, until });
        let key = KeyRequest { msg_id: number(msg), if_signal_seq: Some(self.seq), bytes: Bytes(bytes), if_shows };
        send(stream, &ToHost::Key(key)).await
    }
}

/// What a hook is told, where a plain yes or no is meant.
fn decision(wanted: &Wanted) -> Option<Decision> {
    Some(match wanted.choice.says? {
        Says::Yes => Decision::Allow,
        Says::No => Decision::Deny(wanted.note.clone()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::adapter::builtin;
    use crate::agent::screen;
    use crate::model::state::{Ask, Source};

    fn state(kind: RunKind) -> RunState {
        RunState { ask: Some(Ask::Permission), ..RunState::plain(kind, Some(Source::Osc7501), clock::now()) }
    }

    fn prompt(command: &str) -> Prompt {
        let text = format!(
            "• Running {command}\n  Would you like to run the following command?\n  $ {command}\n› 1. Yes, proceed (y)\n  \
             2. No, and tell Codex what to do differently (esc)\n  Press enter to confirm or esc to cancel\n"
        );
        screen::read(&builtin("codex").expect("codex"), &text).prompt.expect("a dialog")
    }

    fn waiter(asking: &mut Asking, tool: &str) -> oneshot::Receiver<Decision> {
        let (decide, told) = oneshot::channel();
        asking.hooks += 1;
        let (tool, what, no) = (tool.to_owned(), "touch x".to_owned(), asking.hooks);
        asking.waiting.push(Waiter { tool, what, decide, since: Instant::now(), seen: false, no });
        told
    }

    #[tokio::test]
    async fn a_dialog_keeps_its_number_while_its_parts_come_and_loses_it_when_it_is_left() {
        let mut asking = Asking::new();
        let waits = state(RunKind::Waiting);
        assert_eq!(asking.follow(&waits, None), None, "nothing is known of it yet");
        let mut told = waiter(&mut asking, "Bash");
        let by_hook = asking.follow(&waits, None).expect("the hook tells");
        assert!(by_hook.hook && by_hook.options == dialog::hook_options(), "{by_hook:?}");
        asking.screen();
        let (a, b) = (prompt("touch a"), prompt("touch b"));
        let with_screen = asking.follow(&waits, Some(&a)).expect("both");
        assert_eq!((with_screen.no, with_screen.hook, with_screen.options.len()), (by_hook.no, true, 2));
        asking.waiting[0].since -= SETTLES;
        assert!(asking.follow(&state(RunKind::Working), Some(&a)).is_none());
        assert_eq!(told.try_recv(), Ok(Decision::Nothing), "the hook is let go");
        // The old screen is no news of the next dialog.
        assert_eq!(asking.follow(&waits, Some(&a)), None);
        asking.screen();
        let next = asking.follow(&waits, Some(&b)).expect("the next");
        assert!(next.no > by_hook.no && !next.hook);
        asking.screen();
        assert_ne!(asking.follow(&waits, Some(&a)).map(|d| d.no), Some(next.no), "another dialog without a pause");
    }

    #[tokio::test]
    async fn a_hook_beside_a_dialog_of_its_own_gives_no_yes() {
        let mut asking = Asking::new();
        let _told = waiter(&mut asking, "AskUserQuestion");
        let dialog = asking.follow(&state(RunKind::Waiting), None).expect("a dialog");
        assert!(!dialog.hook && dialog.options.is_empty(), "{dialog:?}");
    }

    #[tokio::test]
    async fn beside_two_hooks_the_screen_decides_nothing() {
        let mut asking = Asking::new();
        let (first, _second) = (waiter(&mut asking, "Bash"), waiter(&mut asking, "Write"));
        asking.screen();
        let dialog = asking.follow(&state(RunKind::Waiting), Some(&prompt("touch a"))).expect("the first hook's");
        assert!(dialog.question.starts_with("Bash") && dialog.options == dialog::hook_options(), "{dialog:?}");
        drop(first);
        let next = asking.follow(&state(RunKind::Waiting), Some(&prompt("touch a"))).expect("the second's");
        assert_ne!(next.no, dialog.no);
    }

    #[tokio::test]
    async fn a_hook_is_not_let_go_by_a_report_that_is_older_than_its_dialog() {
        let mut asking = Asking::new();
        let mut told = waiter(&mut asking, "Bash");
        asking.follow(&state(RunKind::Waiting), None).expect("the hook tells");
        asking.follow(&state(RunKind::Working), None);
        assert!(told.try_recv().is_err(), "it came up a moment ago");
        assert!(asking.wake_at().is_some(), "it is let go by itself");
        assert!(asking.follow(&state(RunKind::Waiting), None).is_some_and(|dialog| dialog.hook));
        assert_eq!(asking.wake_at(), asking.look, "it waits as long as its dialog stands");
        asking.waiting[0].since -= SETTLES;
        asking.follow(&state(RunKind::Working), None);
        assert_eq!(told.try_recv(), Ok(Decision::Nothing));
    }

    #[tokio::test]
    async fn a_hook_whose_agent_was_never_seen_to_wait_is_let_go_after_a_while() {
        let mut asking = Asking::new();
        let mut told = waiter(&mut asking, "Bash");
        asking.follow(&state(RunKind::Working), None);
        assert!(told.try_recv().is_err(), "its dialog may come up in a moment");
        assert!(asking.wake_at().is_some());
        asking.waiting[0].since -= UNSEEN;
        asking.follow(&state(RunKind::Working), None);
        assert_eq!(told.try_recv(), Ok(Decision::Nothing));
    }
}
