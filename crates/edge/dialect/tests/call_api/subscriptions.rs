//! Ruling 34: events about all calls only for those who ask, and only in strict sessions.

use std::time::Duration;

use hookswitch_call::{
    Address, CallId, Cause, Digit, Diverting, Event, Fault, Kind, LegId, OrderNews, Party, PlayEnd, PlayNews,
    RecordingId, Room, RoomNews,
};
use hookswitch_dialect::call_api::{Admission, COMMANDS, LogLost, LogOrder, Mode, SessionId, Tag};
use hookswitch_dialect::journal::EventId;

use crate::rig::{Rig, answered, connecting, dialing, events, over, request, ringing};

fn subscribe(cmd_id: &str) -> String {
    request("Subscribe", &serde_json::json!({"cmd_id": cmd_id}))
}

fn unsubscribe(cmd_id: &str) -> String {
    request("Unsubscribe", &serde_json::json!({"cmd_id": cmd_id}))
}

#[test]
fn a_subscriber_hears_every_event_of_every_call() {
    let mut rig = Rig::new(Mode::Strict);
    assert_eq!(events(&rig.send(&subscribe("s"))), ["Started"]);
    let incoming = Event::Incoming { from: Address::from("sip:a@b"), to: Address::from("sip:c@d") };
    let ended = Event::LegEnded { leg: LegId(1), party: Party::Callee, cause: Cause::hangup() };
    let mut heard = Vec::new();
    for event in [
        incoming,
        connecting(),
        dialing(Party::Callee, "b"),
        ringing(180, "Ringing"),
        answered(Party::Callee),
        Event::Bridged,
        ended,
        over(),
    ] {
        heard.extend(rig.tell(None, event));
    }
    assert_eq!(
        events(&heard),
        [
            "CallIncoming",
            "CallConnecting",
            "CallDialing",
            "CallProgress",
            "CallAnswered",
            "CallBridged",
            "CallLegEnded",
            "CallEnded"
        ]
    );
    for (seq, message) in heard.iter().enumerate() {
        assert_eq!(message["method"], "Subscribe");
        assert_eq!(message["params"]["cmd_id"], "s");
        assert_eq!(message["params"]["data"]["call"], "000000000001");
        assert_eq!(message["params"]["data"]["seq"], seq);
    }
    assert_eq!(heard[2]["params"]["data"]["callid"], "b");
    assert_eq!(heard[6]["params"]["data"]["cause"], "200 OK");
}

#[test]
fn it_ends_when_asked_and_only_then() {
    let mut rig = Rig::new(Mode::Strict);
    rig.send(&subscribe("s"));
    rig.start("call");
    for wrong in ["call", "nothing"] {
        assert_eq!(events(&rig.send(&unsubscribe(wrong))), ["Started", "Error", "Ended"]);
    }
    let heard = rig.send(&unsubscribe("s"));
    assert_eq!(events(&heard), ["Started", "Ended", "Ended"]);
    assert_eq!(heard[1]["params"]["cmd_id"], "s");
    assert_eq!(heard[2]["params"]["cmd_id"], heard[0]["result"]["cmd_id"]);
    assert!(rig.tell(None, over()).is_empty());
    assert_eq!(events(&rig.send(&subscribe("s"))), ["Started"]);
}

#[test]
fn nobody_hears_of_calls_without_asking() {
    let mut rig = Rig::new(Mode::Original);
    rig.hub.open(SessionId(2), Admission::open(Mode::Strict)).unwrap();
    assert!(rig.tell(None, over()).is_empty());
    assert_eq!(rig.send(&subscribe("s"))[0]["error"]["message"], "unknown JSON-RPC method");
}

/// Holds and transfers have names of their own here: those of the commands speak of the client's
/// own command.
#[test]
fn a_subscriber_hears_of_holds_and_transfers() {
    let carol = || Address::from("sip:carol@192.0.2.7");
    let to = || Some(Address::from("sip:carol@192.0.2.7"));
    let party = Party::Callee;
    let in_room = |news| Event::InRoom { party, room: Room::from("conference-a@x"), news };
    let mut rig = Rig::new(Mode::Strict);
    rig.send(&subscribe("s"));
    let mut heard = Vec::new();
    for event in [
        Event::Noticed { wire_id: "n".into() },
        Event::HoldAccepted { hold: true },
        Event::HoldAsked { party, hold: true },
        Event::Held { party, hold: true },
        Event::HoldAccepted { hold: false },
        Event::HoldAsked { party, hold: false },
        Event::Held { party, hold: false },
        Event::Transferring { party, to: to() },
        Event::TransferStarted { wire_id: "new".into(), to: to() },
        Event::TransferProgress { status: 180, text: "Ringing".into() },
        Event::Transferred,
        Event::TransferFailed { cause: Cause::new(Kind::Busy, Fault::Peer) },
        Event::HeldBy { party, hold: true },
        Event::HeldBy { party, hold: false },
        Event::Diverted { from: carol(), to: carol(), why: Diverting::Busy },
        Event::Replaced { leg: LegId(3), party, by: carol() },
        in_room(RoomNews::Joined(3)),
        in_room(RoomNews::Speaks(true)),
        in_room(RoomNews::Speaks(false)),
        in_room(RoomNews::Left),
        in_room(RoomNews::Refused(Cause::new(Kind::Busy, Fault::Server))),
    ] {
        heard.extend(rig.tell(None, event));
    }
    assert_eq!(
        events(&heard),
        [
            "CallNoticed",
            "CallHoldAccepted",
            "CallHoldAsked",
            "CallHeld",
            "CallUnholdAccepted",
            "CallUnholdAsked",
            "CallUnheld",
            "CallTransferAsked",
            "CallTransferStarted",
            "CallTransferProgress",
            "CallTransferred",
            "CallTransferFailed",
            "CallHeldBy",
            "CallUnheldBy",
            "CallDiverted",
            "CallReplaced",
            "CallRoomEntered",
            "CallSpeechBegun",
            "CallSpeechEnded",
            "CallRoomLeft",
            "CallRoomRefused"
        ]
    );
    let data = |index: usize, name: &str| heard[index]["params"]["data"][name].clone();
    assert_eq!((data(0, "callid"), data(2, "party"), data(8, "callid")), ("n".into(), "callee".into(), "new".into()));
    assert_eq!((data(7, "to"), data(9, "extra")), ("sip:carol@192.0.2.7".into(), "180 Ringing".into()));
    let entered = (data(16, "room"), data(16, "members"), data(20, "cause"));
    assert_eq!(entered, ("conference-a@x".into(), 3.into(), "486 Busy Here".into()));
    // None of them is also said by a command, where it would mean something else.
    let commands = COMMANDS.iter().filter(|row| row.name != "Subscribe");
    let of_commands: Vec<&str> = commands.flat_map(|row| row.events).map(|event| event.name()).collect();
    assert!(events(&heard).iter().all(|name| !of_commands.contains(name)));
}

#[test]
fn a_subscriber_hears_of_calls_that_commands_make() {
    let mut rig = Rig::new(Mode::Strict);
    rig.send(&subscribe("s"));
    let heard = rig.tell(None, Event::Started { caller: Address::from("sip:a@x"), callee: Address::from("sip:b@x") });
    assert_eq!(events(&heard), ["CallStarted"]);
    let data = &heard[0]["params"]["data"];
    assert_eq!((&data["caller"], &data["callee"]), (&"sip:a@x".into(), &"sip:b@x".into()));
}

#[test]
fn a_subscriber_hears_of_keys_sounds_and_recordings() {
    let mut rig = Rig::new(Mode::Strict);
    rig.send(&subscribe("s"));
    let missing = PlayNews::Missing { sound: "a.wav".into(), why: "no".into() };
    let ended = PlayNews::Ended(PlayEnd::TelephoneEvent);
    let mut heard = Vec::new();
    for news in [
        OrderNews::Key(Digit { key: '#', time: Duration::from_millis(120) }),
        OrderNews::Collected { keys: "12".into(), complete: false },
        OrderNews::Play { news: PlayNews::Started, position: Duration::ZERO },
        OrderNews::Play { news: missing, position: Duration::from_secs(1) },
        OrderNews::Play { news: ended, position: Duration::from_secs(2) },
        OrderNews::Recording(RecordingId(256)),
    ] {
        heard.extend(rig.tell(None, Event::Audio { party: Party::Callee, news }));
    }
    let data = |index: usize, name: &str| heard[index]["params"]["data"][name].clone();
    assert_eq!(
        events(&heard),
        [
            "CallKeyPressed",
            "CallKeysCollected",
            "CallPlayStarted",
            "CallPlayMissing",
            "CallPlayEnded",
            "CallRecordingStarted"
        ]
    );
    assert_eq!((data(0, "key"), data(0, "ms"), data(0, "party")), ("#".into(), 120.into(), "callee".into()));
    assert_eq!((data(1, "keys"), data(1, "reason")), ("12".into(), "timeout".into()));
    assert_eq!((data(3, "sound"), data(3, "cause"), data(3, "position")), ("a.wav".into(), "no".into(), 1000.into()));
    assert_eq!((data(4, "reason"), data(5, "recording")), ("telephone-event".into(), 256.into()));
}

fn subscribe_after(cmd_id: &str, after: &str) -> String {
    request("Subscribe", &serde_json::json!({"cmd_id": cmd_id, "after": after}))
}

/// The tag and the place of the only order to follow.
fn followed(rig: &mut Rig) -> (Tag, Option<EventId>) {
    match rig.logs.pop() {
        Some((SessionId(1), LogOrder::Follow { tag, after, .. })) => (tag, after),
        other => panic!("{other:?}"),
    }
}

#[test]
fn with_after_the_log_is_followed_and_no_call_is_told_twice() {
    let mut rig = Rig::new(Mode::Strict);
    assert_eq!(events(&rig.send(&subscribe_after("s", "17"))), ["Started"]);
    assert_eq!(followed(&mut rig).1, Some(EventId(17)));
    assert!(rig.tell(None, over()).is_empty(), "whoever reads the log tells of it");
    // One of them on a connection, and beside it as many of the others as may be.
    let heard = rig.send(&subscribe_after("t", "now"));
    assert_eq!(events(&heard), ["Started", "Error", "Ended"]);
    assert_eq!(heard[1]["params"]["reason"]["code"], 409);
    assert_eq!(events(&rig.send(&subscribe("u"))), ["Started"]);
    let heard = rig.send(&unsubscribe("s"));
    assert_eq!(events(&heard), ["Started", "Ended", "Ended"]);
    assert_eq!(rig.logs, [(SessionId(1), LogOrder::Leave)]);
    rig.logs.clear();
    assert_eq!(events(&rig.send(&subscribe_after("s", "now"))), ["Started"]);
    assert_eq!(followed(&mut rig).1, None);
}

#[test]
fn only_some_calls_types_and_domains_may_be_asked_for() {
    let mut rig = Rig::new(Mode::Strict);
    let some = serde_json::json!({"cmd_id": "s", "call": "call_1,call_2", "type": "call.ended", "domain": "A.test"});
    assert_eq!(events(&rig.send(&request("Subscribe", &some))), ["Started"]);
    let Some((_, LogOrder::Follow { after, filter, .. })) = rig.logs.pop() else { panic!("nobody follows the log") };
    assert_eq!(after, None, "from now on");
    assert_eq!(filter.calls, [CallId(1), CallId(2)]);
    assert_eq!((filter.kinds, filter.domains), (vec!["call.ended".into()], vec!["a.test".into()]));
    assert!(rig.tell(None, over()).is_empty(), "whoever reads the log tells of it");
    rig.send(&unsubscribe("s"));
    rig.logs.clear();
    rig.send(&subscribe_after("s", "17"));
    let Some((_, LogOrder::Follow { filter, .. })) = rig.logs.pop() else { panic!("nobody follows the log") };
    assert_eq!(filter.kinds, ["call.*", "command.ended"]);
    for (name, value) in [("call", "1"), ("type", "registration.*"), ("type", "*"), ("domain", "")] {
        let heard = rig.send(&request("Subscribe", &serde_json::json!({"cmd_id": "t", name: value})));
        let data = &heard[0]["error"]["data"];
        assert_eq!(data["reason"]["param"], name, "{}", heard[0]);
    }
}

#[test]
fn an_event_that_the_log_does_not_have_ends_it_with_the_oldest_that_it_has() {
    let mut rig = Rig::new(Mode::Strict);
    rig.send(&subscribe_after("s", "17"));
    let (tag, _) = followed(&mut rig);
    rig.hub.log_lost(tag, LogLost { oldest: Some(EventId(90)) });
    let heard = rig.values();
    assert_eq!(events(&heard), ["Error", "Ended"]);
    assert_eq!(heard[0]["params"]["data"], "410 the event is not in the log any more, or never was");
    let reason = &heard[0]["params"]["reason"];
    assert_eq!((&reason["code"], &reason["oldest"], &reason["param"]), (&410.into(), &"90".into(), &"after".into()));
    // It is over: what is said of it again is nothing to anybody, and another one may begin.
    rig.hub.log_lost(tag, LogLost { oldest: None });
    assert!(rig.values().is_empty());
    rig.send(&subscribe_after("s", "90"));
    let (tag, _) = followed(&mut rig);
    rig.hub.log_lost(tag, LogLost { oldest: None });
    assert_eq!(rig.values()[0]["params"]["reason"]["code"], 501);
    rig.send(&subscribe_after("s", "90"));
    rig.hub.closed(SessionId(1));
    assert_eq!(rig.hub.running(), 0);
}

#[test]
fn what_is_no_event_is_refused() {
    let mut rig = Rig::new(Mode::Strict);
    for after in ["", "-1", "soon", "99999999999999999999"] {
        let heard = rig.send(&subscribe_after("s", after));
        assert_eq!(heard[0]["error"]["data"]["reason"]["param"], "after", "{after:?}");
    }
    assert!(rig.logs.is_empty());
}
