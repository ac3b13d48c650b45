//! What events are called where they are stored and shown.
//!
//! **Invariant:** a name that was stored once is never given up.

use super::Event;

/// The names of all events: one that has none does not compile.
macro_rules! named {
    ($($event:ident $name:literal)*) => {
        impl Event {
            /// Its stored name, kebab case.
            #[must_use]
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$event { .. } => $name,)*
                }
            }
        }
    };
}

named! {
    TaskAdded "task-added"
    TaskEdited "task-edited"
    StrayedFromPlan "strayed-from-plan"
    TaskMoved "task-moved"
    DispatchSet "dispatch-set"
    AttemptPlanned "attempt-planned"
    WorktreeReady "worktree-ready"
    TeardownStarted "teardown-started"
    TeardownEnded "teardown-ended"
    LaunchPlanned "launch-planned"
    HostStarted "host-started"
    Noted "noted"
    TurnBegan "turn-began"
    AttemptFailed "attempt-failed"
    SessionLearned "session-learned"
    StateChanged "state-changed"
    WorkFinished "work-finished"
    QuestionAsked "question-asked"
    QuestionSettled "question-settled"
    CheckInReceived "check-in-received"
    CheckInRefused "check-in-refused"
    ChecksStarted "checks-started"
    VerdictReached "verdict-reached"
    ChecksDropped "checks-dropped"
    MessageQueued "message-queued"
    MessageTyping "message-typing"
    MessageHeld "message-held"
    MessageTyped "message-typed"
    MessageDelivered "message-delivered"
    MessageUnconfirmed "message-unconfirmed"
    MessageWithdrawn "message-withdrawn"
    StopAsked "stop-asked"
    AttemptStopped "attempt-stopped"
    StartAsked "start-asked"
    StartWithdrawn "start-withdrawn"
    StopFailed "stop-failed"
    AgentExited "agent-exited"
    HostLost "host-lost"
    NeedsYouRaised "needs-you-raised"
    NeedsYouCleared "needs-you-cleared"
    DiffObserved "diff-observed"
    TakenOver "taken-over"
    WorktreeMarked "worktree-marked"
    HandbackAsked "handback-asked"
    HandedBack "handed-back"
    TaskPaused "task-paused"
    TaskResumed "task-resumed"
    PlanProposed "plan-proposed"
    PlanApproved "plan-approved"
    PlanRejected "plan-rejected"
    WorkApproved "work-approved"
    WorkRejected "work-rejected"
    FactsSought "facts-sought"
    CheckInCompared "check-in-compared"
    NudgeIssued "nudge-issued"
    NudgeGiven "nudge-given"
    CheckInMissed "check-in-missed"
    MachineSlept "machine-slept"
    LimitTripped "limit-tripped"
    LimitRaised "limit-raised"
    UsageObserved "usage-observed"
    OffLimitsTouched "off-limits-touched"
    WorktreeStrayed "worktree-strayed"
    AnswerGiven "answer-given"
    AnswerWritten "answer-written"
    AnswerTaken "answer-taken"
    AnswerWithheld "answer-withheld"
    AnswerUnconfirmed "answer-unconfirmed"
    LimitReached "limit-reached"
    LimitWaited "limit-waited"
    LimitEnded "limit-ended"
    AgentLoggedOut "agent-logged-out"
    AgentLoggedIn "agent-logged-in"
}

impl Event {
    /// Whether losing it could harm: everything but what is observed again anyway.
    #[must_use]
    pub fn must_not_be_lost(&self) -> bool {
        !matches!(
            self,
            Self::StateChanged { .. } | Self::DiffObserved { .. } | Self::TurnBegan { .. } | Self::UsageObserved { .. }
        )
    }
}
