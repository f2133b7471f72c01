//! The Call API dialect against a switch that is a script: what clients wrote and read when the
//! original daemon was recorded, one test per ruling, and what must hold in any order of events.

mod access;
mod any_order;
mod batches;
mod call_start;
mod captured_holds_and_transfers;
mod captures;
mod commands_end;
mod documented;
mod garbage;
mod hold_and_transfer;
mod idempotency;
mod injection;
mod limits;
mod lost_connection;
mod names_of_calls;
mod notify_end;
mod rig;
mod rulings;
mod strict;
mod subscriptions;
