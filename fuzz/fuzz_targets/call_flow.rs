//! Any bytes as a document of a call flow: what is read can be written and read again, and a mistake has a place.
#![no_main]

use hookswitch_dialect::flow::{Document, DocumentError};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| match Document::read(data) {
    Ok(document) => {
        let text = serde_json::to_vec(&document).expect("a document is plain data");
        // With what was left out before it may be too long; it is no other one.
        if let Ok(again) = Document::read(&text) {
            assert_eq!(again, document);
        }
    }
    Err(DocumentError::Bad { place, why }) => assert!(!place.is_empty() && !why.is_empty()),
    Err(DocumentError::TooLong) => {}
});
