//! Each room of floor 2 against the real outside.

mod git;
