//! A registration of our own: when which REGISTER is sent.

use std::time::Duration;

use hookswitch_sip::Time;
use hookswitch_sip::registration::{
    LEAVE_TIME, MAX_EXPIRES, MAX_SERVICE_ROUTES, MAX_WAIT, Order, Registration, RegistrationConfig, Standing,
};
use hookswitch_sip_msg::Message;

const START: Time = Time::from_secs(1_000);

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn response(status: &str, more: &str) -> Message {
    Message::parse(format!("SIP/2.0 {status}\r\n{more}\r\n").into()).expect("a response")
}

struct Rig {
    now: Time,
    it: Registration,
}

impl Rig {
    fn new(seed: u64) -> Rig {
        Rig { now: START, it: Registration::new(START, RegistrationConfig::default(), seed, "carrier") }
    }

    /// Waits for the next REGISTER, and says after how long it came.
    fn next(&mut self) -> (Duration, Order) {
        let before = self.now;
        self.now = self.it.poll_timeout().expect("something follows").max(self.now);
        let order = self.it.poll(self.now).expect("a REGISTER");
        assert_eq!(self.it.poll(self.now), None, "one at a time");
        (self.now - before, order)
    }

    fn answer(&mut self, order: Order, status: &str, more: &str) {
        let response = response(status, more);
        self.it.answered(self.now, order.cseq, response.status().unwrap(), Some(&response), "us");
    }

    fn registered(seed: u64, expires: &str) -> Rig {
        let mut rig = Rig::new(seed);
        let (wait, order) = rig.next();
        assert!(wait < secs(1));
        rig.answer(order, "200 OK", &format!("Contact: <sip:us@10.0.0.1>;expires={expires}\r\n"));
        rig
    }
}

#[test]
fn what_is_granted_is_refreshed_well_before_its_end() {
    for (granted, least, most) in [("3600", 2_700, 3_000), ("1200", 540, 600), ("60", 27, 30)] {
        for seed in 0..50 {
            let mut rig = Rig::registered(seed, granted);
            let until = START + secs(granted.parse().unwrap());
            assert!(matches!(rig.it.standing(rig.now), Standing::Registered(at) if at >= until));
            let (wait, order) = rig.next();
            assert!((secs(least)..=secs(most)).contains(&wait), "{granted}: {wait:?}");
            assert_eq!(order.expires, 3_600);
            assert!(rig.it.is_registered(rig.now), "while it is refreshed");
        }
    }
}

#[test]
fn our_contact_counts_and_without_one_expires_does() {
    for (lines, seconds) in [
        ("Contact: <sip:other@h>;expires=10, <sip:us@h>;expires=100\r\nExpires: 7\r\n", 100),
        ("Contact: <sip:us@h>\r\nExpires: 200\r\n", 200),
        ("Contact: <sip:rewritten@h>;expires=300\r\n", 300),
        ("Expires: 400\r\n", 400),
        ("", 3_600),
    ] {
        let mut rig = Rig::new(1);
        let (_, order) = rig.next();
        rig.answer(order, "200 OK", lines);
        assert_eq!(rig.it.standing(rig.now), Standing::Registered(rig.now + secs(seconds)), "{lines}");
    }
}

#[test]
fn failures_are_followed_by_longer_and_longer_waits_by_chance() {
    let mut first = Vec::new();
    for seed in 0..20 {
        let mut rig = Rig::new(seed);
        for bound in [30, 60, 120, 240, 480, 960, 1_800, 1_800] {
            let (_, order) = rig.next();
            rig.answer(order, "500 No", "");
            assert_eq!(rig.it.standing(rig.now), Standing::Failed);
            assert_eq!(rig.it.last_failure(), Some((500, "No")));
            let wait = rig.it.next_attempt().unwrap() - rig.now;
            assert!((secs(bound) / 2..=secs(bound)).contains(&wait), "{bound}: {wait:?}");
            if bound == 30 {
                first.push(wait);
            }
        }
        // The count begins anew behind a success.
        let (_, order) = rig.next();
        rig.answer(order, "200 OK", "Expires: 60\r\n");
        let (_, order) = rig.next();
        rig.it.answered(rig.now, order.cseq, 408, None, "us");
        assert!(rig.it.next_attempt().unwrap() - rig.now <= secs(30));
        assert!(rig.it.is_registered(rig.now), "until its time is up");
        assert!(!rig.it.is_registered(rig.now + secs(60)));
    }
    first.sort_unstable();
    first.dedup();
    assert!(first.len() > 15, "many do not come back at once: {first:?}");
}

#[test]
fn a_registrar_that_wants_more_time_gets_it_at_once_and_only_once() {
    let mut rig = Rig::new(3);
    let (_, order) = rig.next();
    rig.answer(order, "423 Interval Too Brief", "Min-Expires: 7200\r\n");
    let (wait, order) = rig.next();
    assert_eq!((wait, order.expires), (Duration::ZERO, 7_200));
    rig.answer(order, "423 Interval Too Brief", "Min-Expires: 7200\r\n");
    assert!(rig.it.next_attempt().unwrap() - rig.now >= secs(15), "it contradicts itself");
    let (_, order) = rig.next();
    rig.answer(order, "423 Interval Too Brief", &format!("Min-Expires: {}\r\n", MAX_EXPIRES.as_secs() + 1));
    assert!(rig.it.next_attempt().unwrap() > rig.now);
}

#[test]
fn retry_after_is_kept_to_within_reason() {
    for (says, expected) in [("120 (busy)", secs(120)), ("0", secs(1)), ("999999", MAX_WAIT)] {
        let mut rig = Rig::new(4);
        let (_, order) = rig.next();
        rig.answer(order, "503 Service Unavailable", &format!("Retry-After: {says}\r\n"));
        assert_eq!(rig.it.next_attempt(), Some(rig.now + expected));
    }
}

#[test]
fn the_service_route_is_that_of_the_last_success() {
    let mut rig = Rig::new(5);
    let (_, order) = rig.next();
    let routes = "Service-Route: <sip:p1.test;lr>, <sip:p2.test;lr>\r\n";
    rig.answer(order, "200 OK", &format!("{routes}Expires: 60\r\n"));
    assert_eq!(rig.it.service_route(), ["<sip:p1.test;lr>", "<sip:p2.test;lr>"]);
    let (_, order) = rig.next();
    rig.answer(order, "200 OK", &format!("{}Expires: 60\r\n", routes.repeat(MAX_SERVICE_ROUTES)));
    assert_eq!(rig.it.service_route().len(), MAX_SERVICE_ROUTES);
    let (_, order) = rig.next();
    rig.answer(order, "200 OK", "Expires: 60\r\n");
    assert!(rig.it.service_route().is_empty());
}

#[test]
fn it_is_taken_back_at_the_end() {
    let mut rig = Rig::registered(6, "3600");
    rig.it.stop(rig.now);
    let (wait, order) = rig.next();
    assert_eq!((wait, order.expires), (Duration::ZERO, 0));
    assert_eq!((rig.it.is_over(), rig.it.standing(rig.now)), (false, Standing::Left));
    rig.answer(order, "200 OK", "");
    assert!(rig.it.is_over() && rig.it.poll_timeout().is_none());

    // Nobody waits for a registrar that is silent.
    let mut rig = Rig::registered(6, "3600");
    rig.it.stop(rig.now);
    rig.next();
    rig.now += LEAVE_TIME;
    assert_eq!(rig.it.poll(rig.now), None);
    assert!(rig.it.is_over());
}

#[test]
fn what_is_under_way_at_the_end_is_taken_back_and_what_never_was_is_not() {
    let mut rig = Rig::new(7);
    let (_, first) = rig.next();
    rig.it.stop(rig.now);
    let (_, last) = rig.next();
    assert!(last.expires == 0 && last.cseq > first.cseq);
    rig.answer(first, "200 OK", "Expires: 60\r\n");
    assert!(!rig.it.is_over(), "that was the older one");
    rig.answer(last, "200 OK", "");
    assert!(rig.it.is_over());

    let mut rig = Rig::new(7);
    let (_, order) = rig.next();
    rig.answer(order, "403 Forbidden", "");
    rig.it.stop(rig.now);
    assert!(rig.it.is_over() && rig.it.poll(rig.now).is_none());
}

#[test]
fn a_lost_connection_brings_the_next_attempt_forward() {
    let mut rig = Rig::registered(8, "3600");
    rig.it.flow_lost(rig.now);
    let (wait, order) = rig.next();
    assert!(wait < secs(1) && order.expires == 3_600);
    // Not while one is under way.
    rig.it.flow_lost(rig.now);
    assert_eq!(rig.it.poll_timeout(), None);
}

#[test]
fn sequence_numbers_leave_room_for_passwords() {
    let mut rig = Rig::registered(9, "60");
    let (_, second) = rig.next();
    rig.answer(second, "200 OK", "Expires: 60\r\n");
    let (_, third) = rig.next();
    assert!(third.cseq - second.cseq >= 8);
}
