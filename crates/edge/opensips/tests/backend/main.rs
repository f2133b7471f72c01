//! The backend against a hand-written OpenSIPS, in virtual time. The list of files is the list of what it can do.

mod attended_transfer;
mod blind_transfer;
mod bounds;
mod call_end;
mod call_hold;
mod call_start;
mod call_start_cancelled;
mod call_start_replies_lost;
mod captures;
mod doubled_datagrams;
mod events_of_others;
mod garbage;
mod health_and_restart;
mod mi_requests;
mod not_ready_yet;
mod one_request_at_a_time;
mod orders;
mod rig;
mod subscriptions;
mod taken_back;
mod two_daemons;
mod versions;
mod who_talks;
mod write_nothing_foreign;
