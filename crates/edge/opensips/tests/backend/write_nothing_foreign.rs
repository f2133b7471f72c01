//! Nothing that a controller writes becomes a header field of its own.

use hookswitch_call::{Address, Command, Notes};

use crate::rig::{Rig, config, wire};

#[test]
fn addresses_that_are_none_call_nobody() {
    let mut rig = Rig::up();
    let good = "sip:alice@10.0.0.10";
    for bad in [
        "sip:a@h\r\nX-Evil: 1",
        "sip:a@h\nX-Evil: 1",
        "sip:a@h\\r\\nX-Evil: 1",
        "sip:a@h>\r\n",
        "sip:a@h>;tag=x",
        "\"A\" <sip:a@h>",
        "sip:a@h,sip:b@h",
        "sip:a@h\0",
        "alice",
        "",
    ] {
        for (caller, callee) in [(bad, good), (good, bad)] {
            let (caller, callee) = (Address::from(caller), Address::from(callee));
            rig.submit(Command::Start { caller, callee, wire_id: None }).unwrap();
            rig.expect(&["failed Request: 400 Invalid ruri (Controller)"]);
        }
    }
    assert!(rig.methods().is_empty());
    assert_eq!((rig.core.counts().calls, rig.core.counts().commands), (0, 0));
}

#[test]
fn a_name_that_opensips_would_expand_is_replaced_by_one_of_ours() {
    let mut rig = Rig::up();
    for name in ["x\\r\\nX-Evil: 1", "x\r\nX-Evil: 1", "a b", "a@b@c"] {
        let (caller, callee) = (Address::from("sip:a@h"), Address::from("sip:b@h"));
        rig.submit(Command::Start { caller, callee, wire_id: Some(name.into()) }).unwrap();
        let headers = rig.take("t_uac_dlg").params["headers"].as_str().unwrap().to_owned();
        assert!(!headers.contains("Evil") && !headers.contains('\\'), "{headers}");
        assert_eq!(headers.matches("\r\n").count(), 6, "{headers}");
    }
}

#[test]
fn notes_that_are_no_header_fields_hold_nobody() {
    let mut rig = Rig::up();
    for (name, value) in
        [("X-A", "b\r\nX-Evil: 1"), ("X-A", "b\\r\\nX-Evil: 1"), ("X A", "b"), ("Contact", "<sip:x@y>")]
    {
        let notes = Notes(vec![(name.into(), value.into())]);
        rig.submit(Command::Hold { call: wire("a"), party: None, notes }).unwrap();
        rig.expect(&["failed Request: 400 a note cannot be written as a header field (Controller)"]);
    }
    assert!(rig.methods().is_empty());
}

#[test]
fn from_and_contact_can_be_configured_and_a_next_hop() {
    let config = hookswitch_opensips::Config {
        from: Some("sip:click@example.test".into()),
        contact: Some("sip:click@10.0.0.1:5060".into()),
        next_hop: Some("sip:10.0.0.1".into()),
        ..config()
    };
    let mut rig = Rig::with(config, crate::rig::VERSION);
    rig.call_start("one");
    let params = rig.take("t_uac_dlg").params;
    assert_eq!(params["next_hop"], "sip:10.0.0.1");
    assert_eq!(
        params["headers"],
        "From: <sip:click@example.test>\r\nTo: <sip:bob@10.0.0.11>\r\nContact: <sip:click@10.0.0.1:5060>\r\n\
         Content-Type: application/sdp\r\nCSeq: 1 INVITE\r\nCall-Id: one\r\n"
    );
}
