//! One of everything that can happen.

use std::time::Duration;

use hookswitch_call::diagnosis::Finding;
use hookswitch_call::{
    AudioFacts, AudioQuality, AudioSound, CallAudio, CallId, Cause, Digit, Diverting, Event, Failure, Fault, Kind,
    LegId, OrderNews, Party, PlayEnd, PlayNews, RecordEnd, Recorded, RecordingId, Room, RoomNews, Stage, Told,
};
use hookswitch_dialect::journal::record::Records;
use hookswitch_dialect::journal::{ContactNews, Entry, FlowWord, PortsWord, TrunkWord};

/// 2026-11-22T17:05:09.120Z.
pub const AT: Duration = Duration::from_millis(1_795_367_109_120);

pub const CALL: CallId = CallId(0xab);

pub fn told(event: Event) -> Entry {
    of(CALL, event)
}

pub fn of(call: CallId, event: Event) -> Entry {
    Entry::Call(Told { at: AT, seq: 0, call, owner: None, event }, None)
}

pub fn incoming() -> Event {
    Event::Incoming { from: "sip:alice@A.test:5060;transport=tcp".into(), to: "sips:bob@[2001:DB8::1]:5061".into() }
}

pub fn ended() -> Event {
    Event::Ended { cause: Cause::hangup(), talked: Duration::from_millis(61_500) }
}

/// Every event of a call but the first and the last.
pub fn within() -> Vec<Event> {
    let (leg, party) = (LegId(1), Party::Callee);
    let room = Room::from("daily");
    let cause = || Cause::new(Kind::Busy, Fault::Peer);
    let in_room = |news| Event::InRoom { party, room: room.clone(), news };
    let audio = |news| Event::Audio { party, news };
    let play = |news| OrderNews::Play { news, position: Duration::from_millis(1_250) };
    vec![
        Event::Started { caller: "sip:alice@a.test".into(), callee: "tel:+49301".into() },
        Event::Connecting { to: "tel:+4930123456".into() },
        Event::Dialing { leg, party, wire_id: "x@y".into(), to: "sip:bob@192.0.2.7".into() },
        Event::Progress { leg, party, status: 180, text: "Ringing".into() },
        Event::Answered { leg, party },
        Event::Bridged,
        Event::Noticed { wire_id: "x@y".into() },
        Event::HoldAccepted { hold: true },
        Event::HoldAsked { party, hold: true },
        Event::Held { party, hold: false },
        Event::HeldBy { party, hold: true },
        Event::Diverted { from: "sip:bob@a.test".into(), to: "sip:carol@c.test".into(), why: Diverting::NoAnswer },
        Event::Replaced { leg, party, by: "sip:dave@a.test".into() },
        Event::Transferring { party, to: Some("sip:erin@e.test".into()) },
        Event::Transferring { party, to: None },
        Event::TransferStarted { wire_id: "z".into(), to: Some("sip:erin@192.0.2.8".into()) },
        Event::TransferProgress { status: 180, text: "Ringing".into() },
        Event::Transferred,
        Event::TransferFailed { cause: cause() },
        in_room(RoomNews::Joined(3)),
        in_room(RoomNews::Speaks(true)),
        in_room(RoomNews::Speaks(false)),
        in_room(RoomNews::Refused(cause())),
        in_room(RoomNews::Left),
        audio(OrderNews::Key(Digit { key: '#', time: Duration::from_millis(160) })),
        audio(play(PlayNews::Started)),
        audio(play(PlayNews::Missing { sound: "gone.wav".into(), why: "no such file".into() })),
        audio(play(PlayNews::Ended(PlayEnd::TelephoneEvent))),
        audio(OrderNews::Collected { keys: "12".into(), complete: true }),
        audio(OrderNews::Recording(RecordingId(256))),
        Event::LegEnded { leg, party, cause: cause() },
    ]
}

/// Everything else that the journal is told.
pub fn elsewhere() -> Vec<Entry> {
    let at = AT;
    let recorded = Recorded::nothing(&"x.wav".into(), RecordEnd::Failed("disk full".into()));
    let failure =
        Failure { party: Some(Party::Caller), held: vec![Party::Callee], ..Failure::new(Stage::Hold, Cause::hangup()) };
    let command = |call, result| Entry::Command { at, command: "cmd_1".into(), kind: "hold", call, result };
    let contact = |what, why| Entry::Registration {
        at,
        aor: "alice@A.test".into(),
        contact: "sip:a@192.0.2.1".into(),
        what,
        why,
    };
    let trunk = |what| Entry::Trunk { at, trunk: "carrier".into(), what, text: "192.0.2.9".into() };
    let quality = AudioQuality {
        jitter: Duration::from_micros(2_500),
        round_trip: Some(Duration::from_millis(40)),
        opinion: Some(412),
        sound: Some(AudioSound { level: Some(-20), ..AudioSound::default() }),
        ..AudioQuality::default()
    };
    let caller = AudioFacts { codec: Some("PCMA".into()), received: 50, quality, ..AudioFacts::default() };
    let audio = Box::new(CallAudio { caller, ..CallAudio::default() });
    let mut all = vec![
        Entry::Recorded { at, call: CALL, recording: RecordingId(0), recorded },
        Entry::Audio { at, call: CALL, audio, findings: vec![(Party::Caller, finding())] },
        Entry::Record(record()),
        command(None, Ok(())),
        command(Some(CALL), Err(failure)),
    ];
    let flow = |what, verb: Option<&str>, why: Option<&str>| {
        let (verb, why) = (verb.map(Into::into), why.map(Into::into));
        Entry::Flow { at, call: CALL, flow: "sales".into(), what, verb, why }
    };
    all.extend([
        flow(FlowWord::FallbackUrl, None, Some("status 500")),
        flow(FlowWord::Unanswered, None, Some("no answer in time")),
        flow(FlowWord::FellBack, None, None),
        flow(FlowWord::VerbFailed, Some("play"), Some("nothing of it could be played")),
    ]);
    all.extend([
        contact(ContactNews::Added, None),
        contact(ContactNews::Refreshed, None),
        contact(ContactNews::Stale, Some("silent")),
        contact(ContactNews::Revived, None),
        contact(ContactNews::Removed, Some("expired")),
    ]);
    use TrunkWord::{Down, Left, Missed, Proved, Refused, Registered, Unproved, Up};
    all.extend([Registered, Refused, Left, Up, Down, Missed, Proved, Unproved].map(trunk));
    let ports = |what| Entry::Ports { at, thread: 0, pairs: 50, what };
    all.extend([PortsWord::Exhausted, PortsWord::Free(7)].map(ports));
    all
}

/// The record of a call in which all sorts of things have happened.
fn record() -> Box<hookswitch_dialect::journal::record::CallDetail> {
    let mut records = Records::default();
    records.begin(AT, CALL, [&"sip:alice@a.test".into(), &"sip:bob@b.test".into()], Some(&"x@y".into()));
    for event in within().into_iter().chain([ended()]) {
        let Entry::Call(told, _) = told(event) else { unreachable!("it is a call's") };
        records.recorded(CALL, RecordingId(1), &Recorded::nothing(&"y.wav".into(), RecordEnd::Requested));
        records.told(&told);
    }
    records.handle_timeout(AT + Duration::from_secs(3_600));
    records.poll().expect("the call is over")
}

fn finding() -> Finding {
    Finding::Moved { times: 2, source: "192.0.2.3:4000".parse().expect("it is an address") }
}
