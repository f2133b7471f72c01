//! Channels, with the media engine's part said by hand.

use std::time::Duration;

use hookswitch_call::{
    AudioNews, CallAudio, CallId, Cause, Digit, Fault, Kind, LegId, MediaOp, MediaReport, Party, PlayEnd, PlayNews,
    RecordEnd, RecordNews, RecordOrder, Recorded, Room, RoomNews, Sdp, Seat, Source,
};
use hookswitch_channels::{Answer, Channels, Config, FIRST_CHANNEL, Output, RequestId};
use serde_json::{Value, json};

const NOW: Duration = Duration::from_secs(1_000);
const CONTROL: &str = "http://127.0.0.1:9001";

struct Controller {
    channels: Channels,
    requests: u64,
    answers: Vec<(u64, u16, Value)>,
    allow: Option<&'static str>,
    ops: Vec<MediaOp>,
    told: Vec<(String, Value)>,
}

impl Controller {
    fn new(capacity: usize) -> Self {
        let config = Config { capacity, ..Config::default() };
        let channels = Channels::new(config, [3; 32]);
        Self { channels, requests: 0, answers: Vec::new(), allow: None, ops: Vec::new(), told: Vec::new() }
    }

    fn drain(&mut self) {
        while let Some(output) = self.channels.poll_output() {
            match output {
                Output::Media(op) => self.ops.push(op),
                Output::Answer(RequestId(id), Answer { status, body, allow }) => {
                    self.answers.push((id, status, serde_json::from_str(&body).unwrap()));
                    self.allow = allow;
                }
                Output::Tell { control, path, body, .. } => {
                    assert_eq!(&*control, CONTROL);
                    self.told.push((path, serde_json::from_str(&body).unwrap()));
                }
            }
        }
    }

    /// Sends a request; its answer if there is one at once.
    fn send(&mut self, method: &str, path: &str, body: Value) -> Option<(u16, Value)> {
        self.raw(method, path, body.to_string().as_bytes())
    }

    fn raw(&mut self, method: &str, path: &str, body: &[u8]) -> Option<(u16, Value)> {
        self.requests += 1;
        self.channels.request(NOW, RequestId(self.requests), method, path, body);
        self.drain();
        self.answered(self.requests)
    }

    fn answered(&mut self, id: u64) -> Option<(u16, Value)> {
        let at = self.answers.iter().position(|(of, ..)| *of == id)?;
        let (_, status, body) = self.answers.remove(at);
        Some((status, body))
    }

    fn report(&mut self, report: MediaReport) {
        self.channels.report(report);
        self.drain();
    }

    fn local(&mut self, call: CallId, port: u16) {
        let sdp = format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP 0 8\r\n"
        );
        self.report(MediaReport::Local { call, seat: Seat::Of(Party::Caller), leg: LegId(0), sdp: Sdp(sdp.into()) });
    }

    fn looked(&mut self, call: CallId) {
        let audio = Some(Box::new(CallAudio::default()));
        self.report(MediaReport::Audio { call, news: AudioNews::Asked, audio });
    }

    /// A channel with ports, and its name.
    fn open(&mut self, number: u64) -> (CallId, String) {
        let call = CallId(FIRST_CHANNEL + number);
        assert_eq!(self.send("POST", "/channel", json!({"control": CONTROL})), None, "it waits for its ports");
        self.local(call, 10_000 + number as u16 * 2);
        let (status, body) = self.answered(self.requests).unwrap();
        assert_eq!((status, &body["ip"], &body["port"]), (200, &json!("127.0.0.1"), &json!(10_000 + number * 2)));
        self.ops.clear();
        (call, body["uuid"].as_str().unwrap().to_owned())
    }

    fn last_told(&self) -> &Value {
        &self.told.last().unwrap().1
    }
}

fn room(call: CallId, room: &Room, news: RoomNews) -> MediaReport {
    MediaReport::Room { call, party: Party::Caller, room: room.clone(), news }
}

#[test]
fn a_channel_is_made_aimed_and_freed_and_every_answer_tells_the_load() {
    let mut it = Controller::new(2);
    let (call, uuid) = it.open(0);
    let (status, load) = it.send("GET", "/channel/", json!({})).unwrap();
    assert_eq!((status, &load["channels"]["active"], &load["channels"]["available"]), (200, &json!(1), &json!(1)));
    let target = json!({"ip": "10.0.0.9", "port": 4000, "audio": {"payloads": [8, 0, 101]}});
    assert_eq!(it.send("PUT", &format!("/channel/{uuid}"), target.clone()), None);
    let Some(MediaOp::Accept { sdp, .. }) = it.ops.iter().find(|op| matches!(op, MediaOp::Accept { .. })) else {
        panic!("{:?}", it.ops)
    };
    assert!(sdp.0.contains("m=audio 4000 RTP/AVP 8 0 101"), "{}", sdp.0);
    it.looked(call);
    let (status, body) = it.answered(it.requests).unwrap();
    assert_eq!((status, body["channels"]["active"].clone()), (200, json!(1)));
    // The other way that a readme has it.
    assert_eq!(it.send("PUT", &format!("/channel/target/{uuid}"), target), None);
    it.looked(call);
    assert_eq!(it.answered(it.requests).unwrap().0, 200);
    let (status, body) = it.send("DELETE", &format!("/channel/{uuid}"), json!(null)).unwrap();
    assert_eq!((status, body), (200, json!({"channels": {"active": 1, "available": 1}})));
    assert!(it.ops.contains(&MediaOp::Close { call }));
    assert!(it.told.is_empty(), "the engine has its last word first");
    it.report(MediaReport::Audio { call, news: AudioNews::Closed, audio: Some(Box::default()) });
    assert_eq!((&it.last_told()["action"], &it.last_told()["reason"]), (&json!("close"), &json!("requested")));
    assert_eq!(it.last_told()["stats"]["in"]["count"], 0);
    assert!(it.channels.is_empty());
    assert_eq!(it.send("GET", &format!("/channel/{uuid}"), json!({})).unwrap().0, 404);
}

#[test]
fn the_readme_posts_to_the_root_a_blank_document_or_none() {
    for (path, body) in [("/", "{}"), ("/", ""), ("/channel/", " "), ("", "{}")] {
        let mut it = Controller::new(1);
        assert_eq!(it.raw("POST", path, body.as_bytes()), None);
        it.local(CallId(FIRST_CHANNEL), 10_000);
        assert_eq!(it.answered(1).unwrap().0, 200, "{path} {body}");
    }
}

#[test]
fn too_many_channels_are_refused_and_room_comes_back() {
    let mut it = Controller::new(1);
    let (_, uuid) = it.open(0);
    let (status, body) = it.send("POST", "/channel", json!({})).unwrap();
    assert_eq!((status, body["error"].as_str().unwrap()), (503, "Currently out of channels"));
    // Nobody said where its party is, so the engine has no last word.
    assert_eq!(it.send("DELETE", &format!("/channel/{uuid}"), json!({})).unwrap().1["channels"]["available"], 1);
    it.open(1);
    // The ports may be out before that.
    let mut it = Controller::new(9);
    assert_eq!(it.send("POST", "/channel", json!({})), None);
    let call = CallId(FIRST_CHANNEL);
    let cause = Cause::new(Kind::Overloaded, Fault::Server);
    it.report(MediaReport::Refused { call, seat: Seat::Of(Party::Caller), leg: LegId(0), cause });
    assert_eq!(it.answered(1).unwrap().0, 503);
    assert!(it.channels.is_empty() && it.ops.last() == Some(&MediaOp::Close { call }));
}

#[test]
fn a_target_that_speaks_nothing_of_ours_is_refused_and_the_channel_goes_on() {
    let mut it = Controller::new(1);
    let (call, uuid) = it.open(0);
    let target = json!({"ip": "10.0.0.9", "port": 4000, "audio": {"payloads": [97]}});
    assert_eq!(it.send("PUT", &format!("/channel/{uuid}"), target.clone()), None);
    let cause = Cause::new(Kind::NotAcceptable, Fault::Peer);
    it.report(MediaReport::Refused { call, seat: Seat::Of(Party::Caller), leg: LegId(0), cause });
    it.looked(call);
    let (status, body) = it.answered(it.requests).unwrap();
    assert_eq!((status, body["where"].as_str()), (400, Some("audio")));
    assert_eq!(it.send("PUT", &format!("/channel/{uuid}/echo"), json!({})).unwrap().0, 200);
}

#[test]
fn mixed_channels_hear_each_other_and_a_third_makes_three() {
    let mut it = Controller::new(5);
    let all: Vec<_> = (0..4).map(|number| it.open(number)).collect();
    let mix = |it: &mut Controller, a: usize, b: usize| {
        let path = format!("/channel/{}/mix/{}", all[a].1, all[b].1);
        it.ops.clear();
        let answer = it.send("PUT", &path, json!({})).unwrap().0;
        let joins = it.ops.iter().filter_map(|op| match op {
            MediaOp::Join { call, room, .. } => Some((call.0 - FIRST_CHANNEL, room.clone())),
            _ => None,
        });
        (answer, joins.collect::<Vec<_>>())
    };
    let (status, joins) = mix(&mut it, 0, 1);
    let first = joins[0].1.clone();
    assert_eq!((status, joins), (200, vec![(0, first.clone()), (1, first.clone())]));
    assert!(it.ops.contains(&MediaOp::Hear { call: all[0].0, seat: Seat::Of(Party::Caller), source: Source::Room }));
    // Two more pairs, which become one.
    let second = mix(&mut it, 2, 3).1[0].1.clone();
    assert_ne!(first, second);
    let (_, joins) = mix(&mut it, 0, 2);
    assert_eq!(joins, [(0, second.clone()), (1, second.clone())]);
    it.report(room(all[0].0, &second, RoomNews::Joined(4)));
    assert_eq!((&it.last_told()["action"], &it.last_told()["event"]), (&json!("mix"), &json!("start")));
    // It hears nobody after that, and the others go on.
    it.ops.clear();
    assert_eq!(it.send("PUT", &format!("/channel/{}/unmix", all[0].1), json!({})).unwrap().0, 200);
    let silence = MediaOp::Hear { call: all[0].0, seat: Seat::Of(Party::Caller), source: Source::Silence };
    assert_eq!(it.ops[1], silence);
    assert_eq!(mix(&mut it, 3, 3).0, 400);
    // One that cannot come in is told so, and is where it was.
    let (_, joins) = mix(&mut it, 0, 3);
    assert_eq!(joins, [(0, second.clone())]);
    it.ops.clear();
    it.report(room(all[0].0, &second, RoomNews::Refused(Cause::new(Kind::Overloaded, Fault::Server))));
    assert_eq!((it.last_told()["event"].as_str(), it.ops[0].clone()), (Some("refused"), silence));
}

#[test]
fn what_is_played_is_told_and_goes_on_when_it_is_given_again() {
    let mut it = Controller::new(2);
    let (call, uuid) = it.open(0);
    let path = format!("/channel/{uuid}/play");
    let soup = json!({"loop": true, "files": [{"wav": "queue.wav"}]});
    assert_eq!(it.send("PUT", &path, soup.clone()).unwrap().0, 200);
    let played = |it: &Controller| match it.ops.last() {
        Some(MediaOp::Play { play, .. }) => *play,
        other => panic!("{other:?}"),
    };
    let play = played(&it);
    let position = Duration::ZERO;
    let report = |news| MediaReport::Played { call, party: Party::Caller, play, news, position };
    it.report(report(PlayNews::Started));
    assert_eq!((it.last_told()["event"].as_str(), it.last_told()["seq"].as_u64()), (Some("start"), Some(0)));
    assert_eq!(it.send("PUT", &path, soup.clone()).unwrap().0, 200);
    assert_eq!(played(&it), play, "another version of the same");
    assert_eq!(it.send("DELETE", &path, json!({})).unwrap().0, 200);
    it.report(report(PlayNews::Ended(PlayEnd::Stopped)));
    assert_eq!((it.last_told()["reason"].as_str(), it.last_told()["seq"].as_u64()), (Some("stopped"), Some(1)));
    assert_eq!(it.send("PUT", &path, soup).unwrap().0, 200);
    assert_ne!(played(&it), play);
    assert_eq!(it.send("PUT", &path, json!({"files": []})).unwrap().1["where"], "files");
}

#[test]
fn keys_go_out_and_come_in() {
    let mut it = Controller::new(1);
    let (call, uuid) = it.open(0);
    let path = format!("/channel/{uuid}/dtmf");
    let (status, body) = it.send("PUT", &path, json!({"digits": "1"})).unwrap();
    assert_eq!((status, &body["where"]), (409, &json!("target")), "it leads nowhere yet");
    assert_eq!(it.send("PUT", &format!("/channel/{uuid}"), json!({"ip": "127.0.0.1", "port": 4000})), None);
    assert_eq!(it.send("PUT", &path, json!({"digits": "1a"})).unwrap().0, 200, "that is on its way");
    it.looked(call);
    assert_eq!(it.send("PUT", &path, json!({"digits": "#f"})).unwrap().0, 200);
    let sent: String = it
        .ops
        .iter()
        .filter_map(|op| match op {
            MediaOp::Digit { digit, .. } => Some(digit.key),
            _ => None,
        })
        .collect();
    assert_eq!(sent, "1A#F");
    for bad in ["", "E", "1 2", &"1".repeat(hookswitch_call::MAX_KEYS + 1)] {
        assert_eq!(it.send("PUT", &path, json!({"digits": bad})).unwrap().1["where"], "digits");
    }
    let digit = Digit { key: '5', time: Duration::from_millis(100) };
    it.report(MediaReport::Digit { call, party: Party::Caller, digit, passed: false });
    assert_eq!((&it.last_told()["action"], &it.last_told()["event"]), (&json!("telephone-event"), &json!("5")));
    assert_eq!(it.told.last().unwrap().0, format!("channel/{uuid}"));
}

#[test]
fn keys_go_on_between_two_mixed_channels_and_among_more_they_are_only_told() {
    let mut it = Controller::new(3);
    let all: Vec<_> = (0..3).map(|number| it.open(number)).collect();
    let digit = Digit { key: '5', time: Duration::from_millis(100) };
    let to = |place: usize| vec![MediaOp::Digit { call: all[place].0, party: Party::Caller, digit }];
    let press = |it: &mut Controller, place: usize| {
        it.ops.clear();
        it.told.clear();
        it.report(MediaReport::Digit { call: all[place].0, party: Party::Caller, digit, passed: false });
        assert_eq!((it.told.len(), &it.last_told()["event"]), (1, &json!("5")));
        std::mem::take(&mut it.ops)
    };
    let put = |it: &mut Controller, place: usize, order: &str| {
        let path = format!("/channel/{}/{order}", all[place].1);
        assert_eq!(it.send("PUT", &path, json!({})).unwrap().0, 200);
    };
    assert_eq!(press(&mut it, 0), vec![], "nobody is there");
    put(&mut it, 0, &format!("mix/{}", all[1].1));
    assert_eq!((press(&mut it, 0), press(&mut it, 1)), (to(1), to(0)));
    assert_eq!(press(&mut it, 2), vec![], "it is alone");
    put(&mut it, 2, &format!("mix/{}", all[0].1));
    assert_eq!((press(&mut it, 0), press(&mut it, 2)), (vec![], vec![]), "they are three");
    put(&mut it, 0, "unmix");
    assert_eq!((press(&mut it, 0), press(&mut it, 1)), (vec![], to(2)));
    it.send("DELETE", &format!("/channel/{}", all[2].1), json!({})).unwrap();
    assert_eq!(press(&mut it, 1), vec![], "the other one has gone");
}

#[test]
fn a_recording_runs_pauses_and_outlives_its_channel_until_its_file_is_complete() {
    let mut it = Controller::new(1);
    let (call, uuid) = it.open(0);
    let path = format!("/channel/{uuid}/record");
    let order = |it: &Controller| match it.ops.last() {
        Some(MediaOp::Record { recording, order, .. }) => (*recording, order.clone()),
        other => panic!("{other:?}"),
    };
    assert_eq!(it.send("PUT", &path, json!({"file": "a.wav", "pause": true})).unwrap().0, 404);
    assert_eq!(it.send("PUT", &path, json!({"file": "a.wav"})).unwrap().0, 200);
    let (recording, begin) = order(&it);
    assert!(matches!(begin, RecordOrder::Begin(_)));
    let report = |news| MediaReport::Recorded { call, recording, news };
    it.report(report(RecordNews::Begun));
    assert_eq!(it.last_told()["event"], "recording");
    assert_eq!(it.send("PUT", &path, json!({"file": "a.wav", "pause": true})).unwrap().0, 200);
    assert_eq!(order(&it), (recording, RecordOrder::Pause));
    assert_eq!(it.send("PUT", &path, json!({"file": "a.wav"})).unwrap().0, 200);
    assert_eq!(order(&it), (recording, RecordOrder::Resume));
    for number in 0..7 {
        assert_eq!(it.send("PUT", &path, json!({"file": format!("{number}.wav")})).unwrap().0, 200);
    }
    assert_eq!(it.send("PUT", &path, json!({"file": "one-too-many.wav"})).unwrap().0, 409);
    it.send("DELETE", &format!("/channel/{uuid}"), json!({})).unwrap();
    assert_eq!(it.channels.len(), 1, "eight files are not complete");
    for number in 1..=8 {
        let recorded = Recorded::nothing(&"x".into(), RecordEnd::Closed);
        let recording = hookswitch_call::RecordingId(number);
        it.report(MediaReport::Recorded { call, recording, news: RecordNews::Finished(Box::new(recorded)) });
    }
    assert_eq!(it.last_told()["event"], "finished.channelclosed");
    assert!(it.channels.is_empty());
}

#[test]
fn another_soup_replaces_what_is_played_and_another_version_of_it_does_not() {
    let mut it = Controller::new(2);
    let (call, uuid) = it.open(0);
    let path = format!("/channel/{uuid}/play");
    let plays = |it: &mut Controller, files: Value| {
        assert_eq!(it.send("PUT", &path, json!({"files": files})).unwrap().0, 200);
        let Some(MediaOp::Play { play, .. }) = it.ops.last() else { panic!("{:?}", it.ops) };
        *play
    };
    let report = |play, news| MediaReport::Played { call, party: Party::Caller, play, news, position: Duration::ZERO };
    let first = plays(&mut it, json!([{"wav": "a.wav"}, {"wav": "one.wav"}]));
    it.report(report(first, PlayNews::Started));
    assert_eq!(plays(&mut it, json!([{"wav": "a.wav"}, {"wav": "two.wav"}])), first, "the first goes on");
    let second = plays(&mut it, json!([{"wav": "b.wav"}]));
    assert_ne!(second, first);
    it.report(report(first, PlayNews::Ended(PlayEnd::Replaced)));
    assert_eq!((it.last_told()["event"].as_str(), it.last_told()["reason"].as_str()), (Some("end"), Some("replaced")));
    it.report(report(second, PlayNews::Started));
    assert_eq!(it.last_told()["event"], "start");
    assert_eq!(plays(&mut it, json!([{"wav": "b.wav"}, {"wav": "c.wav"}])), second, "it is known what is played");
    assert_ne!(plays(&mut it, json!([{"wav": "b.wav", "start": 20}])), second, "another piece is another sound");
}

#[test]
fn a_prompt_comes_before_the_recording_that_it_asks_for() {
    let mut it = Controller::new(1);
    let (_, uuid) = it.open(0);
    let path = format!("/channel/{uuid}/playrecord");
    let body = json!({
        "soup": {"files": [{"wav": "beep.wav"}]}, "record": {"file": "m.wav"}, "interrupt": true, "bargeinpower": 300,
    });
    assert_eq!(it.send("PUT", &path, body).unwrap().0, 200);
    let [MediaOp::Play { play, .. }, MediaOp::Record { order: RecordOrder::Begin(plan), .. }] = &it.ops[..] else {
        panic!("{:?}", it.ops)
    };
    let after = plan.after.unwrap();
    assert_eq!((after.play, after.barge_in.unwrap().above), (*play, 300));
    it.ops.clear();
    let bad = json!({"soup": {"files": [{"wav": "beep.wav"}]}, "record": {"file": "m.wav", "finish": true}});
    assert_eq!(it.send("PUT", &path, bad).unwrap().1["where"], "record");
    assert!(it.ops.is_empty(), "nothing has changed");
}

#[test]
fn a_channel_that_nobody_uses_ends() {
    let mut it = Controller::new(2);
    let (_, uuid) = it.open(0);
    let at = it.channels.poll_timeout().unwrap();
    assert_eq!(at, NOW + Duration::from_secs(3_600));
    it.channels.handle_timeout(at);
    it.drain();
    assert_eq!(it.last_told()["reason"], "idle-timeout");
    assert_eq!(it.send("GET", &format!("/channel/{uuid}"), json!({})).unwrap().0, 404);
    assert_eq!(it.channels.poll_timeout(), None);
    // Of one with a party the media engine says so.
    let (call, uuid) = it.open(1);
    it.send("PUT", &format!("/channel/{uuid}"), json!({"ip": "127.0.0.1", "port": 4000}));
    it.looked(call);
    assert_eq!(it.channels.poll_timeout(), None);
    it.report(MediaReport::Idle { call, silence: Duration::from_secs(300) });
    it.report(MediaReport::Audio { call, news: AudioNews::Closed, audio: None });
    assert!(it.channels.is_empty() && it.last_told()["reason"] == "idle-timeout");
}

#[test]
fn a_server_that_stops_takes_no_more_and_ends_what_there_is() {
    let mut it = Controller::new(3);
    it.open(0);
    assert_eq!(it.send("POST", "/channel", json!({})), None);
    it.channels.drain();
    assert_eq!(it.send("POST", "/channel", json!({})).unwrap().0, 503);
    let load = it.send("GET", "/channel", json!({})).unwrap().1["channels"].clone();
    assert_eq!((&load["active"], &load["available"], &load["draining"]), (&json!(2), &json!(0), &json!(true)));
    it.channels.end_all();
    it.drain();
    assert!(it.channels.is_empty());
    assert_eq!(it.answered(2).unwrap().0, 503, "who waited for ports is told");
}

#[test]
fn what_is_not_there_and_what_cannot_be_done_are_told_apart() {
    let mut it = Controller::new(1);
    let (_, uuid) = it.open(0);
    for (method, path, status) in [
        ("GET", "/calls".to_owned(), 404),
        ("PUT", "/channel/nobody/play".to_owned(), 404),
        ("PUT", format!("/channel/{uuid}/fly"), 404),
        ("PUT", format!("/channel/{uuid}/mix/nobody"), 404),
        ("PUT", format!("/channel/{uuid}/mix/{uuid}/x"), 404),
        ("PATCH", format!("/channel/{uuid}"), 405),
        ("DELETE", "/channel".to_owned(), 405),
        ("POST", format!("/channel/{uuid}/unmix"), 405),
    ] {
        assert_eq!(it.send(method, &path, json!({})).unwrap().0, status, "{method} {path}");
        assert_eq!(it.allow.is_some(), status == 405);
    }
    for bad in ["[]", "{", "5", "\u{0}"] {
        assert_eq!(it.raw("POST", "/channel", bad.as_bytes()).unwrap().0, 400, "{bad}");
    }
    for control in [json!("ftp://x"), json!(5), json!(format!("http://{}", "x".repeat(3_000)))] {
        assert_eq!(it.send("POST", "/channel", json!({"control": control})).unwrap().1["where"], "control");
    }
    let big = vec![b' '; hookswitch_channels::MAX_BODY + 1];
    assert_eq!(it.raw("POST", "/channel", &big).unwrap().0, 413);
}

#[test]
fn reports_of_channels_that_are_gone_are_ignored() {
    let mut it = Controller::new(1);
    let call = CallId(FIRST_CHANNEL + 7);
    it.local(call, 4000);
    it.looked(call);
    it.report(MediaReport::Idle { call, silence: Duration::ZERO });
    it.report(MediaReport::Audio { call, news: AudioNews::Closed, audio: None });
    assert!(it.ops.is_empty() && it.told.is_empty() && it.answers.is_empty());
    assert!(Channels::owns(call) && !Channels::owns(CallId(5)) && !Channels::owns(CallId(1 << 63)));
}
