//! Ruling 26: what becomes of commands whose client is gone.

use hookswitch_call::{CallRef, Command, Party, Stage};
use hookswitch_dialect::call_api::{Admission, Config, Mode, OnDisconnect, SessionId};

use crate::rig::{Rig, answered, dialing, failure, over, request};

#[test]
fn by_default_they_run_on_unheard() {
    let mut rig = Rig::new(Mode::Original);
    let ticket = rig.start("x");
    rig.hub.closed(SessionId(1));
    assert!(rig.drain().is_empty());
    assert_eq!((rig.hub.sessions(), rig.hub.running()), (0, 1));
    rig.tell(Some(ticket), answered(Party::Caller));
    assert!(rig.settle(ticket, failure(Stage::Callee, 486, "")).is_empty());
    assert_eq!(rig.hub.running(), 0);
    assert_eq!(rig.submitted.len(), 1);
    // CallerAnswered; then Transferring, TransferStart, TransferPending, Error, Ended.
    assert_eq!(rig.hub.counts().unheard, 6);
}

#[test]
fn calls_in_the_making_can_be_ended_with_it() {
    let config = Config { on_disconnect: OnDisconnect::End, ..Config::default() };
    let mut rig = Rig::with(Mode::Original, config);
    let start = rig.start("x");
    rig.send(&request("CallEnd", &serde_json::json!({"callid": "other"})));
    rig.hub.closed(SessionId(1));
    assert!(rig.drain().is_empty());
    assert_eq!(rig.submitted.len(), 3);
    assert!(matches!(&rig.submitted[2], Command::End { call, .. } if *call == CallRef::Ticket(start)));
    for ticket in 1..=3 {
        rig.settle(hookswitch_call::Ticket(ticket), Ok(()));
    }
    assert_eq!(rig.hub.running(), 0);
}

/// A connection can be lost and its session's name never comes back: nothing may stay behind.
#[test]
fn nothing_stays_behind() {
    let mut rig = Rig::new(Mode::Strict);
    for session in 2..200 {
        rig.hub.open(SessionId(session), Admission::open(Mode::Strict)).unwrap();
        rig.send_on(session, &request("Subscribe", &serde_json::json!({})));
        rig.send_on(session, &crate::rig::start_text("x"));
        let ticket = rig.ticket;
        rig.hub.closed(SessionId(session));
        rig.hub.closed(SessionId(session));
        rig.tell_of(session, Some(ticket), dialing(Party::Callee, "b"));
        rig.settle(ticket, Ok(()));
        rig.tell_of(session, Some(ticket), over());
    }
    assert_eq!((rig.hub.sessions(), rig.hub.running()), (1, 0));
    assert!(rig.send_on(77, "hello").is_empty());
}
