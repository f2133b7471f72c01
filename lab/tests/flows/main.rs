//! Flows that documents of the IETF name, each as a test with the ladder that it makes: `docs/flows/`.
//!
//! A ladder that is not what it was fails its test. When that is meant, `HOOKSWITCH_LADDERS=write` writes it anew.

mod changes;
mod early;
mod early_changes;
mod forking;
mod forwarding;
mod identity;
mod index;
mod keys;
mod limits;
mod names;
mod page;
mod rfc3665;
mod rfc5359;
mod rfc5407;
mod timers;
mod transfer;
