//! Whatever is asked and told in whatever order: every command has one outcome, every call one end,
//! nothing is left, and a call that is stored in the middle goes on as if it had not been.

use crate::support::*;

use crate::carried::Carried;

use hookswitch_call::*;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    /// A call that is answered, at once: most of what can be done needs one.
    Talking,
    Incoming(bool),
    Start,
    End(u8),
    Hold(u8, bool, Option<bool>),
    Transfer(u8, bool, Option<bool>),
    Join(u8, bool, u8, bool, Option<bool>),
    Replaces(u8, u8, bool, bool),
    Located(u8, u8),
    Service(u8),
    /// A flow is called, and what its leader says.
    Flow(u8),
    Leads(u8, u8),
    Nowhere(u8),
    Progress(u8, u8, bool),
    Answered(u8, u8, bool),
    Confirmed(u8, u8, bool),
    Reoffered(u8, u8, bool),
    Reaccepted(u8, u8, bool),
    ReferAsked(u8, u8, Option<(u8, u8)>),
    ReferAnswered(u8, u8, bool),
    ReferProgress(u8, u8, u16),
    Ended(u8, u8, u16),
    /// What a carrier really could say next: to the nth thing that it was asked.
    Agrees(u8, bool),
    Finds(u8, u8),
    Rings(u8, bool),
    Picks(u8),
    Pressed(u8, bool, bool),
    MediaRefused(u8, u8),
    MediaReady(u8, u8),
    SilentMedia(bool),
    /// The audio of a call is carried elsewhere, or by nobody.
    Moved(u8, bool),
    /// Something is done to the audio of a party.
    Order(u8, bool, u8),
    /// What the media engine could say next of that.
    Heard(u8, bool, u8),
    Pass(u8),
}

fn steps() -> impl Strategy<Value = Step> {
    let (call, leg, yes) = (0..4u8, 0..6u8, any::<bool>());
    let (c, l) = (call.clone(), leg.clone());
    let maybe = proptest::option::of(any::<bool>());
    let commands = prop_oneof![
        6 => Just(Step::Talking),
        1 => yes.prop_map(Step::Incoming),
        1 => Just(Step::Start),
        1 => call.clone().prop_map(Step::End),
        3 => (c.clone(), yes, maybe.clone()).prop_map(|(c, on, p)| Step::Hold(c, on, p)),
        4 => (c.clone(), yes, maybe.clone()).prop_map(|(c, p, by)| Step::Transfer(c, p, by)),
        4 => (c.clone(), yes, c.clone(), yes, maybe).prop_map(|(a, p, b, q, by)| Step::Join(a, p, b, q, by)),
        2 => (c.clone(), l.clone(), yes, yes).prop_map(|(c, l, e, o)| Step::Replaces(c, l, e, o)),
        3 => (c.clone(), yes, 0..9u8).prop_map(|(c, p, n)| Step::Order(c, p, n)),
        4 => (c.clone(), 0..5u8).prop_map(|(c, n)| Step::Leads(c, n)),
    ];
    let setup = prop_oneof![
        (c.clone(), 1..4u8).prop_map(|(c, n)| Step::Located(c, n)),
        (c.clone(), 1..3u8).prop_map(|(c, n)| Step::Located(c, n)),
        c.clone().prop_map(Step::Service),
        c.clone().prop_map(Step::Flow),
        c.clone().prop_map(Step::Nowhere),
        (c.clone(), l.clone(), yes).prop_map(|(c, l, s)| Step::Progress(c, l, s)),
        (c.clone(), l.clone(), yes).prop_map(|(c, l, s)| Step::Answered(c, l, s)),
        (c.clone(), l.clone(), yes).prop_map(|(c, l, s)| Step::Confirmed(c, l, s)),
        (0..2u8, yes).prop_map(|(n, s)| Step::Rings(n, s)),
        (0..2u8).prop_map(Step::Picks),
        (0..2u8).prop_map(Step::Picks),
        (0..2u8, 1..4u8).prop_map(|(n, places)| Step::Finds(n, places)),
        (0..2u8, 1..4u8).prop_map(|(n, places)| Step::Finds(n, places)),
    ];
    let answered = prop_oneof![
        (c.clone(), l.clone(), yes).prop_map(|(c, l, s)| Step::Reoffered(c, l, s)),
        (c.clone(), l.clone(), yes).prop_map(|(c, l, ok)| Step::Reaccepted(c, l, ok)),
        (c.clone(), l.clone(), proptest::option::of((c.clone(), l.clone())))
            .prop_map(|(c, l, to)| Step::ReferAsked(c, l, to)),
        (c.clone(), l.clone(), yes).prop_map(|(c, l, ok)| Step::ReferAnswered(c, l, ok)),
        (c.clone(), l.clone(), 100..700u16).prop_map(|(c, l, s)| Step::ReferProgress(c, l, s)),
        (0..2u8, prop::bool::weighted(0.8)).prop_map(|(n, ok)| Step::Agrees(n, ok)),
        (0..2u8, prop::bool::weighted(0.8)).prop_map(|(n, ok)| Step::Agrees(n, ok)),
        (0..2u8, prop::bool::weighted(0.8)).prop_map(|(n, ok)| Step::Agrees(n, ok)),
        (c.clone(), yes, yes).prop_map(|(c, p, on)| Step::Pressed(c, p, on)),
    ];
    let rest = prop_oneof![
        (c.clone(), l.clone(), 200..700u16).prop_map(|(c, l, s)| Step::Ended(c, l, s)),
        (c.clone(), l.clone()).prop_map(|(c, l)| Step::MediaRefused(c, l)),
        (c.clone(), l.clone()).prop_map(|(c, l)| Step::MediaReady(c, l)),
        yes.prop_map(Step::SilentMedia),
        (c.clone(), prop::bool::weighted(0.9)).prop_map(|(c, ok)| Step::Moved(c, ok)),
        (c.clone(), yes, 0..5u8).prop_map(|(c, p, n)| Step::Heard(c, p, n)),
        (0..60u8).prop_map(Step::Pass),
    ];
    prop_oneof![4 => commands, 4 => setup, 4 => answered, 2 => rest]
}

fn party(callee: bool) -> Party {
    if callee { Party::Callee } else { Party::Caller }
}

fn by(refer: Option<bool>) -> Option<By> {
    refer.map(|refer| if refer { By::Refer } else { By::Bridge })
}

fn order(n: u8) -> AudioOrder {
    let soup = || Soup { sounds: vec![Sound::of(SoundKind::Wav, "s")], ..Soup::default() }.into();
    let plan = || Box::new(RecordPlan::both_sides("r.wav".into()));
    let collect = || Box::new(Collect { most: 2, terminator: None, pattern: None, first: sec(9), next: sec(4) });
    match n {
        0 | 1 => AudioOrder::Play { soup: soup(), update: n == 1, to: Audience::Party },
        2 => AudioOrder::ControlPlay(PlayControl::Stop),
        3 => AudioOrder::Collect { collect: collect(), prompt: Some(soup()) },
        4 => AudioOrder::Collect { collect: collect(), prompt: None },
        5 => AudioOrder::SendKeys("12".into()),
        6 => AudioOrder::Record(plan()),
        7 => AudioOrder::RecordAfter { prompt: soup(), barge_in: None, plan: plan() },
        _ => AudioOrder::ControlRecording(FIRST_ORDERED, RecordControl::Finish),
    }
}

fn lead(n: u8) -> hookswitch_call::Step {
    let address = |name: &str| Address::from(format!("sip:{name}@x").as_str());
    let dial = |groups: &[&[&str]]| {
        let groups = groups.iter().map(|group| group.iter().map(|name| address(name)).collect()).collect();
        hookswitch_call::Step::Dial(Box::new(Dialled { groups, ring_time: (n == 3).then(|| sec(9)) }))
    };
    match n {
        0 => hookswitch_call::Step::Ring,
        1 => hookswitch_call::Step::Answer,
        2 => dial(&[&["d"]]),
        3 => dial(&[&["d", "e"], &["f"]]),
        _ => hookswitch_call::Step::Divert(address("d")),
    }
}

/// A desk, and what a carrier would know of its legs.
struct Stage {
    desk: Desk,
    carried: Carried,
    /// What commands were promised an outcome.
    tickets: Vec<Ticket>,
}

impl Stage {
    fn new(limits: Limits) -> Self {
        Self { desk: Desk::new(limits), carried: Carried::default(), tickets: Vec::new() }
    }

    /// The nth of the calls that there are, so that later calls are met as often as the first.
    fn id(&self, n: u8) -> CallId {
        let mut calls: Vec<CallId> = self.desk.board.calls().map(|call| call.id).collect();
        calls.sort();
        calls.get(usize::from(n)).copied().unwrap_or(CallId(u64::from(n) + 1))
    }

    fn tell(&mut self, report: Report) {
        self.carried.told(&report);
        self.desk.tell(report);
    }

    fn submit(&mut self, command: Command) {
        if let Ok(ticket) = self.desk.submit(command) {
            self.tickets.push(ticket);
        }
    }

    fn calls_in(&mut self, offer: bool, replaces: Option<Replaces>) {
        if self.desk.board.live() >= 4 && replaces.is_none() {
            return;
        }
        let handle = self.carried.handle();
        let (from, to) = (Address::from("sip:a@x"), Address::from("sip:b@x"));
        let wire_id = format!("in-{}", handle.0).as_str().into();
        let incoming = Incoming::new(handle, wire_id, from, to, offer.then(|| Sdp::from("a")));
        self.tell(Report::Incoming(Box::new(Incoming { replaces, ..incoming })));
    }

    fn located(&mut self, call: CallId, found: Found) {
        self.tell(Report::Located { call, found, codecs: None, forwards: None });
        self.carried.hear(&mut self.desk);
        for (call, leg) in self.carried.unnamed() {
            self.tell(Report::Dialed { call, leg, wire_id: format!("{call}-{leg}").as_str().into() });
        }
    }

    fn talking(&mut self) {
        if self.desk.board.live() >= 4 {
            return;
        }
        let silent = std::mem::replace(&mut self.desk.silent_media, false);
        self.calls_in(true, None);
        let call = self.desk.board.calls().map(|call| call.id).max().expect("one has come in");
        self.located(call, Found::Targets(vec![target("sip:0@y")]));
        self.tell(Report::Answered { call, leg: LegId(1), sdp: Some(Sdp::from("b")) });
        self.tell(Report::Confirmed { call, leg: LegId(0), sdp: None });
        self.desk.silent_media = silent;
    }

    fn take(&mut self, step: &Step) {
        self.ask(step);
        self.find(step);
        self.report(step);
        self.carried.hear(&mut self.desk);
    }

    /// What a controller asks and who calls in.
    fn ask(&mut self, step: &Step) {
        let address = || Address::from("sip:c@x");
        let leg = |n: u8| LegId(u16::from(n));
        match *step {
            Step::Talking => self.talking(),
            Step::Incoming(offer) => self.calls_in(offer, None),
            Step::Replaces(call, at, early_only, offer) => {
                let replaces = Replaces { call: self.id(call), leg: leg(at), early_only };
                self.calls_in(offer, Some(replaces));
            }
            Step::Start => self.submit(Command::Start { caller: address(), callee: address(), wire_id: None }),
            Step::End(call) => self.submit(Command::End { call: CallRef::Id(self.id(call)), cause: Cause::hangup() }),
            Step::Hold(call, on, end) => {
                let (call, party, notes) = (CallRef::Id(self.id(call)), end.map(party), Notes::default());
                let hold = Command::Hold { call: call.clone(), party, notes: notes.clone() };
                self.submit(if on { hold } else { Command::Unhold { call, party, notes } });
            }
            Step::Transfer(call, end, how) => {
                let call = CallRef::Id(self.id(call));
                self.submit(Command::Transfer { call, party: party(end), to: address(), by: by(how) });
            }
            Step::Join(call, end, other, other_end, how) => {
                let (call, other) = (CallRef::Id(self.id(call)), CallRef::Id(self.id(other)));
                let (party, other_party) = (party(end), party(other_end));
                self.submit(Command::Join { call, party, other, other_party, to: None, by: by(how) });
            }
            Step::Order(call, end, n) => {
                let (call, party, order) = (CallRef::Id(self.id(call)), party(end), order(n));
                self.submit(Command::Audio { call, party, order });
            }
            Step::Leads(call, n) => {
                let call = CallRef::Id(self.id(call));
                self.submit(Command::Step { call, step: lead(n) });
            }
            _ => {}
        }
    }

    /// What look-ups, the media engine and the clock say.
    fn find(&mut self, step: &Step) {
        let leg = |n: u8| LegId(u16::from(n));
        match *step {
            Step::Located(call, n) => {
                let found = Found::Targets((0..n).map(|n| target(&format!("sip:{n}@y"))).collect());
                self.located(self.id(call), found);
            }
            Step::Service(call) => self.located(self.id(call), Found::Service(Service::Echo)),
            Step::Flow(call) => {
                let flow = Flow { name: "f".into(), domain: "x".into() };
                self.located(self.id(call), Found::Service(Service::Flow(flow)));
            }
            Step::Nowhere(call) => {
                self.located(self.id(call), Found::Nowhere(Cause::new(Kind::NotFound, Fault::Peer)));
            }
            Step::Pressed(call, end, on) => self.desk.presses_hold(self.id(call), party(end), on),
            Step::SilentMedia(silent) => self.desk.silent_media = silent,
            Step::MediaRefused(call, at) => {
                let cause = Cause::new(Kind::NotAcceptable, Fault::Peer);
                let (call, seat) = (self.id(call), Party::Callee.into());
                self.desk.tell_media(MediaReport::Refused { call, seat, leg: leg(at), cause });
            }
            Step::MediaReady(call, at) => {
                let (call, seat) = (self.id(call), Party::Callee.into());
                self.desk.tell_media(MediaReport::Local { call, seat, leg: leg(at), sdp: Sdp::from("late") });
            }
            Step::Moved(call, ok) => {
                let gone = Cause::new(Kind::Overloaded, Fault::Server);
                self.desk.tell_media(MediaReport::Moved { call: self.id(call), result: ok.then_some(()).ok_or(gone) });
            }
            Step::Heard(call, end, n) => self.heard(self.id(call), party(end), n),
            Step::Pass(seconds) => self.desk.pass(sec(u64::from(seconds))),
            _ => {}
        }
    }

    fn heard(&mut self, call: CallId, party: Party, n: u8) {
        let played = |op: &MediaOp| match op {
            MediaOp::Play { call: of, party: to, play, .. } if (*of, *to) == (call, party) => Some(*play),
            _ => None,
        };
        let recording = RecordingId(FIRST_ORDERED.0 + u16::from(n) / 3);
        let report = match (n, self.desk.media.iter().rev().find_map(played)) {
            (0 | 1, Some(play)) => {
                let end = if n == 0 { PlayEnd::Completed } else { PlayEnd::Failed };
                MediaReport::Played { call, party, play, news: PlayNews::Ended(end), position: sec(1) }
            }
            (2 | 3, _) => MediaReport::Recorded { call, recording, news: RecordNews::Begun },
            (4, _) => {
                let news = Recorded::nothing(&"r.wav".into(), RecordEnd::Requested);
                MediaReport::Recorded { call, recording, news: RecordNews::Finished(Box::new(news)) }
            }
            _ => MediaReport::Digit { call, party, digit: Digit { key: '1', time: sec(0) }, passed: n == 0 },
        };
        self.desk.tell_media(report);
    }

    /// What a carrier says.
    fn report(&mut self, step: &Step) {
        let sdp = |has: bool| has.then(|| Sdp::from("sdp"));
        let address = || Address::from("sip:c@x");
        let leg = |n: u8| LegId(u16::from(n));
        match *step {
            Step::Progress(call, at, media) => {
                let (call, text) = (self.id(call), "Ringing".into());
                self.tell(Report::Progress { call, leg: leg(at), status: 180, text, sdp: sdp(media) });
            }
            Step::Answered(call, at, media) => {
                self.tell(Report::Answered { call: self.id(call), leg: leg(at), sdp: sdp(media) });
            }
            Step::Confirmed(call, at, media) => {
                self.tell(Report::Confirmed { call: self.id(call), leg: leg(at), sdp: sdp(media) });
            }
            Step::Reoffered(call, at, media) => {
                self.tell(Report::Reoffered { call: self.id(call), leg: leg(at), sdp: sdp(media) });
            }
            Step::Reaccepted(call, at, ok) => {
                let refused = Cause::from_status(488, "");
                let sdp = if ok { Ok(sdp(true)) } else { Err(refused) };
                self.tell(Report::Reaccepted { call: self.id(call), leg: leg(at), sdp });
            }
            Step::ReferAsked(call, at, to) => {
                let to = match to {
                    Some((call, at)) => ReferTo::Leg(self.id(call), leg(at)),
                    None => ReferTo::Address(address()),
                };
                self.tell(Report::ReferAsked { call: self.id(call), leg: leg(at), to, by: None });
            }
            Step::ReferAnswered(call, at, ok) => {
                let result = if ok { Ok(()) } else { Err(Cause::from_status(603, "")) };
                self.tell(Report::ReferAnswered { call: self.id(call), leg: leg(at), result });
            }
            Step::ReferProgress(call, at, status) => {
                self.tell(Report::ReferProgress { call: self.id(call), leg: leg(at), status, text: "".into() });
            }
            Step::Ended(call, at, status) => {
                self.tell(Report::Ended { call: self.id(call), leg: leg(at), cause: Cause::from_status(status, "") });
            }
            Step::Agrees(n, ok) => {
                if let Some((call, leg)) = self.carried.nth_changing(n) {
                    let sdp = if ok { Ok(sdp(true)) } else { Err(Cause::from_status(488, "")) };
                    self.tell(Report::Reaccepted { call, leg, sdp });
                }
            }
            Step::Finds(n, places) => {
                if let Some(call) = self.carried.nth_sought(n) {
                    let found = Found::Targets((0..places).map(|n| target(&format!("sip:{n}@y"))).collect());
                    self.located(call, found);
                }
            }
            Step::Rings(n, media) => {
                if let Some((call, leg)) = self.carried.nth_ringing(n) {
                    self.tell(Report::Progress { call, leg, status: 183, text: "".into(), sdp: sdp(media) });
                }
            }
            Step::Picks(n) => {
                if let Some((call, leg)) = self.carried.nth_ringing(n) {
                    self.tell(Report::Answered { call, leg, sdp: sdp(true) });
                }
            }
            _ => {}
        }
    }

    /// Ends every call, as a backend would that loses every leg's end.
    fn wind_up(&mut self) {
        for _ in 0..3 {
            let calls: Vec<CallId> = self.desk.board.calls().map(|call| call.id).collect();
            for call in calls {
                self.submit(Command::End { call: CallRef::Id(call), cause: Cause::hangup() });
            }
            self.desk.pass(sec(300));
        }
        self.carried.hear(&mut self.desk);
    }

    fn check(&self) -> Result<(), TestCaseError> {
        let desk = &self.desk;
        prop_assert_eq!(desk.board.live(), 0);
        prop_assert_eq!(desk.board.poll_timeout(), None);
        let mut outcomes: Vec<Ticket> = desk.outcomes.iter().map(|outcome| outcome.ticket).collect();
        outcomes.sort();
        let mut tickets = self.tickets.clone();
        tickets.sort();
        prop_assert_eq!(&outcomes, &tickets, "one outcome for every accepted command");
        for owner in desk.events.iter().filter_map(|told| told.owner) {
            prop_assert!(tickets.contains(&owner), "an event of no command");
        }
        let mut last = std::collections::HashMap::new();
        for told in &desk.events {
            let next = last.get(&told.call).map_or(0, |(seq, _)| seq + 1);
            prop_assert_eq!(told.seq, next, "a gap in the events");
            last.insert(told.call, (told.seq, matches!(told.event, Event::Ended { .. })));
        }
        prop_assert!(last.values().all(|(_, ended)| *ended), "an event after the end, or no end");
        let count = |wanted: fn(&MediaOp) -> bool| desk.media.iter().filter(|op| wanted(op)).count();
        let opened = count(|op| matches!(op, MediaOp::Open { .. }));
        prop_assert_eq!(opened, count(|op| matches!(op, MediaOp::Close { .. })), "media opened and closed");
        Ok(())
    }
}

fn limits(anchor: bool, refer: bool) -> Limits {
    let transfers = if refer { By::Refer } else { By::Bridge };
    Limits { calls: 4, anchor, ring_time: sec(30), transfers, ..Limits::default() }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn every_command_has_one_outcome_and_every_call_one_end(
        anchor in prop::bool::weighted(0.8),
        refer in prop::bool::weighted(0.2),
        steps in prop::collection::vec(steps(), 1..80),
    ) {
        let mut stage = Stage::new(limits(anchor, refer));
        for step in &steps {
            stage.take(step);
        }
        stage.wind_up();
        stage.check()?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_call_that_is_stored_in_the_middle_goes_on_as_it_would_have(
        refer in prop::bool::weighted(0.2),
        steps in prop::collection::vec(steps(), 1..60),
    ) {
        let mut kept = Stage::new(limits(true, refer));
        let mut stored = Stage::new(limits(true, refer));
        for step in &steps {
            kept.take(step);
            stored.take(step);
            let calls: Vec<CallId> = stored.desk.board.calls().map(|call| call.id).collect();
            for id in calls {
                let call = stored.desk.board.take(id).expect("it is there");
                let written = serde_json::to_string(&call).expect("it can be written");
                stored.desk.board.put(serde_json::from_str(&written).expect("it can be read"));
            }
            prop_assert_eq!(&kept.desk.ops, &stored.desk.ops);
            prop_assert_eq!(&kept.desk.media, &stored.desk.media);
            prop_assert_eq!(&kept.desk.events, &stored.desk.events);
            prop_assert_eq!(&kept.desk.outcomes, &stored.desk.outcomes);
            prop_assert_eq!(kept.desk.board.poll_timeout(), stored.desk.board.poll_timeout());
        }
    }
}
