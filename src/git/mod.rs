//! Everything git: the CLI for whatever writes, `git2` for fast reads.
