//! The scratch repository and the scripted player of `standup demo`.
