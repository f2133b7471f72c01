//! Property tests: what must hold for any bytes, tried on mutations of the torture messages.

mod check;
mod corpus;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use corpus::{Wire, mutated};

/// What comes between the messages of a stream.
fn line_ends() -> impl Strategy<Value = Wire> {
    const KINDS: &[&str] = &["\r\n", "\r\n\r\n", "\n"];
    select(KINDS).prop_map(|kind| Wire(kind.as_bytes().to_vec()))
}

proptest! {
    #![proptest_config(corpus::config())]

    #[test]
    fn mutated_messages_keep_the_properties(bytes in mutated()) {
        check::message(&bytes.0);
    }

    #[test]
    fn noise_keeps_the_properties(bytes in vec(any::<u8>(), 0..600)) {
        check::message(&bytes);
        check::stream(&bytes, &[1, 2, 3]);
    }

    #[test]
    fn streams_do_not_depend_on_their_pieces(
        messages in vec(prop_oneof![3 => mutated(), 1 => line_ends()], 1..5),
        pieces in vec(1..300usize, 0..30),
    ) {
        let stream: Vec<u8> = messages.into_iter().flat_map(|wire| wire.0).collect();
        check::stream(&stream, &pieces);
    }
}

#[test]
fn the_corpus_keeps_the_properties() {
    let files: Vec<Vec<u8>> = corpus::files().into_iter().map(|(_, bytes)| bytes).collect();
    assert!(files.len() > 60);
    for bytes in &files {
        check::message(bytes);
        check::stream(bytes, &[7, 1, 64]);
    }
    check::stream(&files.concat(), &[1000, 1, 3, 17]);
}
