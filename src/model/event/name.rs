//! What events are called where they are stored and shown.
//!
//! **Invariant:** a name that was stored once is never given up.

use super::Event;

impl Event {
    /// Its stored name, kebab case.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::TaskAdded { .. } => "task-added",
            Self::TaskEdited { .. } => "task-edited",
            Self::TaskMoved { .. } => "task-moved",
            Self::DispatchSet { .. } => "dispatch-set",
            Self::AttemptPlanned { .. } => "attempt-planned",
            Self::WorktreeReady { .. } => "worktree-ready",
            Self::LaunchPlanned { .. } => "launch-planned",
            Self::HostStarted { .. } => "host-started",
            Self::TurnBegan { .. } => "turn-began",
            Self::AttemptFailed { .. } => "attempt-failed",
            Self::SessionLearned { .. } => "session-learned",
            Self::StateChanged { .. } => "state-changed",
            Self::WorkFinished { .. } => "work-finished",
            Self::QuestionAsked { .. } => "question-asked",
            Self::QuestionSettled {} => "question-settled",
            Self::CheckInReceived { .. } => "check-in-received",
            Self::CheckInRefused { .. } => "check-in-refused",
            Self::ChecksStarted { .. } => "checks-started",
            Self::VerdictReached { .. } => "verdict-reached",
            Self::ChecksDropped { .. } => "checks-dropped",
            Self::MessageQueued { .. } => "message-queued",
            Self::MessageTyping { .. } => "message-typing",
            Self::MessageHeld { .. } => "message-held",
            Self::MessageTyped { .. } => "message-typed",
            Self::MessageDelivered { .. } => "message-delivered",
            Self::MessageUnconfirmed { .. } => "message-unconfirmed",
            Self::MessageWithdrawn { .. } => "message-withdrawn",
            Self::StopAsked { .. } => "stop-asked",
            Self::AttemptStopped { .. } => "attempt-stopped",
            Self::StartAsked { .. } => "start-asked",
            Self::StartWithdrawn {} => "start-withdrawn",
            Self::StopFailed { .. } => "stop-failed",
            Self::AgentExited { .. } => "agent-exited",
            Self::HostLost { .. } => "host-lost",
            Self::NeedsYouRaised { .. } => "needs-you-raised",
            Self::NeedsYouCleared {} => "needs-you-cleared",
            Self::DiffObserved { .. } => "diff-observed",
            Self::TakenOver { .. } => "taken-over",
            Self::WorktreeMarked { .. } => "worktree-marked",
            Self::HandbackAsked { .. } => "handback-asked",
            Self::HandedBack { .. } => "handed-back",
            Self::TaskPaused { .. } => "task-paused",
            Self::TaskResumed {} => "task-resumed",
            Self::PlanProposed { .. } => "plan-proposed",
            Self::PlanApproved {} => "plan-approved",
            Self::PlanRejected { .. } => "plan-rejected",
            Self::WorkApproved { .. } => "work-approved",
            Self::WorkRejected { .. } => "work-rejected",
            Self::FactsSought { .. } => "facts-sought",
            Self::CheckInCompared { .. } => "check-in-compared",
            Self::NudgeIssued { .. } => "nudge-issued",
            Self::NudgeGiven { .. } => "nudge-given",
            Self::CheckInMissed { .. } => "check-in-missed",
            Self::MachineSlept { .. } => "machine-slept",
            Self::LimitTripped { .. } => "limit-tripped",
            Self::UsageObserved { .. } => "usage-observed",
            Self::OffLimitsTouched { .. } => "off-limits-touched",
            Self::AnswerGiven { .. } => "answer-given",
            Self::AnswerWritten { .. } => "answer-written",
            Self::AnswerTaken { .. } => "answer-taken",
            Self::AnswerWithheld { .. } => "answer-withheld",
            Self::AnswerUnconfirmed { .. } => "answer-unconfirmed",
            Self::LimitReached { .. } => "limit-reached",
            Self::LimitWaited { .. } => "limit-waited",
            Self::LimitEnded {} => "limit-ended",
            Self::AgentLoggedOut { .. } => "agent-logged-out",
            Self::AgentLoggedIn { .. } => "agent-logged-in",
        }
    }

    /// Whether losing it could harm: everything but what is observed again anyway.
    #[must_use]
    pub fn must_not_be_lost(&self) -> bool {
        !matches!(
            self,
            Self::StateChanged { .. } | Self::DiffObserved { .. } | Self::TurnBegan { .. } | Self::UsageObserved { .. }
        )
    }
}
