//! Who asks for it hears of calls: of the end of one's own, and of everything that OpenSIPS carries. A session that
//! follows checks that events are counted without a gap.

use hookswitch_lab::opensips::{Mishap, OpenSipsLab};
use hookswitch_lab::opensips_cast::scripted;
use hookswitch_lab::seconds;
use hookswitch_opensips_sim::Answer;
use hookswitch_shard::{FrontInput, Mode, SessionId};

const PARTIES: [(&str, &str); 2] = [("caller", "sip:dave@127.0.0.1:5080"), ("callee", "sip:erin@127.0.0.1:5080")];

fn start_and_wait(lab: &mut OpenSipsLab, session: SessionId) -> String {
    let params = [PARTIES[0], PARTIES[1], ("notify_end", "true")];
    lab.ask(session, "CallStart", "mine", &params);
    lab.pass(seconds(10));
    lab.client(session).data("mine", "CalleeAnswered")["callid"].as_str().unwrap().to_owned()
}

#[test]
fn the_end_of_ones_own_call_is_told_when_a_phone_hangs_up() {
    let mut lab = OpenSipsLab::default();
    let session = lab.open(Mode::Original);
    let callid = start_and_wait(&mut lab, session);
    lab.pass(seconds(100));
    assert!(lab.client(session).running.contains_key("mine"));
    let now = lab.now();
    lab.sim().hang_up(now, &callid);
    lab.settle(seconds(5));
    let data = lab.client(session).data("mine", "CallEnded");
    assert_eq!(data["callid"], *callid);
    assert!(data["talked"].as_u64().unwrap() > 100_000, "{data}");
    assert_eq!(lab.client(session).events("mine").last(), Some(&"Ended"));
}

#[test]
fn the_end_is_told_even_if_opensips_word_of_it_is_lost() {
    let mut lab = OpenSipsLab::default();
    let session = lab.open(Mode::Original);
    let callid = start_and_wait(&mut lab, session);
    lab.pass(seconds(3));
    lab.mishap(Mishap::Lost, 0);
    let now = lab.now();
    lab.sim().hang_up(now, &callid);
    lab.settle(seconds(400));
    assert_eq!(lab.client(session).data("mine", "CallEnded")["callid"], *callid);
}

#[test]
fn the_end_is_told_when_opensips_is_restarted() {
    let mut lab = OpenSipsLab::default();
    let session = lab.open(Mode::Original);
    start_and_wait(&mut lab, session);
    lab.restart_opensips();
    lab.settle(seconds(400));
    assert!(!lab.client(session).data("mine", "CallEnded").is_null());
}

#[test]
fn ones_own_call_is_ended_by_the_name_of_its_command() {
    let mut lab = OpenSipsLab::default();
    let session = lab.open(Mode::Original);
    start_and_wait(&mut lab, session);
    lab.ask(session, "CallEnd", "end", &[("callid", "mine")]);
    lab.settle(seconds(30));
    assert_eq!(lab.client(session).error("end"), "");
    assert!(!lab.client(session).data("mine", "CallEnded").is_null());
    assert_eq!(lab.sim().counts().dialogs, 0);
}

#[test]
fn a_follower_is_told_of_calls_that_nobody_here_made() {
    let mut lab = OpenSipsLab::default();
    let session = lab.open(Mode::Strict);
    lab.ask(session, "Subscribe", "all", &[]);
    let now = lab.now();
    lab.sim().phone("erin", scripted("erin").answering(Answer::After(seconds(2))));
    lab.sim().call(now, "people-1", "dave", "erin");
    lab.pass(seconds(5));
    let now = lab.now();
    lab.sim().hang_up(now, "people-1");
    lab.pass(seconds(1));
    let client = lab.client(session);
    assert_eq!(client.data("all", "CallNoticed")["callid"], "people-1");
    assert_eq!((client.seen_to_end, client.followed.len()), (1, 0));
}

#[test]
fn a_follower_is_told_every_step_of_every_command() {
    let mut lab = OpenSipsLab::default();
    let [strict, session] = [lab.open(Mode::Strict), lab.open(Mode::Original)];
    lab.ask(strict, "Subscribe", "all", &[]);
    lab.ask(session, "CallStart", "a", &PARTIES);
    lab.pass(seconds(10));
    let callid = lab.client(session).data("a", "CalleeAnswered")["callid"].as_str().unwrap().to_owned();
    lab.ask(session, "CallHold", "b", &[("callid", &callid)]);
    lab.pass(seconds(10));
    let transfer = [("callid", callid.as_str()), ("leg", "caller"), ("destination", "sip:frank@127.0.0.1:5080")];
    lab.ask(session, "CallBlindTransfer", "c", &transfer);
    lab.pass(seconds(10));
    for callid in lab.sim().calls().map(str::to_owned).collect::<Vec<_>>() {
        let now = lab.now();
        lab.sim().hang_up(now, &callid);
    }
    lab.pass(seconds(10));
    let client = lab.client(strict);
    for event in ["CallDialing", "CallAnswered", "CallHeld", "CallTransferStarted", "CallTransferred", "CallEnded"] {
        assert!(client.find("all", event).is_some(), "{event}: {:?}", client.events("all"));
    }
    assert_eq!((client.followed.len(), lab.front().counts().calls), (0, 0), "{:?}", client.events("all"));
}

#[test]
fn a_front_that_drains_lets_calls_be_finished_and_begins_none() {
    let mut lab = OpenSipsLab::default();
    let session = lab.open(Mode::Original);
    lab.sim().phone("dave", scripted("dave").answering(Answer::After(seconds(5))));
    lab.ask(session, "CallStart", "before", &PARTIES);
    lab.pass(seconds(1));
    lab.put(FrontInput::Drain);
    assert!(lab.front().draining());
    lab.ask(session, "CallStart", "after", &PARTIES);
    assert_eq!(lab.client(session).error("after"), "failed to establish initial call: 503 Service Unavailable");
    lab.settle(seconds(30));
    assert_eq!(lab.client(session).error("before"), "");
    let callid = lab.client(session).data("before", "CalleeAnswered")["callid"].as_str().unwrap().to_owned();
    lab.pass(seconds(1));
    lab.ask(session, "CallEnd", "end", &[("callid", &callid)]);
    lab.settle(seconds(30));
    assert_eq!(lab.client(session).error("end"), "", "what runs can still be ended");
    lab.pass(seconds(10));
    assert!(lab.front().idle());
}
