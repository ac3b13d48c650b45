//! Each room against the real outside.

mod brief;
