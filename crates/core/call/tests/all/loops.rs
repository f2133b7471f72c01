//! A call that comes back to where it was.

use crate::support::*;

use hookswitch_call::*;

/// A call for `to` under that name on the wire, dialled on to one place: the name of that leg.
fn passes(desk: &mut Desk, wire_id: &str, to: &str) -> Result<String, String> {
    desk.since();
    let call = desk.incoming_with(|incoming| {
        incoming.wire_id = wire_id.into();
        incoming.to = Address::from(to);
    });
    if let Some(refused) = desk.since().into_iter().find(|said| said.starts_with("refuse")) {
        return Err(refused);
    }
    desk.located(call, &["sip:self@127.0.0.1"]);
    Ok(format!("b-{call}-1"))
}

#[test]
fn a_call_that_comes_back_for_the_same_address_is_refused() {
    let mut desk = Desk::new(Limits::default());
    let first = passes(&mut desk, "from-alice", "sip:bob@x").unwrap();
    assert_eq!(passes(&mut desk, &first, "sip:bob@x"), Err("refuse 482 Loop Detected".into()));
}

#[test]
fn a_call_that_comes_back_for_another_address_goes_on_until_one_repeats() {
    let mut desk = Desk::new(Limits::default());
    let mut name = passes(&mut desk, "from-alice", "sip:n0@x").unwrap();
    for n in 1..20 {
        name = passes(&mut desk, &name, &format!("sip:n{n}@x")).unwrap();
    }
    assert_eq!(passes(&mut desk, &name, "sip:n3@x"), Err("refuse 482 Loop Detected".into()));
}

#[test]
fn two_calls_for_the_same_address_are_no_loop() {
    let mut desk = Desk::new(Limits::default());
    passes(&mut desk, "from-alice", "sip:bob@x").unwrap();
    passes(&mut desk, "from-zoe", "sip:bob@x").unwrap();
    // Nor are two under one name which the caller chose.
    passes(&mut desk, "from-zoe", "sip:bob@x").unwrap();
}
