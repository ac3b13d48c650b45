//! One process per attempt: it owns the PTY, the screen, the transcript and the exit record.

mod osc;
mod screen;
