//! Whatever a server answers, reading it ends in a document or in an error that says where.

use hookswitch_dialect::flow::Document;
use proptest::prelude::*;

const GOOD: &str = r##"{"webhook":{"url":"http://a/","events":["call.*","call.ended"],"key":"k"},"verbs":[{"play":{"sounds":["a",{"tone":"425:200"}]}},{"collect":{"keys":{"1":[{"dial":{"to":[["a"],["b"]]}}]},"then":"/x"}},{"record":{"terminator":"#"}}]}"##;

proptest! {
    #[test]
    fn any_bytes_are_read_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Document::read(&bytes).is_err());
    }

    #[test]
    fn a_broken_document_is_none_or_another_one(at in 0..GOOD.len(), byte in any::<u8>(), cut in any::<bool>()) {
        let mut text = GOOD.as_bytes().to_vec();
        if cut {
            text.truncate(at);
        } else {
            text[at] = byte;
        }
        match Document::read(&text) {
            Ok(document) => {
                let again = serde_json::to_vec(&document).expect("JSON");
                prop_assert_eq!(Document::read(&again).expect("what was read can be read again"), document);
            }
            Err(error) => prop_assert!(error.to_string().contains(": ")),
        }
    }
}
