//! Two endpoints that do what users do, over a network that loses, doubles, delays and cuts. Whatever happens, every
//! call ends exactly once on each side, and nothing is left.

use crate::support;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use crate::support::net::{Net, Weather};
use crate::support::{Dice, HERE, OFFER, THERE, addr, config, ms};
use hookswitch_sip::{
    Body, DialogId, DialogState, EndpointConfig, Event, Invite, RequestOut, Response, Time, Transport, TxnId,
};
use hookswitch_sip_msg::Method;

/// What a user does later.
#[derive(Debug, Clone, Copy)]
enum Act {
    Invite,
    Respond(DialogId, u16),
    Ack(DialogId),
    Prack(DialogId, u8),
    Cancel(DialogId),
    Bye(DialogId),
    Reinvite(DialogId),
    Update(DialogId, u8, bool),
    CancelChange(DialogId),
    Reply(TxnId, u16),
    Info(DialogId),
    Cut,
}

struct Play {
    net: Net,
    dice: Dice,
    agenda: BTreeMap<(Time, u64), (usize, Act)>,
    serial: u64,
    /// How often each dialog was told to be over.
    ends: HashMap<(usize, DialogId), u32>,
    begun: Vec<(usize, DialogId)>,
    seen: [usize; 2],
    /// Dialogs that the user itself refused, which is not told back.
    refused: Vec<(usize, DialogId)>,
    /// Dialogs that the user itself answered.
    answered: HashSet<(usize, DialogId)>,
    /// Re-INVITEs and UPDATEs without an outcome.
    changes: HashMap<(usize, DialogId), i32>,
}

impl Play {
    fn new(seed: u64) -> Play {
        let mut dice = Dice::new(seed);
        let weather = Weather {
            loss: dice.below(40),
            double: dice.below(20),
            delay: ms(dice.below(50)),
            jitter: ms(dice.below(900)),
        };
        // Sessions are refreshed every 45 s, or expire.
        let hosts =
            [HERE, THERE].map(|at| (addr(at), EndpointConfig { session_expires: ms(90_000), ..config(addr(at)) }));
        Play {
            net: Net::new(hosts.into(), weather, dice.next()),
            dice,
            agenda: BTreeMap::new(),
            serial: 0,
            ends: HashMap::new(),
            begun: Vec::new(),
            seen: [0; 2],
            refused: Vec::new(),
            answered: HashSet::new(),
            changes: HashMap::new(),
        }
    }

    fn plan(&mut self, within: u64, host: usize, act: Act) {
        self.serial += 1;
        let at = self.net.now + ms(self.dice.below(within + 1));
        self.agenda.insert((at, self.serial), (host, act));
    }

    fn run(&mut self) {
        for _ in 0..30 {
            let host = self.dice.below(2) as usize;
            self.plan(20_000, host, Act::Invite);
        }
        if self.dice.percent(30) {
            self.plan(30_000, 0, Act::Cut);
        }
        loop {
            let next = self.agenda.keys().next().map_or(Duration::MAX, |(at, _)| *at);
            while self.net.step(next) {
                self.watch();
            }
            let Some((_, (host, act))) = self.agenda.pop_first() else {
                break;
            };
            self.net.now = self.net.now.max(next);
            self.act(host, act);
            self.net.drain(host);
            self.watch();
            assert!(self.serial < 100_000, "the play does not end");
        }
        self.net.cut_all();
        self.net.settle();
        self.watch();
    }

    fn act(&mut self, host: usize, act: Act) {
        let now = self.net.now;
        let other = 1 - host;
        let transport = if self.dice.percent(25) { Transport::Tcp } else { Transport::Udp };
        let flow = self.net.flow(transport, host, other);
        let endpoint = &mut self.net.hosts[host].endpoint;
        match act {
            Act::Invite => {
                let order = Invite {
                    body: self.dice.percent(50).then(|| Body::sdp(OFFER)),
                    ..Invite::new("sip:x@10.0.0.9", "<sip:a@x>", "<sip:b@x>", flow)
                };
                let id = endpoint.invite(now, order).expect("room for a call");
                self.begun.push((host, id));
                if self.dice.percent(30) {
                    self.plan(8_000, host, Act::Cancel(id));
                }
            }
            Act::Respond(id, status) => {
                let early = endpoint.dialog(id).is_some_and(|d| d.state() == hookswitch_sip::DialogState::Early);
                let response = Response::new(status).with_body(Body::sdp(OFFER));
                endpoint.respond(now, id, Response { reliable: self.dice.percent(50), ..response });
                if early && endpoint.dialog(id).is_none() {
                    self.refused.push((host, id));
                } else if early && (200..300).contains(&status) {
                    self.answered.insert((host, id));
                }
            }
            Act::Ack(id) => endpoint.ack(now, id, None),
            Act::Prack(id, fork) => {
                let _ = endpoint.prack(now, id, fork, Some(Body::sdp(OFFER)));
            }
            Act::Cancel(id) => endpoint.cancel(now, id, None),
            Act::Bye(id) => {
                let early = endpoint.dialog(id).is_some();
                endpoint.bye(now, id, Vec::new());
                // Whoever has answered is told, even if the answer still waited for a PRACK.
                if early && endpoint.dialog(id).is_none() && !self.answered.contains(&(host, id)) {
                    self.refused.push((host, id));
                }
            }
            Act::Reinvite(id) => {
                if endpoint.reinvite(now, id, Some(Body::sdp(OFFER)), Vec::new()).is_ok() {
                    *self.changes.entry((host, id)).or_insert(0) += 1;
                }
            }
            Act::Update(id, fork, offer) => {
                let body = offer.then(|| Body::sdp(OFFER));
                if endpoint.update(now, id, fork, body, Vec::new()).is_ok() {
                    *self.changes.entry((host, id)).or_insert(0) += 1;
                }
            }
            Act::CancelChange(id) => {
                if endpoint.dialog(id).is_some_and(|dialog| dialog.state() == DialogState::Confirmed) {
                    endpoint.cancel(now, id, None);
                }
            }
            Act::Reply(txn, status) => {
                endpoint.reply(now, txn, Response::new(status).with_body(Body::sdp(OFFER)));
            }
            Act::Info(id) => {
                let _ = endpoint.request(now, RequestOut::inside(id, Method::Info));
            }
            Act::Cut => self.net.cut_all(),
        }
    }

    /// Reacts to what was told since the last time.
    fn watch(&mut self) {
        for host in 0..2 {
            while let Some(event) = self.net.hosts[host].events.get(self.seen[host]).cloned() {
                self.seen[host] += 1;
                self.react(host, event);
            }
        }
    }

    fn react(&mut self, host: usize, event: Event) {
        match event {
            Event::Invite { dialog, .. } => {
                self.begun.push((host, dialog));
                self.plan(300, host, Act::Respond(dialog, 180));
                let status = [200, 200, 200, 486, 302, 603][self.dice.below(6) as usize];
                if self.dice.percent(90) {
                    self.plan(9_000, host, Act::Respond(dialog, status));
                }
                self.live(host, dialog);
            }
            Event::Answered { dialog, .. } => {
                if self.dice.percent(95) {
                    self.plan(100, host, Act::Ack(dialog));
                }
                self.live(host, dialog);
            }
            Event::Reanswered { dialog, .. } => {
                *self.changes.entry((host, dialog)).or_insert(0) -= 1;
                self.plan(100, host, Act::Ack(dialog));
            }
            Event::ReinviteFailed { dialog, .. }
            | Event::Updated { dialog, .. }
            | Event::UpdateFailed { dialog, .. } => *self.changes.entry((host, dialog)).or_insert(0) -= 1,
            Event::Update { txn, .. } => {
                let status = if self.dice.percent(80) { 200 } else { 488 };
                if self.dice.percent(95) {
                    self.plan(2_000, host, Act::Reply(txn, status));
                }
            }
            Event::Reinvite { dialog, .. } => {
                let status = if self.dice.percent(80) { 200 } else { 488 };
                if self.dice.percent(95) {
                    self.plan(2_000, host, Act::Respond(dialog, status));
                }
            }
            Event::Request { txn, .. } => {
                if self.dice.percent(90) {
                    let now = self.net.now;
                    self.net.hosts[host].endpoint.reply(now, txn, Response::new(200));
                    self.net.drain(host);
                }
            }
            Event::Cancelled { dialog, .. } | Event::Failed { dialog, .. } | Event::Ended { dialog, .. } => {
                *self.ends.entry((host, dialog)).or_insert(0) += 1;
            }
            Event::Prack { txn, .. } => {
                let now = self.net.now;
                self.net.hosts[host].endpoint.reply(now, txn, Response::new(200));
                self.net.drain(host);
            }
            Event::Progress { dialog, fork, prack_due: true, .. } => self.plan(100, host, Act::Prack(dialog, fork)),
            Event::Progress { dialog, fork, prack_due: false, .. } => {
                if self.dice.percent(40) {
                    let offer = self.dice.percent(50);
                    self.plan(2_000, host, Act::Update(dialog, fork, offer));
                }
            }
            Event::Acked { .. }
            | Event::ReinviteCancelled { .. }
            | Event::Response { .. }
            | Event::Refreshed { .. }
            | Event::FlowClosed { .. } => {}
        }
    }

    fn live(&mut self, host: usize, dialog: DialogId) {
        for _ in 0..self.dice.below(3) {
            let act = match self.dice.below(10) {
                0..4 => Act::Reinvite(dialog),
                4 => Act::CancelChange(dialog),
                5 => Act::Update(dialog, 0, false),
                6..8 => Act::Update(dialog, 0, true),
                _ => Act::Info(dialog),
            };
            self.plan(20_000, host, act);
        }
        // At least one side hangs up in the end.
        let longest = if self.dice.percent(20) { 400_000 } else { 40_000 };
        self.plan(longest, host, Act::Bye(dialog));
    }
}

fn play(seed: u64) {
    let mut play = Play::new(seed);
    play.run();
    play.net.assert_nothing_left();
    for dialog in &play.begun {
        let told = play.ends.get(dialog).copied().unwrap_or(0);
        let refused = u32::from(play.refused.contains(dialog));
        assert_eq!(told + refused, 1, "seed {seed}: {dialog:?} ended {told} times");
    }
    assert!(play.changes.values().all(|open| *open == 0), "seed {seed}: {:?}", play.changes);
    assert!(play.begun.len() >= 30);
}

#[test]
fn every_call_ends_once_and_leaves_nothing() {
    for seed in 1..=60 {
        if std::panic::catch_unwind(|| play(seed)).is_err() {
            panic!("seed {seed} failed");
        }
    }
}

#[test]
fn a_peer_that_dies_ends_all_its_calls() {
    for seed in 100..110 {
        let mut play = Play::new(seed);
        play.net.weather = Weather::CLEAR;
        for _ in 0..20 {
            play.plan(5_000, 0, Act::Invite);
        }
        for _ in 0..2_000 {
            if play.net.now > support::START + ms(4_000) {
                break;
            }
            let Some(((at, _), (host, act))) = play.agenda.pop_first() else { break };
            while play.net.step(at) {
                play.watch();
            }
            play.net.now = play.net.now.max(at);
            play.act(host, act);
            play.net.drain(host);
            play.watch();
        }
        play.net.hosts[1].dead = true;
        play.net.cut_all();
        // The survivors hang up sooner or later.
        while let Some(((at, _), (host, act))) = play.agenda.pop_first() {
            while play.net.step(at) {
                play.watch();
            }
            play.net.now = play.net.now.max(at);
            if host == 0 && !matches!(act, Act::Invite) {
                play.act(host, act);
                play.net.drain(host);
            }
        }
        play.net.settle();
        play.watch();
        play.net.assert_nothing_left();
        let mine: Vec<_> = play.begun.iter().filter(|(host, _)| *host == 0).collect();
        assert!(mine.iter().all(|dialog| play.ends.get(*dialog) == Some(&1)), "seed {seed}");
    }
}
