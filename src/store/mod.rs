//! The event log and the disk layout.
