//! Any bytes as a SIP message: no panic, every accessor, and what is read can be written and read again.
#![no_main]

#[path = "../../crates/wire/sip-msg/tests/check/mod.rs"]
#[allow(dead_code)]
mod check;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| check::message(data));
