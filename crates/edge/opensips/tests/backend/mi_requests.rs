//! What is asked of OpenSIPS, byte by byte, and how often.

use std::collections::HashSet;

use hookswitch_call::{Command, Party};
use hookswitch_opensips::{Config, MiError, MiKind};
use serde_json::json;

use crate::rig::{Rig, config, millis, seconds, wire};

#[test]
fn requests_are_those_of_the_original_but_for_their_ids() {
    let mut rig = Rig::up();
    rig.call_start("CMD_ID");
    let sent = rig.take("t_uac_dlg");
    let expected = r#"{"jsonrpc":"2.0","id":"ID","method":"t_uac_dlg","params":{"body":"v=0\r\no=click-to-dial 0 0 IN IP4 0.0.0.0\r\ns=session\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n","headers":"From: <sip:alice@10.0.0.10>\r\nTo: <sip:bob@10.0.0.11>\r\nContact: <sip:alice@10.0.0.10>\r\nContent-Type: application/sdp\r\nCSeq: 1 INVITE\r\nCall-Id: CMD_ID\r\n","method":"INVITE","ruri":"sip:alice@10.0.0.10"}}"#;
    assert_eq!(sent.raw.replace(&sent.id, "ID"), expected);

    rig.hold("a");
    let sent = rig.take("call_hold");
    let expected = r#"{"jsonrpc":"2.0","id":"ID","method":"call_hold","params":{"callid":"a"}}"#;
    assert_eq!(sent.raw.replace(&sent.id, "ID"), expected);
}

#[test]
fn ids_are_strings_and_never_used_twice_nor_by_another_process() {
    let ids = |seed| {
        let mut rig = Rig::new(config(), [seed; 32]);
        rig.is_answering = false;
        rig.start();
        rig.sent.iter().map(|sent| sent.id.clone()).collect::<HashSet<_>>()
    };
    let (one, other) = (ids(1), ids(2));
    assert_eq!((one.len(), other.len()), (4, 4));
    assert!(one.is_disjoint(&other));
    assert!(one.iter().all(|id| id.starts_with("hs-") && id.len() < 24));
}

#[test]
fn replies_in_any_order_find_their_requests() {
    let mut rig = Rig::up();
    let first = rig.hold("a");
    let second = rig.hold("b");
    let (to_first, to_second) = (rig.take("call_hold"), rig.take("call_hold"));
    rig.error(&to_second, 404, "Dialog not found");
    assert_eq!(rig.outcomes[0].ticket, second);
    rig.refuse(&to_first, 480, "Both dialog legs are on hold");
    assert_eq!(rig.outcomes[1].ticket, first);
}

#[test]
fn only_what_may_be_done_twice_is_sent_twice() {
    let mut rig = Rig::up();
    rig.is_answering = false;
    rig.call_start("one");
    rig.hold("a");
    rig.unhold("b");
    rig.transfer("c");
    rig.join("d", "e", None);
    rig.submit(Command::End { call: wire("f"), cause: hookswitch_call::Cause::hangup() }).unwrap();
    rig.sent.clear();
    rig.pass(config().mi_timeout - millis(1));
    assert!(rig.methods().is_empty(), "{:?}", rig.methods());
    rig.pass(millis(1));
    let mut methods = rig.methods();
    methods.sort_unstable();
    // The four that were asked are looked up, and so is the one that rings; somebody asks whether OpenSIPS is there.
    assert_eq!(methods, ["dlg_list", "dlg_list", "dlg_list", "dlg_list", "dlg_list", "dlg_list", "version"]);
    let ids: Vec<_> = rig.sent.drain(..).map(|sent| sent.id).collect();
    rig.pass(seconds(2));
    let again: Vec<_> = rig.sent.drain(..).map(|sent| sent.id).collect();
    assert_eq!(again, [ids.clone(), ids].concat(), "twice more, by the same names");
    assert_eq!(rig.core.counts().repeats, 14);
}

#[test]
fn over_http_nothing_is_repeated() {
    let mut rig = Rig::with(Config { mi: MiKind::Http, ..config() }, crate::rig::VERSION);
    rig.is_answering = false;
    rig.pass(config().health_every + config().mi_timeout - millis(1));
    assert_eq!(rig.methods(), ["version", "subscribers_list"]);
    assert_eq!(rig.core.counts().repeats, 0);
}

#[test]
fn a_late_reply_is_counted_and_does_nothing() {
    let mut rig = Rig::up();
    rig.hold("a");
    let hold = rig.take("call_hold");
    rig.error(&hold, 404, "Dialog not found");
    rig.read();
    rig.result(&hold, json!("OK"));
    rig.fail(&hold, MiError::Timeout);
    rig.expect(&[]);
    assert_eq!(rig.core.counts().replies_late, 2);
}

#[test]
fn plain_text_batches_and_nonsense_are_counted_and_survived() {
    let mut rig = Rig::up();
    rig.hold("a");
    // O11, and whatever else.
    for text in ["400 Parse_error", "500 Internal error", "[]", "null", "{", "\u{0}", r#"{"id":null,"result":1}"#] {
        rig.reply_text(text);
    }
    assert_eq!(rig.core.counts().replies_bad, 7);
    rig.accept("call_hold", json!("OK"));
    rig.hold_event("a", "caller", "hold", "ok");
    rig.hold_event("a", "callee", "hold", "ok");
    assert_eq!(rig.read().pop().unwrap(), "ok");
}

#[test]
fn no_request_is_ever_more_than_one_object() {
    let mut rig = Rig::up();
    for number in 0..20 {
        rig.hold(&format!("{number}"));
    }
    assert!(rig.sent.iter().all(|sent| sent.raw.starts_with(r#"{"jsonrpc":"2.0","id":"hs-"#)));
    assert_eq!(rig.sent.len(), 20);
}

#[test]
fn the_party_is_named_as_opensips_names_it() {
    let mut rig = Rig::up();
    for (party, word) in [(Party::Caller, "caller"), (Party::Callee, "callee")] {
        let to = "sip:c@h".into();
        rig.submit(Command::Transfer { call: wire("a"), party, to, by: None }).unwrap();
        assert_eq!(rig.take("call_transfer").params["leg"], word);
    }
}
