//! Credentials nobody could have meant.

use crate::auth_conversation::*;
use hookswitch_sip::auth::{Verdict, Which};
use hookswitch_sip_msg::{HeaderName, Message};
use proptest::prelude::*;

/// Where the values begin that a phone vouches for.
const PROOF: [&str; 7] = ["username=\"", "realm=\"", ", nonce=\"", "uri=\"", "response=\"", " nc=", "cnonce=\""];

fn with_header(value: &[u8]) -> Option<Message> {
    let plain = request(&[(HeaderName::Authorization, "@".to_owned())]);
    let at = plain.as_bytes().windows(3).position(|window| window == b": @")? + 2;
    let mut bytes = plain.as_bytes().to_vec();
    bytes.splice(at..=at, value.iter().copied());
    Message::parse(bytes.into()).ok()
}

proptest! {
    #[test]
    fn no_text_is_accepted(value in "(Digest )?[ -~\u{e9}]{0,200}") {
        if let Some(request) = with_header(value.as_bytes()) {
            let verdict = gate().check(at(0), &request, REALM, Which::Www, directory);
            prop_assert!(!matches!(verdict, Verdict::Accepted(_)));
        }
    }

    #[test]
    fn no_changed_byte_of_the_proof_is_accepted(part in 0..PROOF.len(), place in 0_usize..64, byte in 0x20_u8..) {
        let mut gate = gate();
        let answer = Phone::challenged_by(&mut gate, at(0)).answer();
        let start = answer.find(PROOF[part]).expect("a part of every answer") + PROOF[part].len();
        let length = answer[start..].find(['"', ',']).expect("something follows");
        let place = start + place % length;
        let mut changed = answer.clone().into_bytes();
        // Hexadecimal digits may be written in either case.
        prop_assume!(!changed[place].eq_ignore_ascii_case(&byte));
        changed[place] = byte;
        if let Some(request) = with_header(&changed) {
            let verdict = gate.check(at(1), &request, REALM, Which::Www, directory);
            prop_assert!(!matches!(verdict, Verdict::Accepted(_)), "{answer} became {:?}", changed.escape_ascii());
        }
    }
}
