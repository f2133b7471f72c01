//! Registration against a registrar in virtual time, with digest, refresh and removal.

use std::net::SocketAddr;
use std::time::Duration;

use crate::line::{address, config, seconds};
use hookswitch_phone::{Event, Input, Output, Phone, PhoneConfig, Time};
use hookswitch_sip::Transport;
use hookswitch_sip::auth::{Credentials, Gate, GateConfig, Secret, Verdict, Which};
use hookswitch_sip::registrar::{Registrar, RegistrarConfig};
use hookswitch_sip::{
    Endpoint, EndpointConfig, Event as SipEvent, Flow, Header, Listen, Output as SipOutput, Response,
};
use hookswitch_sip_msg::Method;

struct Office {
    now: Time,
    phone: Phone,
    switch: Endpoint,
    gate: Gate,
    registrar: Registrar,
    heard: Vec<Event>,
    /// REGISTERs that reached the switch.
    asked: usize,
    dead: bool,
}

impl Office {
    fn new(secret: &str, registrar: RegistrarConfig) -> Office {
        let phone = PhoneConfig { credentials: Some(Credentials::new("alice", secret)), ..config("alice") };
        let listen = Listen { transport: Transport::Udp, address: phone.server, advertise: None };
        let sip = EndpointConfig { allow: vec![Method::Register], listen: vec![listen], ..EndpointConfig::default() };
        Office {
            now: seconds(5_000),
            phone: Phone::new(phone, [1; 32]),
            switch: Endpoint::new(sip, [2; 32]),
            gate: Gate::new(GateConfig::default(), [3; 32]),
            registrar: Registrar::new(registrar),
            heard: Vec::new(),
            asked: 0,
            dead: false,
        }
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            self.settle();
            let due = [self.phone.poll_timeout(), self.switch.poll_timeout()].into_iter().flatten().min();
            let Some(next) = due.filter(|next| *next <= end) else { break };
            self.now = self.now.max(next);
            self.phone.handle_timeout(self.now);
            self.switch.handle_timeout(self.now);
        }
        self.now = end;
    }

    fn settle(&mut self) {
        let ends = (self.phone.config().local, self.phone.config().server);
        let datagram = |local: SocketAddr, remote, bytes| Input::Datagram { flow: Flow::udp(local, remote), bytes };
        loop {
            let mut quiet = true;
            while let Some(output) = self.phone.poll_output() {
                quiet = false;
                match output {
                    Output::Sip { bytes, .. } if !self.dead => {
                        self.switch.handle_input(self.now, datagram(ends.1, ends.0, bytes));
                    }
                    Output::Event(event) => self.heard.push(event),
                    _ => {}
                }
            }
            while let Some(output) = self.switch.poll_output() {
                quiet = false;
                match output {
                    SipOutput::Send { bytes, .. } => self.phone.handle_sip(self.now, datagram(ends.0, ends.1, bytes)),
                    SipOutput::Event(event) => self.requested(event),
                    SipOutput::Close { .. } => {}
                }
            }
            if quiet {
                return;
            }
        }
    }

    fn requested(&mut self, event: SipEvent) {
        let SipEvent::Request { txn, request, flow, .. } = event else { panic!("{event:?}") };
        self.asked += 1;
        let verdict = self.gate.check(self.now, &request, "a.test", Which::Www, |user, _| {
            (user == "alice").then_some(Secret::Password("s3cret"))
        });
        let response = match verdict {
            Verdict::Accepted(_) => {
                let outcome = self.registrar.register(self.now, "alice@a.test", &request, flow);
                let mut response = Response::new(outcome.status);
                for (name, value) in outcome.headers {
                    response = response.with_header(Header::new(name, value));
                }
                response
            }
            Verdict::Challenge { status, headers, .. } => {
                let mut response = Response::new(status);
                for (name, value) in headers {
                    response = response.with_header(Header::new(name, value));
                }
                response
            }
            Verdict::Rejected { status, .. } => Response::new(status),
        };
        self.switch.reply(self.now, txn, response);
    }

    fn bindings(&self) -> usize {
        self.registrar.bindings(self.now, "alice@a.test").count()
    }
}

#[test]
fn it_answers_the_challenge_refreshes_in_time_and_removes_itself() {
    let mut office = Office::new("s3cret", RegistrarConfig::default());
    office.phone.register(office.now);
    office.pass(seconds(1));
    assert_eq!(office.heard, [Event::Registered { expires: seconds(3600), bindings: 1 }]);
    assert!(office.phone.is_registered());
    office.pass(seconds(4 * 3600));
    let refreshed = office.heard.iter().filter(|event| matches!(event, Event::Registered { .. })).count();
    assert_eq!(refreshed, 6, "one every 48 minutes: {:?}", office.heard);
    assert_eq!(office.bindings(), 1, "the refreshes did not add bindings");
    office.phone.unregister(office.now);
    office.pass(seconds(1));
    assert_eq!(office.heard.last(), Some(&Event::Unregistered));
    assert_eq!(office.bindings(), 0);
    office.pass(seconds(60));
    assert_eq!(office.phone.poll_timeout(), None);
}

#[test]
fn a_wrong_password_is_told_and_tried_again_later() {
    let mut office = Office::new("wrong", RegistrarConfig::default());
    office.phone.register(office.now);
    office.pass(seconds(10));
    assert!(matches!(office.heard[..], [Event::RegisterFailed { status: 401 | 403, .. }]), "{:?}", office.heard);
    let asked = office.asked;
    office.pass(seconds(30));
    assert!(office.asked > asked);
}

#[test]
fn a_time_that_is_too_brief_is_raised() {
    let registrar = RegistrarConfig { min_expires: seconds(300), ..RegistrarConfig::default() };
    let mut office = Office::new("s3cret", registrar);
    let brief = PhoneConfig { expires: seconds(60), ..office.phone.config().clone() };
    office.phone = Phone::new(brief, [1; 32]);
    office.phone.register(office.now);
    office.pass(seconds(1));
    assert_eq!(office.heard, [Event::Registered { expires: seconds(300), bindings: 1 }]);
}

#[test]
fn a_registrar_that_is_gone_is_told_after_32_seconds() {
    let mut office = Office::new("s3cret", RegistrarConfig::default());
    office.dead = true;
    office.phone.register(office.now);
    office.pass(seconds(33));
    assert!(matches!(office.heard[..], [Event::RegisterFailed { status: 408, .. }]), "{:?}", office.heard);
    office.dead = false;
    office.pass(seconds(31));
    assert!(office.phone.is_registered());
    let _ = address("10.0.0.1:1");
}
