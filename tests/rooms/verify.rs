//! `verify` and `report` against real tools' output, real processes and real files.

mod reports;
mod runs;
