//! The fixtures of this crate, and mutations of them.

use std::path::Path;
use std::sync::LazyLock;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// Every fixture of this crate by name.
pub fn files() -> Vec<(String, Vec<u8>)> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut files: Vec<_> = ["rfc4475", "rfc5118", "fixtures"]
        .iter()
        .flat_map(|folder| std::fs::read_dir(tests.join(folder)).expect("the fixtures are part of the crate"))
        .map(|entry| entry.expect("a folder can be listed").path())
        .map(|path| {
            let name = path.file_stem().expect("a file has a name").to_string_lossy().into_owned();
            (name, std::fs::read(&path).expect("a fixture can be read"))
        })
        .collect();
    files.sort();
    files
}

static CORPUS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| files().into_iter().map(|(_, bytes)| bytes).collect());

/// How long to try: `PROPTEST_CASES` may ask for more.
pub fn config() -> ProptestConfig {
    let default = ProptestConfig::default();
    ProptestConfig { cases: default.cases.max(1_500), failure_persistence: None, ..default }
}

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
pub struct Wire(pub Vec<u8>);

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

/// A fixture after up to five edits.
pub fn mutated() -> impl Strategy<Value = Wire> {
    (select(&CORPUS[..]), vec(edit(), 0..6)).prop_map(|(bytes, edits)| Wire(apply(bytes, &edits)))
}
