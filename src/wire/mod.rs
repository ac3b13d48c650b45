//! What goes over sockets: `control` (JSON lines) and `host` (tag, length, bytes).

pub mod host;
