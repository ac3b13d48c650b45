//! Each room against its real outside.

mod verify;
