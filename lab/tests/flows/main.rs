//! Flows that documents of the IETF name, each as a test with the ladder that it makes: `docs/flows/`.
//!
//! A ladder that is not what it was fails its test. When that is meant, `HOOKSWITCH_LADDERS=write` writes it anew.

mod page;
mod rfc3665;
mod rfc5359;
mod rfc5407;
