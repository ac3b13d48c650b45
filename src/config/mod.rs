//! `agents.toml` and user settings: text in, typed settings with spans out.
