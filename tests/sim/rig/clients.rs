//! What the clients say: anything, to any task, at any time.

use standup::model::attempt::StopWhy;
use standup::model::board::Task;
use standup::model::id::TaskId;
use standup::model::input::{Command, NewTask};
use standup::model::name::Pattern;
use standup::model::settings::Priority;
use standup::model::task::{Column, Mode, TaskSpec, TextRef};

use super::{CLIENTS, Rig};
use crate::plain::agent;

/// How many tasks a run gets at most: enough for every limit to be felt.
const MAX_TASKS: usize = 30;

const PRIORITIES: [Priority; 3] = [Priority::Low, Priority::Normal, Priority::High];

impl Rig {
    /// The client whose turn it is says something.
    pub(super) fn client(&mut self) {
        let now = self.now();
        let place = (0..CLIENTS).min_by_key(|i| self.clients[*i]).expect("there are clients");
        self.clients[place] = now + self.rng.between(10_000, 2_400_000);
        if let Some(command) = self.any_command() {
            self.command(command);
        }
    }

    fn any_command(&mut self) -> Option<Command> {
        let known: Vec<TaskId> = self.driver.board().tasks.keys().copied().collect();
        if known.is_empty() || (known.len() < MAX_TASKS && self.rng.percent(12)) {
            return Some(self.add(&known));
        }
        let task = if self.rng.percent(2) { TaskId::new(999)? } else { *self.rng.pick(&known) };
        let reason = "because".to_owned();
        Some(match self.rng.below(100) {
            0..12 => Command::Dispatch { on: self.rng.percent(85) },
            12..24 => Command::Start { task },
            24..34 => Command::Retry { task, agent: self.rng.percent(40).then(|| agent("codex")) },
            34..36 => Command::Cancel { task, reason },
            36..42 => Command::Stop { task },
            42..43 => Command::StopAll { why: StopWhy::Down },
            43..45 => Command::Rest {},
            45..50 => Command::Verify { task },
            50..53 => match self.rng.below(2) {
                0 => Command::Pause { task, reason },
                _ => Command::Resume { task },
            },
            53..57 => Command::Takeover { task, reason },
            57..64 => Command::Handback { task, note: reason },
            64..69 => Command::Approve { task },
            69..72 => Command::Reject { task, note: reason },
            72..76 => {
                // Mostly where it makes sense.
                let waits = |t: &&Task| t.needs_you.as_ref().is_some_and(|n| !n.options.is_empty());
                let waiting: Vec<TaskId> = self.driver.board().tasks.values().filter(waits).map(|t| t.id).collect();
                let asked = (!waiting.is_empty()).then(|| *self.rng.pick(&waiting));
                let choice = (*self.rng.pick(&["yes", "no", "1", "maybe"])).to_owned();
                Command::Answer { task: asked.unwrap_or(task), choice }
            }
            76..77 => Command::Nudge { task },
            77..80 => Command::Send { task, text: format!("remark {}", self.rng.next() % 1_000), now: false },
            80..90 => {
                let mut spec = self.driver.board().tasks.get(&task)?.spec.clone();
                spec.priority = *self.rng.pick(&PRIORITIES);
                if self.rng.percent(30) {
                    spec.needs = vec![*self.rng.pick(&known)];
                }
                // Half of them know what they change.
                let was = self.rng.percent(50).then(|| Box::new(self.driver.board().tasks[&task].spec.clone()));
                Command::Edit { task, spec: Box::new(spec), was }
            }
            _ => {
                let columns =
                    [Column::Backlog, Column::Backlog, Column::Build, Column::Review, Column::Done, Column::Takeover];
                Command::Move { task, to: *self.rng.pick(&columns), reason }
            }
        })
    }

    fn add(&mut self, known: &[TaskId]) -> Command {
        let count = usize::try_from(self.rng.between(1, 4)).expect("small");
        let tasks = (0..count).map(|i| {
            let mut spec = {
                let title = format!("task {}", self.rng.next() % 1_000);
                TaskSpec::new(&title, TextRef(title.clone()))
            };
            spec.priority = *self.rng.pick(&PRIORITIES);
            if !known.is_empty() && self.rng.percent(15) {
                spec.needs.push(*self.rng.pick(known));
            }
            if self.rng.percent(40) {
                let paths = ["src/**", "src/api/**", "docs/**", "*.md"];
                spec.touches.push(Pattern::new(*self.rng.pick(&paths)).expect("a pattern"));
            }
            spec.mode = match self.rng.below(100) {
                0..25 => Mode::Checkpoint,
                25..35 => Mode::Own,
                _ => Mode::Delegate,
            };
            spec.agent = self.rng.percent(30).then(|| agent("codex"));
            spec.key = self.rng.percent(30).then(|| format!("key {}", self.rng.below(12)));
            let needs_new = if i > 0 && self.rng.percent(20) { vec![i - 1] } else { Vec::new() };
            NewTask { spec, needs_new }
        });
        Command::Add { tasks: tasks.collect() }
    }
}
