//! The binary from outside, and the instruments that are used for it.

mod cli_agent_verbs;
mod cli_guard;
mod cli_hands;
mod cli_run;
mod cli_scope;
mod cli_tasks;
mod cli_terminal;
mod cli_trial;
mod cli_usage;
mod cli_words;
mod demo;
mod house;
mod instruments;
mod newcomer;
mod odd_repositories;
mod real_agents;
#[path = "../support/mod.rs"]
mod support;
