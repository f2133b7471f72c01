//! What can be seen of credentials while the password is not known yet, without deciding anything.

use crate::auth_conversation::*;
use hookswitch_sip::auth::{Peek, Which};
use hookswitch_sip_msg::{HeaderName, Message};

fn parsed(authorization: String) -> Message {
    request(&[(HeaderName::Authorization, authorization)])
}

#[test]
fn who_answers_a_challenge_of_ours_is_told_from_who_has_only_heard_of_one() {
    let mut gate = gate();
    let mut phone = Phone::challenged_by(&mut gate, at(0));
    let answer = parsed(phone.answer());
    let peek = |now, message: &Message| gate.peek(now, message, REALM, Which::Www, |_, _| None);
    assert_eq!(peek(at(0), &request(&[])), Peek::Nothing);
    assert_eq!(peek(at(300), &answer), Peek::Alive { right: false });
    assert_eq!(peek(at(301), &answer), Peek::Stale, "as old as no password would be good with");
    assert_eq!(gate.peek(at(0), &answer, "other.test", Which::Www, |_, _| None), Peek::Nothing);
}

#[test]
fn looking_at_credentials_does_not_use_them_up() {
    let mut gate = gate();
    let mut phone = Phone::challenged_by(&mut gate, at(0));
    let text = phone.answer();
    let answer = parsed(text.clone());
    for _ in 0..3 {
        assert_eq!(gate.peek(at(1), &answer, REALM, Which::Www, directory), Peek::Alive { right: true });
    }
    assert_accepted(send(&mut gate, at(1), text));
}
