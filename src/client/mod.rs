//! Speaks to a supervisor or straight to a host.
