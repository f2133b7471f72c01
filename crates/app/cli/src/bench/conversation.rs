//! Both ends of the load against each other in virtual time, over a network that loses what it is told to lose.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use hookswitch_sip_msg::Message;

use super::callee::Callee;
use super::caller::{Caller, Script};
use super::template::Template;
use super::work::{Deed, Leg, Tally, Work};

const DELAY: Duration = Duration::from_millis(1);

struct Wire {
    now: Duration,
    caller: Caller,
    callee: Callee,
    tally: Tally,
    work: Work,
    flying: VecDeque<(Duration, bool, Bytes)>,
    deeds: Vec<Deed>,
    /// First lines on the wire, lost ones with an `x` in front.
    spoken: Vec<String>,
    /// Loses so many messages whose first line begins like this.
    lose: (&'static str, usize),
}

fn address(last: u8) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, last], 5070))
}

impl Wire {
    fn new(ring: Duration, audio: bool) -> Wire {
        let script = Script {
            server: address(2),
            from: "sip:load@127.0.0.1".into(),
            to: "sip:bench-{n}@127.0.0.2".into(),
            among: None,
            hold: Duration::from_secs(1),
            audio,
            transfer: false,
        };
        Wire {
            now: Duration::from_secs(100),
            caller: Caller::new(script, Template::new(address(1), None, 1)),
            callee: Callee::new(Template::new(address(2), None, 2), ring, audio),
            tally: Tally::new(),
            work: Work::default(),
            flying: VecDeque::new(),
            deeds: Vec::new(),
            spoken: Vec::new(),
            lose: ("", 0),
        }
    }

    fn losing(what: &'static str, count: usize) -> Wire {
        Wire { lose: (what, count), ..Wire::new(Duration::ZERO, false) }
    }

    fn call(&mut self, number: u64) -> &mut Wire {
        self.caller.start(self.now, number, &mut self.work, &mut self.tally);
        self.post(true);
        self
    }

    fn pass(&mut self, time: Duration) -> &mut Wire {
        let end = self.now + time;
        loop {
            let due = [self.flying.front().map(|(at, ..)| *at), self.caller.deadline(), self.callee.deadline()];
            let Some(next) = due.into_iter().flatten().min().filter(|next| *next <= end) else {
                self.now = end;
                return self;
            };
            self.now = self.now.max(next);
            let (now, work, tally) = (self.now, &mut self.work, &mut self.tally);
            let by_caller = match self.flying.pop_front_if(|(at, ..)| *at <= now) {
                Some((_, true, bytes)) => {
                    self.callee.receive(now, address(1), bytes, work, tally);
                    false
                }
                Some((_, false, bytes)) => {
                    self.caller.receive(now, address(2), bytes, work, tally);
                    true
                }
                None => {
                    self.caller.handle_timeout(now, work, tally);
                    self.post(true);
                    self.callee.handle_timeout(now, &mut self.work, &mut self.tally);
                    false
                }
            };
            self.post(by_caller);
        }
    }

    fn post(&mut self, by_caller: bool) {
        self.deeds.append(&mut self.work.deeds);
        for (to, bytes) in self.work.sip.drain(..) {
            assert_eq!(to, address(if by_caller { 2 } else { 1 }));
            let line = String::from_utf8_lossy(&bytes[..12]).into_owned();
            let lost = self.lose.1 > 0 && !self.lose.0.is_empty() && line.starts_with(self.lose.0);
            self.spoken.push(format!("{}{line}", if lost { "x " } else { "" }));
            if lost {
                self.lose.1 -= 1;
            } else {
                self.flying.push_back((self.now + DELAY, by_caller, bytes));
            }
        }
    }

    fn counts(&self) -> (u64, u64, u64, u64) {
        (self.tally.completed, self.tally.failures(), self.tally.repeats_sent, self.tally.repeats_seen)
    }

    fn nothing_is_left(&self) {
        assert_eq!((self.caller.open(), self.callee.open(), self.tally.strays), (0, 0, 0));
    }
}

#[test]
fn a_call_takes_six_messages_and_leaves_nothing() {
    let mut wire = Wire::new(Duration::ZERO, false);
    wire.call(0).pass(Duration::from_secs(2));
    let said: Vec<&str> =
        wire.spoken.iter().filter_map(|line| line.split(' ').find(|word| *word != "SIP/2.0")).collect();
    assert_eq!(said, ["INVITE", "180", "200", "ACK", "BYE", "200"]);
    assert_eq!(wire.counts(), (1, 0, 0, 0));
    wire.nothing_is_left();
}

#[test]
fn whatever_is_lost_once_is_said_again() {
    // What is lost, and how often anything is sent and seen again because of it.
    for (lost, sent, seen) in [("INVITE", 1, 0), ("SIP/2.0 200", 1, 0), ("ACK", 1, 1), ("BYE", 1, 0)] {
        let mut wire = Wire::losing(lost, 1);
        wire.call(0).pass(Duration::from_secs(4));
        assert_eq!(wire.counts(), (1, 0, sent, seen), "{lost}: {:?}", wire.spoken);
        wire.nothing_is_left();
    }
}

#[test]
fn silence_is_given_up_after_32_seconds_at_either_end() {
    let mut wire = Wire::losing("INVITE", usize::MAX);
    wire.call(0).pass(Duration::from_secs(33));
    assert_eq!(wire.tally.failed.get("no answer"), Some(&1));
    assert_eq!(wire.tally.repeats_sent, 6);
    wire.nothing_is_left();
    let mut wire = Wire::losing("ACK", usize::MAX);
    wire.call(0).pass(Duration::from_secs(40));
    assert_eq!(wire.counts().0, 1, "the caller never knows");
    assert_eq!(wire.callee.open(), 0);
}

#[test]
fn a_hundred_calls_ring_talk_and_are_told_apart() {
    let mut wire = Wire::new(Duration::from_millis(300), true);
    for number in 0..100 {
        wire.call(number).pass(Duration::from_millis(7));
    }
    wire.pass(Duration::from_secs(3));
    assert_eq!(wire.counts(), (100, 0, 0, 0));
    wire.nothing_is_left();
    for leg in [Leg::Caller, Leg::Callee] {
        let numbers = wire.deeds.iter().filter_map(|deed| match deed {
            Deed::Talks { leg: at, number, remote: Some(_), .. } if *at == leg => *number,
            _ => None,
        });
        let mut numbers: Vec<u64> = numbers.collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..100).collect::<Vec<_>>());
    }
    let hushed = wire.deeds.iter().filter(|deed| matches!(deed, Deed::Hush { .. })).count();
    assert_eq!(hushed, 100);
}

#[test]
fn a_user_that_only_rings_is_refused_when_it_is_cancelled() {
    let mut wire = Wire::new(Duration::ZERO, false);
    let ask = |method: &str| {
        let text = format!(
            "{method} sip:rings-7@127.0.0.2 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK1\r\n\
             From: <sip:a@a>;tag=9\r\nTo: <sip:rings-7@a>\r\nCall-ID: fork\r\nCSeq: 1 {method}\r\n\
             Max-Forwards: 70\r\n\r\n"
        );
        Bytes::from(text)
    };
    let mut statuses = Vec::new();
    for method in ["INVITE", "CANCEL", "ACK"] {
        wire.callee.receive(wire.now, address(1), ask(method), &mut wire.work, &mut wire.tally);
        assert_eq!(wire.callee.deadline(), None, "it is never answered");
        let answers = wire.work.sip.drain(..);
        statuses.extend(answers.map(|(_, bytes)| Message::parse(bytes).unwrap().status().unwrap()));
    }
    assert_eq!(statuses, [180, 200, 487]);
    wire.nothing_is_left();
}

#[test]
fn a_server_that_hangs_up_or_changes_the_session_is_answered() {
    let mut wire = Wire::new(Duration::ZERO, false);
    wire.call(0).pass(Duration::from_millis(100));
    let key = "000000010000000000000000";
    let ask = |method: &str, cseq: u32| {
        let text = format!(
            "{method} sip:bench@127.0.0.1:5070 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.2:5070;branch=z9hG4bK{cseq}\r\n\
             From: <sip:b@a>;tag=9\r\nTo: <sip:a@a>;tag={key}\r\nCall-ID: {key}@127.0.0.1\r\n\
             CSeq: {cseq} {method}\r\nMax-Forwards: 70\r\n\r\n"
        );
        Bytes::from(text)
    };
    let mut answers = Vec::new();
    for (method, cseq) in [("INVITE", 1), ("INFO", 2), ("BYE", 3), ("BYE", 4)] {
        wire.caller.receive(wire.now, address(2), ask(method, cseq), &mut wire.work, &mut wire.tally);
        let (_, bytes) = wire.work.sip.pop().unwrap();
        let answer = Message::parse(bytes).unwrap();
        answers.push((answer.status().unwrap(), !answer.body_bytes().is_empty()));
    }
    assert_eq!(answers, [(200, true), (200, false), (200, false), (481, false)]);
    assert_eq!(wire.tally.failed.get("ended by the other side"), Some(&1));
    assert_eq!(wire.caller.open(), 0);
}
