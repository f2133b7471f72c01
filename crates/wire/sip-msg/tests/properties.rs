//! Property tests: what must hold for any bytes, tried on mutations of the torture messages.

mod check;

use std::path::Path;
use std::sync::LazyLock;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// Every fixture of this crate.
static CORPUS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut files: Vec<_> = ["rfc4475", "rfc5118", "fixtures"]
        .iter()
        .flat_map(|folder| std::fs::read_dir(tests.join(folder)).expect("the fixtures are part of the crate"))
        .map(|entry| entry.expect("a folder can be listed").path())
        .collect();
    files.sort();
    files.iter().map(|file| std::fs::read(file).expect("a fixture can be read")).collect()
});

/// Pieces that mean something to a parser.
const PIECES: &[&str] = &[
    "\r\n",
    "\r\n\r\n",
    "\n",
    "\r",
    " ",
    "\t",
    "\r\n ",
    ":",
    ";",
    ",",
    "=",
    "\"",
    "\\",
    "<",
    ">",
    "@",
    "[",
    "]",
    "%",
    "%41",
    "%",
    "?",
    "&",
    "*",
    "\0",
    "\u{fc}",
    "SIP/2.0",
    "sip:",
    "Via:",
    "v:",
    "Content-Length: 5",
    "l:",
    "To:",
    "t: x",
    ";tag=",
    "-1",
    "99999999999999999999",
    "z9hG4bK",
    "Contact: *",
    "[::1]",
    "tel:1",
    "CSeq: 1 ACK",
    ";rport",
    ";received=",
];

/// Bytes that a failing test prints readably.
#[derive(Clone)]
struct Wire(Vec<u8>);

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

#[derive(Debug, Clone)]
enum Edit {
    Insert(usize, Vec<u8>),
    Overwrite(usize, u8),
    Remove(usize, usize),
    Repeat(usize, usize),
    Cut(usize),
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        (any::<usize>(), select(PIECES)).prop_map(|(at, piece)| Edit::Insert(at, piece.as_bytes().to_vec())),
        (any::<usize>(), any::<u8>()).prop_map(|(at, byte)| Edit::Overwrite(at, byte)),
        (any::<usize>(), 1..40usize).prop_map(|(at, length)| Edit::Remove(at, length)),
        (any::<usize>(), 1..80usize).prop_map(|(at, length)| Edit::Repeat(at, length)),
        any::<usize>().prop_map(Edit::Cut),
    ]
}

fn apply(mut bytes: Vec<u8>, edits: &[Edit]) -> Vec<u8> {
    for edit in edits {
        let place = |at: usize| at % (bytes.len() + 1);
        match edit {
            Edit::Insert(at, piece) => {
                let at = place(*at);
                bytes.splice(at..at, piece.iter().copied());
            }
            Edit::Overwrite(at, byte) => {
                let at = place(*at);
                if let Some(target) = bytes.get_mut(at) {
                    *target = *byte;
                }
            }
            Edit::Remove(at, length) => {
                let at = place(*at);
                let end = bytes.len().min(at + length);
                bytes.drain(at..end);
            }
            Edit::Repeat(at, length) => {
                let at = place(*at);
                let piece = bytes[at..bytes.len().min(at + length)].to_vec();
                bytes.splice(at..at, piece);
            }
            Edit::Cut(at) => bytes.truncate(place(*at)),
        }
    }
    bytes
}

fn mutated() -> impl Strategy<Value = Wire> {
    (select(&CORPUS[..]), vec(edit(), 0..6)).prop_map(|(bytes, edits)| Wire(apply(bytes, &edits)))
}

/// What comes between the messages of a stream.
fn line_ends() -> impl Strategy<Value = Wire> {
    const KINDS: &[&str] = &["\r\n", "\r\n\r\n", "\n"];
    select(KINDS).prop_map(|kind| Wire(kind.as_bytes().to_vec()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, failure_persistence: None, ..ProptestConfig::default() })]

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
    assert!(CORPUS.len() > 60);
    for bytes in CORPUS.iter() {
        check::message(bytes);
        check::stream(bytes, &[7, 1, 64]);
    }
    check::stream(&CORPUS.concat(), &[1000, 1, 3, 17]);
}
