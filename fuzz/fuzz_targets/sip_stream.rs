//! Any bytes as a stream: the same frames whatever the pieces. The first bytes choose the pieces.
#![no_main]

#[path = "../../crates/wire/sip-msg/tests/check/mod.rs"]
#[allow(dead_code)]
mod check;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let (pieces, stream) = data.split_at(data.len().min(8));
    let pieces: Vec<usize> = pieces.iter().map(|length| usize::from(*length)).collect();
    check::stream(stream, &pieces);
});
