//! What each agent CLI speaks: launch, resume, reports, hooks, screens; and how signals are weighed.
