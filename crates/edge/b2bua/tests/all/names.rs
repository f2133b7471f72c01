//! Parties whose address is a name: who waits for what, and which place is called next.

use std::collections::HashMap;
use std::time::Duration;

use hookswitch_b2bua::route::{Destination, Route};
use hookswitch_b2bua::{B2bua, B2buaConfig, Step};
use hookswitch_call::directory::{Directory, Forwarding, Layer, Secret};
use hookswitch_call::port::Backend;
use hookswitch_call::{
    Address, CallId, Cause, Dial, Diverting, Fault, Forwards, Found, Kind, LegId, MAX_BRANCHES, Op, Orderer, Report,
    Target, Time,
};
use hookswitch_sip::resolve::{Answer, LookupId, RecordKind, Records, ResolverConfig, Srv};
use hookswitch_sip::{Addresses, EndpointConfig, Flow, Input, Interface, Listen, Transport};
use hookswitch_sip_msg::{HeaderName, Message, Method};

const START: Time = Time::from_secs(1_700_000_000);
const CALL: CallId = CallId(1);
const LEG: LegId = LegId(3);

/// A switch with the interfaces 10.0.0.1 and 10.9.0.1, what it has sent and asked, and what it has told.
struct Rig {
    b2bua: B2bua,
    now: Time,
    sent: Vec<(Flow, Message)>,
    asked: HashMap<(String, RecordKind), LookupId>,
    told: Vec<Report>,
}

impl Rig {
    fn new(routes: Vec<Route>) -> Self {
        let listen = |transport| Listen { transport, address: "0.0.0.0:5060".parse().unwrap(), advertise: None };
        let near = |addr: &str| Interface { addr: addr.parse().unwrap(), prefix: 16, default: addr == "10.0.0.1" };
        let endpoint = EndpointConfig {
            listen: vec![listen(Transport::Udp), listen(Transport::Tcp)],
            addresses: Addresses { interfaces: vec![near("10.0.0.1"), near("10.9.0.1")], ..Addresses::default() },
            ..EndpointConfig::default()
        };
        let config = B2buaConfig { endpoint, routes, ..B2buaConfig::default() };
        let b2bua = B2bua::new(config, Directory::new(), [3; 32]);
        Self { b2bua, now: START, sent: Vec::new(), asked: HashMap::new(), told: Vec::new() }
    }

    fn settle(&mut self) {
        loop {
            if let Some(report) = self.b2bua.poll_report() {
                self.told.push(report);
                continue;
            }
            match self.b2bua.step(self.now) {
                None => break,
                Some(Step::Send { flow, bytes }) => self.sent.push((flow, Message::parse(bytes).expect("a message"))),
                Some(Step::Lookup { id, name, kind }) => {
                    self.asked.insert((name.to_string(), kind), id);
                }
                Some(Step::Close { .. } | Step::Handled | Step::AskUser(_)) => {}
            }
        }
    }

    fn perform(&mut self, op: Op) {
        self.b2bua.perform(self.now, op);
        self.settle();
    }

    fn dial(&mut self, leg: LegId, target: Target) {
        let dial = Dial::new(target, Address::from("sip:a@x.test"), Address::from("sip:b@x.test"), None);
        self.perform(Op::Dial { call: CALL, leg, dial: Box::new(dial) });
    }

    fn dial_uri(&mut self, uri: &str) {
        self.dial(LEG, Target::new(Address::from(uri), None, None));
    }

    fn locate(&mut self, to: &str) {
        self.perform(Op::Locate { call: CALL, to: Address::from(to), anywhere: true, by: Orderer::default() });
    }

    fn answer(&mut self, name: &str, answer: Answer) {
        let key = self.asked.keys().find(|(asked, _)| asked == name).unwrap_or_else(|| panic!("{name}")).clone();
        let id = self.asked.remove(&key).unwrap();
        self.b2bua.handle_answer(self.now, id, answer);
        self.settle();
    }

    fn has_address(&mut self, name: &str, ips: &[&str]) {
        let records = Records::A(ips.iter().map(|ip| ip.parse().unwrap()).collect());
        self.answer(name, Answer::Found { records, ttl: Duration::from_secs(600) });
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.b2bua.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.b2bua.handle_timeout(self.now);
            self.settle();
        }
        self.now = end;
    }

    /// The last INVITE that was sent.
    fn invite(&self) -> (&Flow, &Message) {
        let last = self.sent.iter().rev().find(|(_, message)| message.method() == Some(&Method::Invite));
        let (flow, message) = last.expect("no INVITE");
        (flow, message)
    }

    /// The party at the other end of the last INVITE answers with these lines.
    fn respond(&mut self, status: &str, more: &str) {
        let (flow, invite) = self.invite();
        let copy = |name: HeaderName| {
            let value = String::from_utf8_lossy(invite.header(name).expect("it is there")).into_owned();
            format!("{}: {value}\r\n", name.as_str())
        };
        let tag = if status.starts_with("100") { "" } else { ";tag=b" };
        let to = copy(HeaderName::To).trim_end().to_owned() + tag;
        let text = format!(
            "SIP/2.0 {status}\r\n{}{}{to}\r\n{}{}{more}Content-Length: 0\r\n\r\n",
            copy(HeaderName::Via),
            copy(HeaderName::From),
            copy(HeaderName::CallId),
            copy(HeaderName::CSeq),
        );
        let flow = Flow { conn: None, ..*flow };
        self.b2bua.handle_input(self.now, Input::Datagram { flow, bytes: text.into_bytes().into() });
        self.settle();
    }

    fn ended(&self) -> Vec<&Cause> {
        let ended = |report: &'_ Report| matches!(report, Report::Ended { leg: LEG, .. });
        self.told
            .iter()
            .filter(|report| ended(report))
            .map(|report| match report {
                Report::Ended { cause, .. } => cause,
                _ => unreachable!("filtered"),
            })
            .collect()
    }

    fn dialed(&self) -> usize {
        self.told.iter().filter(|report| matches!(report, Report::Dialed { leg: LEG, .. })).count()
    }

    fn nothing_left(&mut self) {
        self.pass(Duration::from_secs(400));
        assert_eq!((self.b2bua.live_legs(), self.b2bua.endpoint().counts().dialogs), (0, 0));
    }
}

fn header(message: &Message, name: HeaderName) -> String {
    String::from_utf8_lossy(message.header(name).expect("it is there")).into_owned()
}

#[test]
fn a_leg_is_called_when_its_name_is_looked_up_and_the_others_do_not_wait() {
    let mut rig = Rig::new(Vec::new());
    rig.dial_uri("sip:b@phone.test:5070");
    assert!(rig.sent.is_empty() && rig.told.is_empty() && rig.b2bua.live_legs() == 1);
    rig.dial(LegId(4), Target::new(Address::from("sip:c@10.0.0.3"), None, None));
    assert_eq!(rig.sent.len(), 1);
    rig.has_address("phone.test", &["10.0.0.2"]);
    let (flow, invite) = rig.invite();
    assert_eq!(flow.remote, "10.0.0.2:5070".parse().unwrap());
    assert_eq!(invite.request_uri(), Some("sip:b@phone.test:5070"));
    assert_eq!(rig.dialed(), 1);
    // Known names are not asked for again.
    rig.dial(LegId(5), Target::new(Address::from("sip:d@phone.test:5070"), None, None));
    assert_eq!(rig.sent.len(), 3);
}

#[test]
fn a_leg_that_is_hung_up_while_it_waits_ends_once_and_is_never_called() {
    let mut rig = Rig::new(Vec::new());
    rig.dial_uri("sip:b@phone.test:5070");
    rig.perform(Op::Hangup { call: CALL, leg: LEG, cause: Cause::new(Kind::Cancelled, Fault::Nobody) });
    assert_eq!(rig.ended()[0].kind, Kind::Cancelled);
    rig.has_address("phone.test", &["10.0.0.2"]);
    assert!(rig.sent.is_empty() && rig.dialed() == 0 && rig.ended().len() == 1);
    rig.nothing_left();
}

#[test]
fn a_name_that_is_none_and_servers_that_do_not_answer_end_the_leg() {
    let mut rig = Rig::new(Vec::new());
    rig.dial_uri("sip:b@gone.test:5070");
    rig.answer("gone.test", Answer::Nothing { ttl: None });
    assert_eq!(rig.ended()[0].to_string(), "404 Host Not Found");
    let mut rig = Rig::new(Vec::new());
    rig.dial_uri("sip:b@silent.test:5070");
    rig.pass(Duration::from_secs(5));
    assert_eq!(rig.ended()[0].to_string(), "480 Name Server Does Not Answer");
    assert_eq!(rig.ended()[0].fault, Fault::Server);
    rig.nothing_left();
    assert_eq!(rig.ended().len(), 1);
}

#[test]
fn too_many_look_ups_are_an_overload() {
    let listen = Listen { transport: Transport::Udp, address: "10.0.0.1:5060".parse().unwrap(), advertise: None };
    let endpoint = EndpointConfig { listen: vec![listen], ..EndpointConfig::default() };
    let resolver = ResolverConfig { max_lookups: 1, ..ResolverConfig::default() };
    let config = B2buaConfig { endpoint, resolver, ..B2buaConfig::default() };
    let mut rig = Rig { b2bua: B2bua::new(config, Directory::new(), [3; 32]), ..Rig::new(Vec::new()) };
    rig.dial(LegId(1), Target::new(Address::from("sip:b@one.test:5060"), None, None));
    rig.dial_uri("sip:b@two.test:5060");
    assert_eq!(rig.ended()[0].kind, Kind::Overloaded);
}

fn two_places(rig: &mut Rig) {
    rig.dial_uri("sip:b@gw.test;transport=udp");
    let srv = |priority, target: &str| Srv { priority, weight: 0, port: 5070, target: target.into() };
    let records = Records::Srv(vec![srv(1, "first.test"), srv(2, "second.test")]);
    rig.answer("_sip._udp.gw.test", Answer::Found { records, ttl: Duration::from_secs(600) });
    rig.has_address("first.test", &["10.0.0.11"]);
    rig.has_address("second.test", &["10.0.0.12"]);
    assert_eq!(rig.invite().0.remote, "10.0.0.11:5070".parse().unwrap());
}

#[test]
fn a_place_that_is_out_of_service_gives_way_to_the_next_and_the_core_sees_one_leg() {
    let mut rig = Rig::new(Vec::new());
    two_places(&mut rig);
    let first = rig.invite().1.clone();
    rig.respond("503 Service Unavailable", "Retry-After: 120 (back soon)\r\n");
    let (flow, second) = rig.invite();
    assert_eq!(flow.remote, "10.0.0.12:5070".parse().unwrap());
    assert_eq!(header(&first, HeaderName::CallId), header(second, HeaderName::CallId));
    assert_ne!(header(&first, HeaderName::Via), header(second, HeaderName::Via));
    assert_eq!(first.request_uri(), second.request_uri());
    rig.respond("200 OK", "Contact: <sip:b@10.0.0.12:5070>\r\n");
    let answered = rig.told.iter().filter(|report| matches!(report, Report::Answered { leg: LEG, .. })).count();
    assert_eq!((rig.dialed(), answered, rig.ended().len()), (1, 1, 0));
    rig.perform(Op::Confirm { call: CALL, leg: LEG, sdp: None });
    // As long as it said, the first place is not tried first.
    rig.pass(Duration::from_secs(60));
    rig.dial(LegId(4), Target::new(Address::from("sip:b@gw.test;transport=udp"), None, None));
    assert_eq!(rig.invite().0.remote, "10.0.0.12:5070".parse().unwrap());
    rig.pass(Duration::from_secs(60));
    rig.dial(LegId(5), Target::new(Address::from("sip:b@gw.test;transport=udp"), None, None));
    assert_eq!(rig.invite().0.remote, "10.0.0.11:5070".parse().unwrap());
}

#[test]
fn a_place_that_says_nothing_at_all_gives_way_when_timer_b_fires() {
    let mut rig = Rig::new(Vec::new());
    two_places(&mut rig);
    rig.pass(Duration::from_secs(33));
    assert_eq!(rig.invite().0.remote, "10.0.0.12:5070".parse().unwrap());
    assert!(rig.ended().is_empty());
    rig.pass(Duration::from_secs(33));
    // There is no third one.
    assert_eq!((rig.ended().len(), rig.ended()[0].kind), (1, Kind::NoAnswer));
    rig.nothing_left();
}

#[test]
fn a_place_where_nobody_is_gives_way_at_once() {
    let mut rig = Rig::new(Vec::new());
    two_places(&mut rig);
    let flow = *rig.invite().0;
    rig.b2bua.handle_input(rig.now, Input::Unreachable { flow });
    rig.settle();
    assert_eq!(rig.invite().0.remote, "10.0.0.12:5070".parse().unwrap());
    let flow = *rig.invite().0;
    rig.b2bua.handle_input(rig.now, Input::Unreachable { flow });
    rig.settle();
    assert_eq!((rig.ended().len(), rig.ended()[0].kind), (1, Kind::Unreachable));
    rig.nothing_left();
}

#[test]
fn what_the_party_itself_says_is_not_asked_elsewhere() {
    for status in ["486 Busy Here", "404 Not Found", "603 Decline", "500 Server Internal Error", "408 Request Timeout"]
    {
        let mut rig = Rig::new(Vec::new());
        two_places(&mut rig);
        let sent = rig.sent.len();
        rig.respond(status, "");
        assert_eq!((rig.ended().len(), rig.sent.len()), (1, sent + 1), "{status}: only an ACK follows");
    }
}

#[test]
fn once_the_party_rings_it_stays_where_it_is() {
    let mut rig = Rig::new(Vec::new());
    two_places(&mut rig);
    rig.respond("180 Ringing", "Contact: <sip:b@10.0.0.11:5070>\r\n");
    rig.respond("503 Service Unavailable", "");
    assert_eq!((rig.ended().len(), rig.ended()[0].kind), (1, Kind::Overloaded));
    assert_eq!(rig.invite().0.remote, "10.0.0.11:5070".parse().unwrap());
}

#[test]
fn a_party_that_said_100_and_nothing_more_is_not_asked_elsewhere() {
    let mut rig = Rig::new(Vec::new());
    two_places(&mut rig);
    rig.respond("100 Trying", "");
    rig.pass(Duration::from_secs(340));
    assert_eq!((rig.ended().len(), rig.ended()[0].kind), (1, Kind::NoAnswer));
    assert_eq!(rig.invite().0.remote, "10.0.0.11:5070".parse().unwrap());
}

#[test]
fn a_leg_that_is_given_up_is_not_called_at_its_next_place() {
    let mut rig = Rig::new(Vec::new());
    two_places(&mut rig);
    rig.perform(Op::Hangup { call: CALL, leg: LEG, cause: Cause::new(Kind::Cancelled, Fault::Nobody) });
    rig.respond("503 Service Unavailable", "");
    assert_eq!((rig.ended().len(), rig.invite().0.remote.port()), (1, 5070));
    assert_eq!(rig.invite().0.remote, "10.0.0.11:5070".parse().unwrap());
    rig.nothing_left();
}

fn located(rig: &Rig) -> &Found {
    match rig.told.as_slice() {
        [Report::Located { found, .. }] => found,
        other => panic!("{other:?}"),
    }
}

fn targets(rig: &Rig) -> Vec<(String, String, u8)> {
    let Found::Targets(targets) = located(rig) else { panic!("{:?}", located(rig)) };
    let near = |target: &Target| target.near.map(|near| near.to_string()).unwrap_or_default();
    targets.iter().map(|target| (target.address.to_string(), near(target), target.group)).collect()
}

#[test]
fn locating_a_name_waits_for_its_look_up_and_tells_our_address_towards_it() {
    let mut rig = Rig::new(Vec::new());
    rig.locate("sip:b@phone.test:5070");
    assert!(rig.told.is_empty());
    rig.has_address("phone.test", &["10.9.0.2"]);
    assert_eq!(targets(&rig), [("sip:b@phone.test:5070".into(), "10.9.0.1".into(), 0)]);
    // Calling it needs no other look-up.
    let Found::Targets(found) = located(&rig).clone() else { panic!("just seen") };
    rig.dial(LEG, found[0].clone());
    assert_eq!(rig.invite().0.remote, "10.9.0.2:5070".parse().unwrap());
}

#[test]
fn a_name_that_leads_nowhere_is_nowhere() {
    let mut rig = Rig::new(Vec::new());
    rig.locate("sip:b@gone.test:5070");
    rig.answer("gone.test", Answer::Nothing { ttl: None });
    let Found::Nowhere(cause) = located(&rig) else { panic!("{:?}", located(&rig)) };
    assert_eq!((cause.kind, cause.fault), (Kind::NotFound, Fault::Peer));
}

#[test]
fn of_a_routes_destinations_those_are_called_that_can_be_found() {
    let destination = |to: &str, group| Destination { group, ..Destination::new(to) };
    let all = vec![
        destination("sip:10.0.0.7", 0),
        destination("sip:gone.test:5060", 0),
        destination("sip:late.test:5060", 4),
    ];
    let mut rig = Rig::new(vec![Route::to_all("sip:9*", all).unwrap()]);
    rig.locate("sip:99@x.test");
    rig.answer("gone.test", Answer::Nothing { ttl: None });
    assert!(rig.told.is_empty(), "one is still to come");
    rig.has_address("late.test", &["10.9.0.3"]);
    let expected = [("sip:99@10.0.0.7", "10.0.0.1", 0), ("sip:99@late.test:5060", "10.9.0.1", 1)];
    assert_eq!(targets(&rig), expected.map(|(to, near, group)| (to.into(), near.into(), group)));
}

#[test]
fn of_several_places_those_come_first_that_see_the_address_of_our_offer() {
    let mut rig = Rig::new(Vec::new());
    rig.locate("sip:b@phone.test:5070");
    rig.has_address("phone.test", &["10.0.0.2", "10.9.0.2"]);
    let Found::Targets(found) = located(&rig).clone() else { panic!("found") };
    let near = found[0].near.expect("it is known").to_string();
    for leg in 10..40 {
        rig.dial(LegId(leg), found[0].clone());
        let remote = rig.invite().0.remote.ip().to_string();
        assert_eq!(remote[..5], near[..5], "{remote}");
    }
}

#[test]
fn whom_a_party_names_instead_is_told_best_first_before_the_end() {
    let mut rig = Rig::new(Vec::new());
    rig.dial_uri("sip:b@10.0.0.2");
    let contacts = "Contact: <sip:low@x.test>;q=0.1, <sip:best@x.test?Subject=hi>\r\n\
                    Contact: <http://x.test>, <sip:mid@x.test>;q=0.5\r\n";
    rig.respond("302 Moved Temporarily", contacts);
    let named = ["sip:best@x.test", "sip:mid@x.test", "sip:low@x.test"].map(Address::from);
    match &rig.told[1..] {
        [Report::Redirected { to, leg: LEG, .. }, Report::Ended { leg: LEG, .. }] => assert_eq!(to[..], named),
        other => panic!("{other:?}"),
    }
    let mut rig = Rig::new(Vec::new());
    rig.dial_uri("sip:b@10.0.0.2");
    let many: String = (0..30).map(|n| format!("Contact: <sip:u{n}@x.test>\r\n")).collect();
    rig.respond("300 Multiple Choices", &many);
    assert!(matches!(&rig.told[1], Report::Redirected { to, .. } if to.len() == MAX_BRANCHES));
}

#[test]
fn a_user_who_is_forwarded_is_diverted_or_tells_whom_to_call_otherwise() {
    let mut directory = Directory::new();
    let users = ["alice", "bob", "carol"].map(|name| (name.into(), Secret::new("secret")));
    let busy = Forwards { busy: Some(Address::from("sip:desk@x.test")), ..Forwards::default() };
    let always = Forwarding { always: Some(Address::from("sip:carol@x.test")), ..Forwarding::default() };
    let otherwise = Forwarding { otherwise: busy.clone(), ..Forwarding::default() };
    let forwards = [("alice".into(), always), ("bob".into(), otherwise)].into();
    directory.configure("x.test", Layer { users: users.into(), forwards, ..Layer::default() }).unwrap();
    let rig = Rig::new(Vec::new());
    let mut rig = Rig { b2bua: B2bua::new(B2buaConfig::default(), directory, [3; 32]), ..rig };
    for to in ["sip:alice@x.test", "sip:bob@x.test", "sip:carol@x.test"] {
        rig.locate(to);
    }
    match &rig.told[..] {
        [
            Report::Located { found: Found::Diverted { to, why: Diverting::Always }, forwards: None, .. },
            // Nobody of these has registered.
            Report::Located { found: Found::Nowhere(_), forwards: Some(told), .. },
            Report::Located { found: Found::Nowhere(_), forwards: None, .. },
        ] => assert_eq!((to, &**told), (&Address::from("sip:carol@x.test"), &busy)),
        other => panic!("{other:?}"),
    }
}
