//! Calls of a control server of ours, with the media engine's part said by hand.

use std::time::Duration;

use hookswitch_call::{
    AudioFacts, AudioNews, CallAudio, CallId, Cause, Digit, Fault, Kind, LegId, MediaOp, MediaReport, Part, Party,
    RecordEnd, RecordNews, RecordOrder, RecordPlan, Recorded, RecordingId, Role, Room, RoomNews, Sdp, Seat, Source,
};
use hookswitch_channels::{Channels, Config, Effort, FIRST_CHANNEL, MAX_ORDERS, Output, REMIND_EVERY, RequestId};
use serde_json::{Value, json};

const NOW: Duration = Duration::from_secs(1_000);
const CONTROL: &str = "http://127.0.0.1:9001";

/// What the control server calls its call.
const THEIRS: CallId = CallId(77);

struct Node {
    channels: Channels,
    requests: u64,
    answers: Vec<(u64, u16, Value)>,
    ops: Vec<MediaOp>,
    told: Vec<Value>,
}

impl Node {
    fn new(capacity: usize) -> Self {
        let channels = Channels::new(Config { capacity, ..Config::default() }, [3; 32]);
        Self { channels, requests: 0, answers: Vec::new(), ops: Vec::new(), told: Vec::new() }
    }

    fn drain(&mut self) {
        while let Some(output) = self.channels.poll_output() {
            match output {
                Output::Media(op) => self.ops.push(op),
                Output::Answer(RequestId(id), answer) => {
                    self.answers.push((id, answer.status, serde_json::from_str(&answer.body).unwrap()));
                }
                Output::Tell { control, path, body, .. } => {
                    assert_eq!(&*control, CONTROL);
                    let body: Value = serde_json::from_str(&body).unwrap();
                    assert_eq!(path, format!("channel/{}", body["uuid"].as_str().unwrap()));
                    self.told.push(body);
                }
            }
        }
    }

    fn send(&mut self, method: &str, path: &str, body: &Value) -> Option<(u16, Value)> {
        self.requests += 1;
        self.channels.request(NOW, RequestId(self.requests), method, path, body.to_string().as_bytes());
        self.drain();
        self.answered()
    }

    fn answered(&mut self) -> Option<(u16, Value)> {
        let at = self.answers.iter().position(|(of, ..)| *of == self.requests)?;
        let (_, status, body) = self.answers.remove(at);
        Some((status, body))
    }

    fn report(&mut self, report: MediaReport) {
        self.channels.report(report);
        self.drain();
    }

    /// The engine has done all that was asked before.
    fn done(&mut self, call: CallId, agreed: bool) {
        let caller = AudioFacts { agreed: agreed.then_some(NOW), ..AudioFacts::default() };
        let audio = Some(Box::new(CallAudio { caller, ..CallAudio::default() }));
        self.report(MediaReport::Audio { call, news: AudioNews::Asked, audio });
    }

    /// A call, and its name.
    fn open(&mut self, number: u64, theirs: CallId) -> (CallId, String) {
        let call = CallId(FIRST_CHANNEL + number);
        assert_eq!(self.send("POST", "/channel", &opening(theirs)), None, "it waits for the engine");
        self.done(call, false);
        let (status, body) = self.answered().unwrap();
        assert_eq!((status, &body["call"]), (200, &json!(format!("call-{}", theirs.0))));
        self.ops.clear();
        (call, body["uuid"].as_str().unwrap().to_owned())
    }

    fn orders(&mut self, uuid: &str, orders: &[MediaOp]) -> Option<(u16, Value)> {
        self.send("PUT", &format!("/channel/{uuid}"), &json!({"orders": orders}))
    }
}

fn opening(theirs: CallId) -> Value {
    let offer = Some((Party::Caller, Sdp::from("offer")));
    let open = MediaOp::Open { call: theirs, offer, codecs: None, near: Some([10, 0, 0, 1].into()), room: None };
    json!({"control": CONTROL, "call": format!("call-{}", theirs.0), "orders": [open]})
}

const CALLER: Seat = Seat::Of(Party::Caller);

#[test]
fn what_is_ordered_reaches_the_engine_in_order_and_its_reports_come_with_the_answer() {
    let mut node = Node::new(9);
    let (call, uuid) = node.open(0, THEIRS);
    let make = MediaOp::MakeAnswer { call: THEIRS, seat: CALLER, leg: LegId(4) };
    let hear = MediaOp::Hear { call: THEIRS, seat: CALLER, source: Source::Echo };
    assert_eq!(node.orders(&uuid, &[make, hear]), None);
    let asked = [
        MediaOp::MakeAnswer { call, seat: CALLER, leg: LegId(4) },
        MediaOp::Hear { call, seat: CALLER, source: Source::Echo },
        MediaOp::Inspect { call },
    ];
    assert_eq!(node.ops, asked);
    node.report(MediaReport::Local { call, seat: CALLER, leg: LegId(4), sdp: Sdp::from("answer") });
    assert_eq!(node.answered(), None);
    node.done(call, true);
    let (status, body) = node.answered().unwrap();
    let local = MediaReport::Local { call: THEIRS, seat: CALLER, leg: LegId(4), sdp: Sdp::from("answer") };
    assert_eq!((status, &body["reports"]), (200, &json!([local])));
    assert_eq!(node.told, Vec::<Value>::new());
    let key = Digit { key: '5', time: Duration::from_millis(80) };
    node.report(MediaReport::Digit { call, party: Party::Callee, digit: key, passed: true });
    let pressed = MediaReport::Digit { call: THEIRS, party: Party::Callee, digit: key, passed: true };
    let told = &node.told[0];
    assert_eq!((&told["call"], &told["seq"], &told["reports"]), (&json!("call-77"), &json!(0), &json!([pressed])));
}

#[test]
fn our_own_address_is_shown_and_not_that_of_the_control_server() {
    let config = Config { near: Some([192, 0, 2, 9].into()), ..Config::default() };
    let mut node = Node { channels: Channels::new(config, [3; 32]), ..Node::new(0) };
    node.send("POST", "/channel", &opening(THEIRS));
    let Some(MediaOp::Open { near, offer, .. }) = node.ops.first() else { panic!("{:?}", node.ops) };
    assert_eq!((*near, offer.is_some()), (Some([192, 0, 2, 9].into()), true));
}

#[test]
fn what_the_call_itself_asks_for_is_reported_and_does_not_answer_a_request() {
    let mut node = Node::new(9);
    let (call, uuid) = node.open(0, THEIRS);
    node.orders(&uuid, &[MediaOp::Inspect { call: THEIRS }]);
    node.done(call, true);
    assert_eq!(node.answered(), None, "that was for the call");
    node.done(call, true);
    let (_, body) = node.answered().unwrap();
    assert_eq!(body["reports"][0]["audio"]["news"], json!("asked"));
    assert_eq!(body["reports"][0]["audio"]["call"], json!(77));
}

#[test]
fn rooms_and_whispers_are_those_of_one_control_server() {
    let mut node = Node::new(9);
    let (first, one) = node.open(0, THEIRS);
    let (second, other) = node.open(1, CallId(78));
    let room = || Room::from("conference:7");
    let join = |call, role| {
        let part = Part { role, ..Part::default() };
        MediaOp::Join { call, party: Party::Caller, room: room(), part }
    };
    node.orders(&one, &[join(THEIRS, Role::Talk)]);
    node.orders(&other, &[join(CallId(78), Role::Whisper(THEIRS))]);
    let joins = node.ops.iter().filter_map(|op| match op {
        MediaOp::Join { call, room, part, .. } => Some((*call, room.clone(), part.role)),
        _ => None,
    });
    let joins: Vec<_> = joins.collect();
    let ours = Room(format!("{CONTROL} conference:7").into());
    assert_eq!(joins, [(first, ours.clone(), Role::Talk), (second, ours.clone(), Role::Whisper(first))]);
    node.done(first, true);
    node.report(MediaReport::Room { call: first, party: Party::Caller, room: ours, news: RoomNews::Joined(2) });
    let news = RoomNews::Joined(2);
    let joined = MediaReport::Room { call: THEIRS, party: Party::Caller, room: room(), news };
    assert_eq!(node.told.last().unwrap()["reports"], json!([joined]));
}

#[test]
fn who_whispers_is_heard_by_a_call_that_comes_later_or_anew() {
    let mut node = Node::new(99);
    let (whisperer, uuid) = node.open(0, CallId(78));
    let join = |role| {
        let part = Part { role, ..Part::default() };
        MediaOp::Join { call: CallId(78), party: Party::Caller, room: Room::from("conference:7"), part }
    };
    // What is ordered of rooms from then on: whom, and its role.
    let roles = |node: &mut Node| {
        let joins = node.ops.drain(..).filter_map(|op| match op {
            MediaOp::Join { call, part, .. } => Some((call, part.role)),
            _ => None,
        });
        joins.collect::<Vec<_>>()
    };
    node.orders(&uuid, &[join(Role::Whisper(THEIRS))]);
    assert_eq!(roles(&mut node), [(whisperer, Role::Listen)], "to nobody who is here");
    for number in 1..=2 {
        node.send("POST", "/channel", &opening(THEIRS));
        let target = CallId(FIRST_CHANNEL + number);
        assert_eq!(roles(&mut node), [(whisperer, Role::Whisper(target))], "as it is named now");
    }
    let mut strange = opening(THEIRS);
    strange["control"] = json!("http://127.0.0.1:9002");
    node.send("POST", "/channel", &strange);
    assert_eq!(roles(&mut node), [], "that is the call of another control server");
    // Who speaks aloud, has left or could not come in does not come in by that.
    node.orders(&uuid, &[join(Role::Whisper(THEIRS)), join(Role::Talk)]);
    assert_eq!(roles(&mut node).len(), 2);
    node.send("POST", "/channel", &opening(THEIRS));
    assert_eq!(roles(&mut node), []);
    let room = Room::from("conference:7");
    let leave = MediaOp::Leave { call: CallId(78), party: Party::Caller, room };
    node.orders(&uuid, &[join(Role::Whisper(THEIRS)), leave]);
    node.ops.clear();
    node.send("POST", "/channel", &opening(THEIRS));
    assert_eq!(roles(&mut node), []);
    node.orders(&uuid, &[join(Role::Whisper(THEIRS))]);
    let news = RoomNews::Refused(Cause::new(Kind::Busy, Fault::Server));
    let room = Room(format!("{CONTROL} conference:7").into());
    node.report(MediaReport::Room { call: whisperer, party: Party::Caller, room, news });
    node.ops.clear();
    node.send("POST", "/channel", &opening(THEIRS));
    assert_eq!(roles(&mut node), []);
}

#[test]
fn a_call_is_there_until_the_engine_has_said_its_last_word_and_its_recordings_are_complete() {
    let mut node = Node::new(9);
    let (call, uuid) = node.open(0, THEIRS);
    let (recording, order) = (RecordingId(1), RecordOrder::Begin(Box::new(RecordPlan::both_sides("a.wav".into()))));
    node.orders(&uuid, &[MediaOp::Record { call: THEIRS, party: Party::Caller, recording, order }]);
    node.done(call, true);
    let (status, body) = node.send("DELETE", &format!("/channel/{uuid}"), &json!(null)).unwrap();
    assert_eq!((status, &body["channels"]["active"]), (200, &json!(2)), "it counts as its two parties");
    assert_eq!(node.ops[node.ops.len() - 2..], [MediaOp::Inspect { call }, MediaOp::Close { call }]);
    assert_eq!(node.send("DELETE", &format!("/channel/{uuid}"), &json!(null)).unwrap().0, 404);
    node.done(call, true);
    node.report(MediaReport::Audio { call, news: AudioNews::Closed, audio: Some(Box::default()) });
    assert_eq!(node.told.last().unwrap()["reports"][0]["audio"]["news"], json!("closed"));
    assert!(!node.channels.is_empty(), "its recording is still being written");
    let news = RecordNews::Finished(Box::new(Recorded::nothing(&"a.wav".into(), RecordEnd::Closed)));
    node.report(MediaReport::Recorded { call, recording, news });
    assert!(node.channels.is_empty());
    assert_eq!(node.send("GET", &format!("/channel/{uuid}"), &json!({})).unwrap().0, 404);
}

#[test]
fn one_that_agreed_to_nothing_has_no_last_word() {
    let mut node = Node::new(9);
    let (call, uuid) = node.open(0, THEIRS);
    node.send("DELETE", &format!("/channel/{uuid}"), &json!(null)).unwrap();
    node.done(call, false);
    assert!(node.channels.is_empty() && node.told.is_empty());
}

#[test]
fn a_call_that_its_control_server_has_forgotten_ends_and_a_channel_of_the_seeds_does_not() {
    let mut node = Node::new(9);
    let (call, _) = node.open(0, THEIRS);
    assert_eq!(node.send("POST", "/channel", &json!({"control": CONTROL})), None);
    node.channels.unknown(CallId(FIRST_CHANNEL + 1));
    node.channels.unknown(call);
    node.drain();
    assert_eq!(node.ops.iter().filter(|op| matches!(op, MediaOp::Close { .. })).count(), 1);
    node.done(call, false);
    assert_eq!(node.channels.len(), 1);
}

#[test]
fn drained_it_takes_no_new_ones_says_so_and_keeps_what_there_is_until_that_is_taken_back() {
    let mut node = Node::new(9);
    let (_, uuid) = node.open(0, THEIRS);
    node.channels.set_effort(Effort { cpu: 12.5, late_ticks: 3 });
    let load = node.send("POST", "/drain", &json!({})).unwrap().1["channels"].clone();
    assert_eq!((&load["active"], &load["available"], &load["draining"]), (&json!(2), &json!(0), &json!(true)));
    assert_eq!((&load["cpu"], &load["late_ticks"]), (&json!(12.5), &json!(3)));
    assert_eq!(node.send("POST", "/channel", &opening(CallId(78))).unwrap().0, 503);
    assert_eq!(node.send("POST", "/channel", &json!({})).unwrap().0, 503);
    assert_eq!(node.orders(&uuid, &[MediaOp::Swap { call: THEIRS }]), None, "what there is goes on");
    assert_eq!(node.send("DELETE", "/drain", &json!({})).unwrap().1["channels"]["draining"], json!(false));
    assert_eq!(node.send("POST", "/channel", &opening(CallId(78))), None);
    assert_eq!(node.send("GET", "/drain", &json!({})).unwrap().0, 405);
}

#[test]
fn every_start_of_the_program_goes_by_another_name() {
    let instance = |seed| {
        let mut node = Node { channels: Channels::new(Config::default(), seed), ..Node::new(1) };
        node.send("GET", "/channel", &json!({})).unwrap().1["channels"]["instance"].clone()
    };
    assert_eq!(instance([1; 32]), instance([1; 32]));
    assert_ne!(instance([1; 32]), instance([2; 32]));
}

#[test]
fn an_end_that_nobody_asked_for_is_told() {
    let mut node = Node::new(9);
    node.open(0, THEIRS);
    node.channels.end_all();
    node.drain();
    assert_eq!((&node.told[0]["action"], &node.told[0]["reason"]), (&json!("close"), &json!("shutdown")));
}

#[test]
fn bad_orders_are_refused_whole_with_the_place_of_the_first() {
    let mut node = Node::new(3);
    let (_, uuid) = node.open(0, THEIRS);
    let path = format!("/channel/{uuid}");
    let swap = json!(MediaOp::Swap { call: THEIRS });
    let strange = json!(MediaOp::Swap { call: CallId(78) });
    for (body, place) in [
        (json!({}), "orders"),
        (json!({"orders": []}), "orders"),
        (json!({"orders": vec![&swap; MAX_ORDERS + 1]}), "orders"),
        (json!({"orders": [swap, {"fly": {}}]}), "orders[1]"),
        (json!({"orders": [swap, strange]}), "orders[1]"),
        (json!({"orders": [MediaOp::Close { call: THEIRS }]}), "orders[0]"),
    ] {
        let (status, answer) = node.send("PUT", &path, &body).unwrap();
        assert_eq!((status, &answer["where"]), (400, &json!(place)), "{body}");
    }
    assert!(node.ops.is_empty(), "nothing was done");
    let nameless = json!({"control": CONTROL, "orders": [swap]});
    assert_eq!(node.send("POST", "/channel", &nameless).unwrap().1["where"], json!("call"));
    let homeless = json!({"call": "a", "orders": [swap]});
    assert_eq!(node.send("POST", "/channel", &homeless).unwrap().1["where"], json!("control"));
    let unopened = json!({"control": CONTROL, "call": "a", "orders": [swap]});
    assert_eq!(node.send("POST", "/channel", &unopened).unwrap().1["where"], json!("orders[0]"));
    assert_eq!(node.send("PUT", &format!("{path}/echo"), &json!({})).unwrap().0, 409, "that is for channels");
    assert_eq!(node.send("POST", "/channel", &opening(CallId(78))).unwrap().0, 503, "two of three are taken");
}

#[test]
fn one_that_nobody_answers_in_time_ends() {
    let mut node = Node::new(9);
    let (first, _) = node.open(0, THEIRS);
    let (_, uuid) = node.open(1, CallId(78));
    node.orders(&uuid, &[MediaOp::MakeAnswer { call: CallId(78), seat: CALLER, leg: LegId(0) }]);
    node.ops.clear();
    node.channels.handle_timeout(NOW + Config::default().untargeted_time);
    node.drain();
    assert!(node.ops.contains(&MediaOp::Close { call: first }));
    let news = node.told.iter().filter(|told| told["reports"] != json!([])).map(|told| &told["call"]);
    assert_eq!(news.collect::<Vec<_>>(), [&json!("call-77")], "the other one has agreed to something");
}

#[test]
fn a_control_server_is_reminded_of_its_calls_and_may_say_that_it_knows_one_no_more() {
    let mut node = Node::new(9);
    let (ringing, _) = node.open(0, THEIRS);
    let (talking, uuid) = node.open(1, CallId(78));
    let (seat, leg) = (Seat::Of(Party::Caller), LegId(0));
    node.orders(&uuid, &[MediaOp::MakeAnswer { call: CallId(78), seat, leg }]);
    node.done(talking, true);
    let remind = |node: &mut Node, n| {
        assert_eq!(node.channels.poll_timeout(), Some(NOW + REMIND_EVERY * n));
        node.channels.handle_timeout(NOW + REMIND_EVERY * n);
        node.drain();
        node.told.drain(..).map(|told| (told["call"].clone(), told["reports"].clone())).collect::<Vec<_>>()
    };
    let nothing = |call: &str| (json!(call), json!([]));
    for n in 1..=3 {
        assert_eq!(remind(&mut node, n), [nothing("call-77"), nothing("call-78")]);
    }
    node.channels.unknown(ringing);
    node.drain();
    assert!(
        node.ops.contains(&MediaOp::Close { call: ringing }) && !node.ops.contains(&MediaOp::Close { call: talking })
    );
    assert_eq!(remind(&mut node, 4), [nothing("call-78")], "of the other one it is told no more");
    node.channels.unknown(talking);
    node.drain();
    assert!(node.ops.contains(&MediaOp::Close { call: talking }), "however long both have talked");
}
