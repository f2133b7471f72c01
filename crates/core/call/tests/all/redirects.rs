//! A phone names others that are to be called in its place (3xx).

use crate::support::*;

use hookswitch_call::*;

fn redirected(desk: &mut Desk, call: CallId, leg: u16, to: &[&str]) {
    let to = to.iter().map(|to| Address::from(*to)).collect();
    desk.tell(Report::Redirected { call, leg: LegId(leg), to });
    desk.ended(call, leg, Cause::from_status(302, "Moved Temporarily"));
}

fn ringing(follow_redirects: bool, places: &[&str]) -> (Desk, CallId) {
    let mut desk = Desk::new(Limits { follow_redirects, ..Limits::default() });
    let call = desk.incoming(Some("a"));
    desk.located(call, places);
    desk.since();
    (desk, call)
}

#[test]
fn nobody_is_called_on_a_phones_word_unless_configured() {
    let (mut desk, call) = ringing(false, &["sip:b1@x"]);
    redirected(&mut desk, call, 1, &["sip:carol@x"]);
    assert_eq!(desk.since(), ["hangup 0 302 Moved Temporarily"], "which a caller is told as 480");
}

#[test]
fn whom_a_phone_names_is_called_when_nobody_else_is_left() {
    let (mut desk, call) = ringing(true, &["sip:b1@x", "sip:b2@x"]);
    redirected(&mut desk, call, 1, &["sip:carol@x", "sip:dora@x"]);
    assert_eq!(desk.since(), [""; 0], "another phone still rings");
    desk.ended(call, 2, Cause::from_status(486, ""));
    assert_eq!(desk.since(), ["locate sip:carol@x", "ring 181"]);
    assert!(matches!(desk.ops[desk.ops.len() - 2], Op::Locate { anywhere: false, .. }), "a phone opens no doors");
    desk.nowhere(call, Kind::Unreachable);
    assert_eq!(desk.since(), ["locate sip:dora@x", "ring 181"]);
    let orderers = desk.ops.iter().filter_map(|op| if let Op::Locate { by, .. } = op { Some(by) } else { None });
    let orderers: Vec<_> =
        orderers.map(|by| (by.leg, by.forwarders.iter().map(|who| who.0.as_str()).collect::<Vec<_>>())).collect();
    let (caller, bob) = (Some(LegId(0)), "sip:bob@x");
    let expected = [(caller, vec![]), (caller, vec![bob]), (caller, vec![bob])];
    assert_eq!(orderers, expected, "whose phone has named them, and not carol, who was named before");
    desk.nowhere(call, Kind::Unreachable);
    assert_eq!(desk.since(), ["hangup 0 486 Busy Here"]);
}

#[test]
fn whom_those_name_is_not_called() {
    let (mut desk, call) = ringing(true, &["sip:b1@x"]);
    redirected(&mut desk, call, 1, &["sip:carol@x"]);
    desk.located(call, &["sip:c1@x"]);
    desk.since();
    redirected(&mut desk, call, 2, &["sip:dora@x"]);
    assert_eq!(desk.since(), ["hangup 0 302 Moved Temporarily"]);
}

#[test]
fn a_phone_names_so_many_at_most() {
    let (mut desk, call) = ringing(true, &["sip:b1@x"]);
    let many: Vec<String> = (0..MAX_REDIRECTS + 3).map(|n| format!("sip:n{n}@x")).collect();
    redirected(&mut desk, call, 1, &many.iter().map(String::as_str).collect::<Vec<_>>());
    let mut called = 0;
    while desk.since().first().is_some_and(|said| said.starts_with("locate")) {
        called += 1;
        desk.nowhere(call, Kind::NotFound);
    }
    assert_eq!(called, MAX_REDIRECTS);
}
