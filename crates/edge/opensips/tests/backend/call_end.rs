//! A call is ended.

use hookswitch_call::{CallRef, Cause, Command, Fault, Kind, Refused, Ticket};
use serde_json::json;

use crate::rig::{Rig, config, dialog, seconds, wire};

fn end(rig: &mut Rig, callid: &str) -> Ticket {
    rig.submit(Command::End { call: wire(callid), cause: Cause::hangup() }).unwrap()
}

#[test]
fn a_call_is_ended_by_its_call_id_or_by_opensips_name_for_it() {
    for name in ["195f735d88ff@127.0.0.21", "5bf.35eb18f7"] {
        let mut rig = Rig::up();
        end(&mut rig, name);
        let request = rig.take("dlg_end_dlg");
        assert_eq!(request.params, json!({"dialog_id": name}));
        rig.result(&request, json!("OK"));
        rig.expect(&["ok"]);
        assert_eq!(rig.core.counts().calls, 0);
    }
}

#[test]
fn a_call_that_is_not_there_is_told_in_opensips_words() {
    for (code, text) in
        [(404, "Requested Dialog not found"), (403, "Node is backup for requested dialog"), (500, "Operation failed")]
    {
        let mut rig = Rig::up();
        end(&mut rig, "a");
        let request = rig.take("dlg_end_dlg");
        rig.refuse(&request, code, text);
        let upstream = rig.outcomes[0].result.clone().unwrap_err().upstream.unwrap();
        assert_eq!((upstream.code, upstream.text.as_str()), (code, text));
    }
}

#[test]
fn a_lost_reply_is_settled_by_a_look_up() {
    let lost = || {
        let mut rig = Rig::up();
        end(&mut rig, "a");
        rig.take("dlg_end_dlg");
        rig.pass(config().mi_timeout);
        rig
    };
    let mut gone = lost();
    let lookup = gone.take("dlg_list");
    gone.error(&lookup, 404, "Dialog not found");
    gone.expect(&["ok"]);

    let mut over = lost();
    over.accept("dlg_list", dialog(5));
    over.expect(&["ok"]);

    let mut there = lost();
    there.accept("dlg_list", dialog(4));
    let again = there.take("dlg_end_dlg");
    there.refuse(&again, 404, "Requested Dialog not found");
    there.expect(&["ok"]);

    let mut stubborn = lost();
    for _ in 0..2 {
        stubborn.accept("dlg_list", dialog(4));
        stubborn.take("dlg_end_dlg");
        stubborn.pass(config().mi_timeout);
    }
    stubborn.accept("dlg_list", dialog(4));
    stubborn.expect(&["failed Backend: 503 OpenSIPS did not reply, and the call goes on (Upstream)"]);
}

#[test]
fn an_unusual_cause_is_told_to_the_parties() {
    let mut rig = Rig::up();
    let cause = Cause::new(Kind::Unreachable, Fault::Controller).with_text("a\r\nb");
    rig.submit(Command::End { call: wire("a"), cause }).unwrap();
    let headers = rig.take("dlg_end_dlg").params["extra_hdrs"].clone();
    assert_eq!(headers, "Reason: SIP;cause=480\r\nReason: Q.850;cause=20\r\n");
}

#[test]
fn a_name_that_can_be_no_calls_is_refused() {
    let mut rig = Rig::up();
    for name in ["", "a\r\nb", &"x".repeat(256)] {
        let command = Command::End { call: wire(name), cause: Cause::hangup() };
        assert_eq!(rig.submit(command), Err(Refused::NoSuchCall));
    }
    for call in [CallRef::Ticket(Ticket(99)), CallRef::Id(hookswitch_call::CallId(99))] {
        let command = Command::End { call, cause: Cause::hangup() };
        assert_eq!(rig.submit(command), Err(Refused::NoSuchCall));
    }
}

#[test]
fn the_end_is_told_when_it_comes_and_looked_up_when_it_does_not() {
    let mut rig = Rig::up();
    rig.dialog_event("a", 4);
    end(&mut rig, "a");
    rig.accept("dlg_end_dlg", json!("OK"));
    rig.expect(&["noticed a", "ok"]);
    rig.pass(seconds(10));
    let lookup = rig.take("dlg_list");
    rig.error(&lookup, 404, "Dialog not found");
    rig.expect(&["ended 200 OK"]);
}

#[test]
fn where_no_ends_are_told_ours_is_said_at_once() {
    let silent = hookswitch_opensips::Config { dialog_events: false, ..config() };
    let mut rig = Rig::with(silent, crate::rig::VERSION);
    rig.call_start("one");
    rig.accept("t_uac_dlg", crate::rig::answered());
    rig.pass(seconds(1));
    rig.accept("call_transfer", json!("Accepted"));
    rig.transfer_event("one", "two", "ok", "200 OK");
    rig.accept("dlg_end_dlg", json!("OK"));
    rig.read();
    end(&mut rig, "two");
    rig.accept("dlg_end_dlg", json!("OK"));
    rig.expect(&["ok", "ended 200 OK"]);
    assert_eq!(rig.core.counts().calls, 0);
}

#[test]
fn a_first_leg_that_is_left_over_is_ended_however_long_that_takes() {
    let mut rig = Rig::up();
    rig.call_start("one");
    // Answered, but not as it should be.
    rig.accept("t_uac_dlg", json!({"Status": "202 Accepted"}));
    for _ in 0..6 {
        while rig.sent.is_empty() {
            rig.pass(seconds(1));
        }
        // The request is lost, and the dialog stays.
        rig.take("dlg_end_dlg");
        rig.pass(config().mi_timeout);
        rig.accept("dlg_list", dialog(4));
    }
    assert_eq!(rig.core.counts().leftovers, 1);
    while rig.sent.is_empty() {
        rig.pass(seconds(1));
    }
    rig.accept("dlg_end_dlg", json!("OK"));
    assert_eq!(rig.core.counts().leftovers, 0);
}

#[test]
fn a_first_leg_that_opensips_never_ends_is_left_to_it_at_last() {
    let mut rig = Rig::up();
    rig.call_start("one");
    rig.accept("t_uac_dlg", json!({"Status": "202 Accepted"}));
    for _ in 0..3_600 {
        if let Some(end) = rig.try_take("dlg_end_dlg") {
            rig.error(&end, 403, "Node is backup for requested dialog");
        }
        rig.pass(seconds(1));
    }
    assert_eq!(rig.core.counts().leftovers, 0);
}
