//! All decisions: a pure machine from inputs to events, actions and reasons.
