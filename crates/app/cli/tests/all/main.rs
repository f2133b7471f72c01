//! The commands as a user runs them, one file for each, in one program. What measures has the machine to itself.

mod call_api_client_tool;
mod call_api_command;
mod call_api_daemon;
#[path = "../call_api_harness/mod.rs"]
mod call_api_harness;
mod call_api_messages;
mod phone_command;
