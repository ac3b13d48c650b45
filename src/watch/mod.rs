//! File changes in worktrees and outboxes, without polling.
