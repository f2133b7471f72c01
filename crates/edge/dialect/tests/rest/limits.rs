//! Nothing that the desk holds grows without a limit, and no request makes it panic.

use std::sync::Arc;

use compact_str::CompactString;
use hookswitch_call::directory::Directory;
use hookswitch_call::{
    Address, CallId, Cause, Command, Event, Outcome, RecordEnd, RecordNews, Recorded, RecordingId, Refused, Ticket,
    Time, Told,
};
use hookswitch_dialect::access::Grant;
use hookswitch_dialect::rest::{
    Binding, CallView, Config, Desk, DeskOutput, ENDED_KEPT, GO_ON, Headers, Health, LegView, Node, RECORDINGS_KEPT,
    ROUTES, Request, RequestId, Response, SWITCH, Switch, Trunk, Work, admit, is_of_listener,
};
use proptest::prelude::*;

/// A switch that takes every command and has no call.
#[derive(Default)]
struct Nothing {
    directory: Directory,
    tickets: u64,
}

impl Switch for Nothing {
    fn carrier(&self) -> &'static str {
        SWITCH
    }
    fn submit(&mut self, _: Command) -> Result<Ticket, Refused> {
        self.tickets += 1;
        Ok(Ticket(self.tickets))
    }
    fn made_by(&self, ticket: Ticket) -> Option<CallId> {
        Some(CallId(ticket.0))
    }
    fn call(&self, _: CallId) -> Option<CallView<'_>> {
        None
    }
    fn legs(&self, _: CallId) -> Vec<LegView<'_>> {
        Vec::new()
    }
    fn calls(&self) -> Vec<CallId> {
        Vec::new()
    }
    fn domain_of(&self, _: &Address) -> Option<CompactString> {
        None
    }
    fn inspect(&mut self, _: CallId) {}
    fn directory(&self) -> &Directory {
        &self.directory
    }
    fn directory_mut(&mut self) -> &mut Directory {
        &mut self.directory
    }
    fn registered_domains(&self) -> Vec<CompactString> {
        Vec::new()
    }
    fn bindings(&self, _: &str) -> Vec<Binding> {
        Vec::new()
    }
    fn unregister(&mut self, _: &str, _: &str) -> usize {
        0
    }
    fn trunks(&self) -> Vec<Trunk> {
        Vec::new()
    }
    fn nodes(&self) -> Vec<Node> {
        Vec::new()
    }
    fn drain(&mut self) {}
    fn health(&self) -> Health {
        Health::default()
    }
}

const NOW: Time = Time::from_secs(1_700_000_000);

fn request(method: &str, path: &str, query: Option<&str>, body: &str, key: Option<&str>) -> Request {
    Request {
        method: method.into(),
        path: path.into(),
        query: query.map(Into::into),
        headers: Headers {
            content_type: Some("application/json".into()),
            idempotency_key: key.map(Into::into),
            ..Headers::default()
        },
        body: body.as_bytes().to_vec(),
        grant: Arc::new(Grant::everything()),
        webhook: None,
        work: Work::Here,
    }
}

fn answer(desk: &mut Desk, switch: &mut Nothing, now: Time, request: &Request) -> (Response, Vec<DeskOutput>) {
    desk.handle(now, RequestId(1), request, switch);
    let mut outputs: Vec<DeskOutput> = std::iter::from_fn(|| desk.poll_output()).collect();
    match outputs.pop() {
        Some(DeskOutput::Answer { response, .. }) => (response, outputs),
        other => panic!("no answer but {other:?}"),
    }
}

fn start(desk: &mut Desk, switch: &mut Nothing, now: Time, key: Option<&str>) -> (u16, Vec<DeskOutput>) {
    let body = r#"{"from":"sip:a@x.test","to":"sip:b@x.test"}"#;
    let (response, outputs) = answer(desk, switch, now, &request("POST", "/v1/calls", None, body, key));
    (response.status, outputs)
}

/// One desk keeps the keys of another one as well, which carries out the request in between.
#[test]
fn a_key_is_lent_to_one_request_until_it_is_answered_elsewhere() {
    let config = Config { max_keys: 2, ..Config::default() };
    let (mut desk, mut switch) = (Desk::new(config, 1, [7; 32]), Nothing::default());
    let body = r#"{"from":"sip:a@x.test","to":"sip:b@x.test","carrier":"opensips"}"#;
    let of = |key, work| Request { work, ..request("POST", "/v1/calls", None, body, Some(key)) };
    let mut ask = |request: Request| {
        let (response, outputs) = answer(&mut desk, &mut switch, NOW, &request);
        (response.status, outputs.len(), response)
    };
    assert_eq!(ask(of("k", Work::Elsewhere)).0, GO_ON);
    let (status, _, pending) = ask(of("k", Work::Elsewhere));
    assert!(status == 409 && pending.body.contains("\"pending\""), "{pending:?}");
    let ours = Request { body: body.replace("opensips", "switch").into_bytes(), ..of("k", Work::Here) };
    assert_eq!(ask(ours.clone()).0, 422, "reused while it is lent");
    assert_eq!(ask(of("l", Work::Elsewhere)).0, GO_ON);
    assert_eq!(ask(of("m", Work::Elsewhere)).0, 503, "two of two are lent");
    // What was refused is forgotten, what was done is stored before it is answered.
    let refused = Response { status: 409, ..pending.clone() };
    assert_eq!(ask(of("l", Work::Done(Box::new(refused)))).1, 0);
    let done = Response { status: 201, body: "{}".into(), ..pending };
    assert_eq!(ask(of("k", Work::Done(Box::new(done)))).1, 1);
    let (status, _, again) = ask(of("k", Work::Elsewhere));
    assert_eq!((status, again.body.as_str()), (201, "{}"));
    assert!(again.headers.contains(&("idempotency-replayed", "true".to_owned())), "{again:?}");
    assert_eq!(ask(ours).0, 422, "reused after it was answered");
    assert_eq!(ask(of("l", Work::Elsewhere)).0, GO_ON);
    assert_eq!(switch.tickets, 0, "nothing was carried out here");
}

#[test]
fn so_many_commands_run_at_once_and_so_many_are_remembered() {
    let config = Config { max_running: 2, max_ended: 1, ..Config::default() };
    let (mut desk, mut switch) = (Desk::new(config, 1, [7; 32]), Nothing::default());
    assert_eq!([1, 2, 3].map(|_| start(&mut desk, &mut switch, NOW, None).0), [201, 201, 503]);
    for ticket in [1, 2, 2] {
        desk.outcome(NOW, &Outcome { ticket: Ticket(ticket), result: Ok(()) });
    }
    let ends = std::iter::from_fn(|| desk.poll_output()).count();
    assert_eq!(ends, 2, "each end is told once");
    assert_eq!(desk.counts().0, 0);
    let path = |number: u64| format!("/v1/commands/cmd_{number:012x}");
    let statuses =
        [1, 2].map(|n| answer(&mut desk, &mut switch, NOW, &request("GET", &path(n), None, "", None)).0.status);
    assert_eq!(statuses, [404, 200], "the older one is forgotten");
}

#[test]
fn so_many_keys_are_remembered_for_a_day() {
    let config = Config { max_keys: 2, ..Config::default() };
    let (mut desk, mut switch) = (Desk::new(config, 1, [7; 32]), Nothing::default());
    let keys = ["a", "b", "c", "a"].map(|key| start(&mut desk, &mut switch, NOW, Some(key)).0);
    assert_eq!(keys, [201, 201, 503, 201], "the third has no place, the first is known");
    assert_eq!(switch.tickets, 2);
    let day = Time::from_secs(86_400);
    let (status, outputs) = start(&mut desk, &mut switch, NOW + day, Some("c"));
    let forgotten = outputs.iter().filter(|output| matches!(output, DeskOutput::Forget(_))).count();
    assert_eq!((status, forgotten, desk.counts().1), (201, 2, 1));
    let few_bytes = Config { max_key_bytes: 1, ..Config::default() };
    let mut desk = Desk::new(few_bytes, 1, [7; 32]);
    assert_eq!(["a", "b"].map(|key| start(&mut desk, &mut switch, NOW, Some(key)).0), [201, 503]);
}

#[test]
fn so_many_ended_calls_and_recordings_are_remembered() {
    let (mut desk, mut switch) = (Desk::new(Config::default(), 1, [7; 32]), Nothing::default());
    let told = |call: u64, seq, event| Told { at: NOW, seq, call: CallId(call), owner: None, event };
    let count = u64::try_from(ENDED_KEPT).unwrap() + 1;
    for call in 1..=count {
        let (from, to) = (Address::from("sip:a@x"), Address::from("sip:b@x"));
        desk.told(&told(call, 0, Event::Incoming { from, to }));
        for number in 0..u16::try_from(RECORDINGS_KEPT).unwrap() + 1 {
            let recorded = Recorded::nothing(&"f".into(), RecordEnd::Requested);
            let news = RecordNews::Finished(Box::new(recorded));
            let kept = desk.recorded(NOW, CallId(call), RecordingId(number), &news, |_| None);
            assert_eq!(kept, None, "what has no file is found no longer than its call");
        }
        desk.told(&told(call, 1, Event::Ended { cause: Cause::hangup(), talked: Time::ZERO }));
    }
    assert!(desk.is_idle());
    let mut get = |call: u64| {
        let path = format!("/v1/call-records/call_{}", CallId(call));
        answer(&mut desk, &mut switch, NOW, &request("GET", &path, None, "", None)).0
    };
    assert_eq!((get(1).status, get(2).status), (404, 200), "the oldest is forgotten");
    let last: serde_json::Value = serde_json::from_str(&get(count).body).unwrap();
    let recordings = last["recordings"].as_array().unwrap();
    assert_eq!((recordings.len(), &recordings[0]["recording"]), (RECORDINGS_KEPT, &1.into()));
}

#[test]
fn so_many_recordings_of_a_call_may_wait_for_their_beginning() {
    let mut desk = Desk::new(Config::default(), 1, [7; 32]);
    let call = CallId(1);
    let (from, to) = (Address::from("sip:a@x"), Address::from("sip:b@x"));
    desk.told(&Told { at: NOW, seq: 0, call, owner: None, event: Event::Incoming { from, to } });
    let last = u16::try_from(RECORDINGS_KEPT).unwrap();
    for number in 0..=last {
        desk.record_ordered(call, RecordingId(number), None, &"a.wav".into());
    }
    let mut noted = |number| desk.recorded(NOW, call, RecordingId(number), &RecordNews::Begun, |_| None).is_some();
    assert_eq!([0, 1, last, 1].map(&mut noted), [false, true, true, true], "the oldest has made room");
}

#[test]
fn paths_queries_and_bodies_have_a_longest() {
    let (mut desk, mut switch) = (Desk::new(Config::default(), 1, [7; 32]), Nothing::default());
    let long = "x".repeat(70_000);
    for (method, path, query, body, status) in [
        ("GET", format!("/v1/{long}"), None, "", 414),
        ("GET", "/v1/calls".to_owned(), Some(long.as_str()), "", 414),
        ("POST", "/v1/calls".to_owned(), None, long.as_str(), 413),
        ("PUT", "/v1/directory/x.test".to_owned(), None, long.as_str(), 400),
    ] {
        let (response, _) = answer(&mut desk, &mut switch, NOW, &request(method, &path, query, body, None));
        assert_eq!(response.status, status, "{method} {}", &path[..path.len().min(30)]);
    }
}

proptest! {
    /// Every answer is one that the table tells of, and every problem is a problem document.
    #[test]
    fn no_request_is_answered_in_a_way_that_is_not_told_of(
        route in 0..ROUTES.iter().count(),
        part in "[ -~]{0,20}",
        query in proptest::option::of("[a-z_]{1,8}=[ -~]{0,10}(&(limit|after|state|party)=[0-9a-f]{1,8})?"),
        body in "\\PC{0,80}|\\{\"(party|to|from|sounds|users|secret)\":[\\[\\]{}\"a-z:@0-9,]{0,30}\\}",
    ) {
        let (mut desk, mut switch) = (Desk::new(Config::default(), 1, [7; 32]), Nothing::default());
        let route = ROUTES.iter().nth(route).unwrap();
        let path: Vec<&str> = route.path.split('/').map(|it| if it.starts_with('{') { part.as_str() } else { it }).collect();
        let request = request(route.method.name(), &path.join("/"), query.as_deref(), &body, None);
        if is_of_listener(&request) {
            // It never comes to the desk.
            let problem = admit(&request).err();
            prop_assert!(problem.is_none_or(|problem| problem.into_response().status < 500));
            return Ok(());
        }
        let (response, _) = answer(&mut desk, &mut switch, NOW, &request);
        prop_assert!(response.status < 500, "{}", response.body);
        if response.status >= 400 {
            let problem: serde_json::Value = serde_json::from_str(&response.body).unwrap();
            prop_assert_eq!(problem["status"].as_u64(), Some(response.status.into()));
            prop_assert!(hookswitch_dialect::rest::CODES.iter().any(|row| problem["code"] == row.name));
        }
    }
}
