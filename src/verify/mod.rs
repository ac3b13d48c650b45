//! Runs checks in a worktree and turns their output into a verdict.
