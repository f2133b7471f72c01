//! A switchboard with a media engine that always says yes, so that a test reads as a conversation:
//! what is told, and what the switchboard then wants done.

#![allow(dead_code)]

use std::time::Duration;

use compact_str::CompactString;
use hookswitch_call::switchboard::{Output, Switchboard};
use hookswitch_call::*;

pub struct Desk {
    pub board: Switchboard,
    pub now: Time,
    pub said: Vec<String>,
    pub ops: Vec<Op>,
    pub events: Vec<Told>,
    pub outcomes: Vec<Outcome>,
    /// Ask the media engine nothing: the test answers for it.
    pub silent_media: bool,
    pub media: Vec<MediaOp>,
    /// The steps that are wanted, and whether the party is on the line.
    pub wanted: Vec<(CompactString, bool)>,
}

pub fn sec(n: u64) -> Duration {
    Duration::from_secs(n)
}

pub fn target(address: &str) -> Target {
    Target::new(Address::from(address), None, None)
}

impl Desk {
    pub fn new(limits: Limits) -> Self {
        Self {
            board: Switchboard::new(limits, 1),
            now: sec(1_000_000),
            said: Vec::new(),
            ops: Vec::new(),
            events: Vec::new(),
            outcomes: Vec::new(),
            silent_media: false,
            media: Vec::new(),
            wanted: Vec::new(),
        }
    }

    pub fn incoming(&mut self, offer: Option<&str>) -> CallId {
        self.incoming_with(|incoming| incoming.offer = offer.map(Sdp::from))
    }

    /// A call from alice to bob, with an offer and whatever else is said.
    pub fn incoming_with(&mut self, say: impl FnOnce(&mut Incoming)) -> CallId {
        let live = self.board.live() as u64;
        let mut incoming = Incoming {
            hops: 69,
            ..Incoming::new(
                Handle(live),
                format!("a-{live}@phone").as_str().into(),
                Address::from("sip:alice@x"),
                Address::from("sip:bob@x"),
                Some(Sdp::from("a")),
            )
        };
        say(&mut incoming);
        self.tell(Report::Incoming(Box::new(incoming)));
        self.events.last().map(|told| told.call).expect("an incoming call is told")
    }

    /// Whoever is looked for is always forwarded to somebody else.
    pub fn diverted(&mut self, call: CallId, to: &str) {
        let found = Found::Diverted { to: Address::from(to), why: Diverting::Always };
        self.tell(Report::Located { call, found, codecs: None, forwards: None });
    }

    pub fn start(&mut self) -> Ticket {
        let command = Command::Start {
            caller: Address::from("sip:alice@x"),
            callee: Address::from("sip:bob@x"),
            wire_id: Some("first-leg".into()),
        };
        let ticket = self.board.submit(self.now, command).expect("accepted");
        self.drain();
        ticket
    }

    pub fn end(&mut self, call: CallRef) -> Result<Ticket, Refused> {
        let result = self.board.submit(self.now, Command::End { call, cause: Cause::hangup() });
        self.drain();
        result
    }

    pub fn located(&mut self, call: CallId, contacts: &[&str]) {
        self.found(call, contacts.iter().map(|c| target(c)).collect(), None);
    }

    pub fn found(&mut self, call: CallId, targets: Vec<Target>, forwards: Option<Forwards>) {
        let (found, forwards) = (Found::Targets(targets), forwards.map(Box::new));
        self.tell(Report::Located { call, found, codecs: None, forwards });
        self.name_branches(call);
    }

    fn name_branches(&mut self, call: CallId) {
        // The backend says under which name each request went out.
        let dialed: Vec<_> = self
            .ops
            .iter()
            .filter_map(|op| match op {
                Op::Dial { call: c, leg, dial } if *c == call => Some((*leg, dial.wire_id.clone())),
                _ => None,
            })
            .collect();
        for (leg, wire_id) in dialed {
            if self.board.call(call).and_then(|c| c.leg(leg)?.wire_id.clone()).is_none() {
                let wire_id = wire_id.unwrap_or_else(|| format!("b-{call}-{leg}").as_str().into());
                self.tell(Report::Dialed { call, leg, wire_id });
            }
        }
    }

    pub fn nowhere(&mut self, call: CallId, kind: Kind) {
        self.tell(Report::Located {
            call,
            found: Found::Nowhere(Cause::new(kind, Fault::Peer)),
            codecs: None,
            forwards: None,
        });
    }

    pub fn progress(&mut self, call: CallId, leg: u16, status: u16, sdp: Option<&str>) {
        let text = if status == 180 { "Ringing" } else { "Session Progress" };
        self.tell(Report::Progress { call, leg: LegId(leg), status, text: text.into(), sdp: sdp.map(Sdp::from) });
    }

    pub fn answered(&mut self, call: CallId, leg: u16, sdp: Option<&str>) {
        self.tell(Report::Answered { call, leg: LegId(leg), sdp: sdp.map(Sdp::from) });
    }

    /// A call that has come in and is answered: leg 0 with leg 1.
    pub fn talking(&mut self) -> CallId {
        let call = self.incoming(Some("a"));
        self.located(call, &["sip:b1@x"]);
        self.answered(call, 1, Some("b"));
        self.tell(Report::Confirmed { call, leg: LegId(0), sdp: None });
        self.since();
        self.events.clear();
        call
    }

    /// Two of them, which an attended transfer brings together: who transfers is leg 1 of the first
    /// and leg 0 of the second.
    pub fn two_calls(&mut self) -> (CallId, CallId) {
        (self.talking(), self.talking())
    }

    pub fn hold(&mut self, call: CallId, on: bool, party: Option<Party>) -> Result<Ticket, Refused> {
        let (call, notes) = (CallRef::Id(call), Notes::default());
        let command = if on { Command::Hold { call, party, notes } } else { Command::Unhold { call, party, notes } };
        self.submit(command)
    }

    pub fn submit(&mut self, command: Command) -> Result<Ticket, Refused> {
        let result = self.board.submit(self.now, command);
        self.drain();
        result
    }

    /// A party agrees to a change of ours.
    pub fn reaccepted(&mut self, call: CallId, leg: u16, sdp: &str) {
        self.tell(Report::Reaccepted { call, leg: LegId(leg), sdp: Ok(Some(Sdp::from(sdp))) });
    }

    /// It does not.
    pub fn refused(&mut self, call: CallId, leg: u16, status: u16) {
        self.tell(Report::Reaccepted { call, leg: LegId(leg), sdp: Err(Cause::from_status(status, "")) });
    }

    /// A phone's own hold key.
    pub fn presses_hold(&mut self, call: CallId, party: Party, on: bool) {
        let up = |leg: &&machine::Leg| leg.party == party && !leg.spare && leg.state == machine::LegState::Up;
        // Of a call or a party that is gone the engine may have spoken just before.
        let end = self.board.call(call).and_then(|call| call.legs.iter().find(up));
        let leg = end.map_or(LegId(0), |leg| leg.id);
        self.board.tell_media(self.now, MediaReport::Direction { call, party, leg, sends: true, listens: !on });
        self.drain();
    }

    pub fn tell_media(&mut self, report: MediaReport) {
        self.board.tell_media(self.now, report);
        self.drain();
    }

    /// The outcomes since the last look.
    pub fn results(&mut self) -> Vec<Result<(), Failure>> {
        self.outcomes.drain(..).map(|outcome| outcome.result).collect()
    }

    pub fn ended(&mut self, call: CallId, leg: u16, cause: Cause) {
        self.tell(Report::Ended { call, leg: LegId(leg), cause });
    }

    pub fn tell(&mut self, report: Report) {
        self.board.tell(self.now, report);
        self.drain();
    }

    pub fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(at) = self.board.poll_timeout()
            && at <= until
        {
            self.now = self.now.max(at);
            self.board.handle_timeout(self.now);
            self.drain();
        }
        self.now = until;
    }

    pub fn drain(&mut self) {
        while let Some(output) = self.board.poll_output() {
            match output {
                Output::Op(op) => {
                    self.said.push(op_text(&op));
                    self.ops.push(op);
                }
                Output::Media(op) => self.media_op(op),
                Output::Event(told) => self.events.push(told),
                Output::Outcome(outcome) => self.outcomes.push(outcome),
                Output::StepWanted(wanted) => self.wanted.push((wanted.flow.name, wanted.answered)),
            }
        }
    }

    fn media_op(&mut self, op: MediaOp) {
        let reply = match &op {
            MediaOp::MakeOffer { call, seat, leg, .. } => Some((*call, *seat, *leg, "our-offer")),
            MediaOp::MakeAnswer { call, seat, leg } => Some((*call, *seat, *leg, "our-answer")),
            MediaOp::Hear { seat: Seat::Of(party), source, .. } => {
                self.said.push(format!("{party:?} hears {source:?}"));
                None
            }
            MediaOp::Join { call, party, room, .. } => {
                self.said.push(format!("{party:?} joins {room}"));
                let (call, party, room, news) = (*call, *party, room.clone(), RoomNews::Joined(1));
                if !self.silent_media {
                    self.board.tell_media(self.now, MediaReport::Room { call, party, room, news });
                }
                None
            }
            MediaOp::Leave { party, room, .. } => {
                self.said.push(format!("{party:?} leaves {room}"));
                None
            }
            MediaOp::Close { .. } => {
                self.said.push("media closed".into());
                None
            }
            MediaOp::Open { .. } | MediaOp::Offered { .. } | MediaOp::Accept { .. } => None,
            MediaOp::Hold { party, on, .. } => {
                self.said.push(format!("{party:?} {} hold", if *on { "on" } else { "off" }));
                None
            }
            MediaOp::OpenSpare { party, .. } => {
                self.said.push(format!("spare seat for {party:?}"));
                None
            }
            MediaOp::Swap { .. } => {
                self.said.push("swap".into());
                None
            }
            MediaOp::CloseSpare { .. } => {
                self.said.push("spare seat closed".into());
                None
            }
            MediaOp::Play { party, play, soup, .. } => {
                let name = soup.sounds.first().and_then(|sound| sound.forms.first()).map(|form| form.name.clone());
                self.said.push(format!("play {} to {party:?}: {}", play.0 % 511, name.unwrap_or_default()));
                None
            }
            MediaOp::ControlPlay { play, control, .. } => {
                self.said.push(format!("{control:?} {}", play.0 % 511));
                None
            }
            MediaOp::Hear { seat: Seat::Spare, .. }
            | MediaOp::Digit { .. }
            | MediaOp::Inspect { .. }
            | MediaOp::Record { .. } => None,
        };
        self.media.push(op);
        if let Some((call, seat, leg, sdp)) = reply
            && !self.silent_media
        {
            self.board.tell_media(self.now, MediaReport::Local { call, seat, leg, sdp: Sdp::from(sdp) });
        }
    }

    /// What was wanted of the backend and what the parties hear, since the last look.
    pub fn since(&mut self) -> Vec<String> {
        std::mem::take(&mut self.said)
    }

    pub fn event_names(&mut self) -> Vec<String> {
        self.events.drain(..).map(|told| event_text(&told.event)).collect()
    }
}

pub fn event_text(event: &Event) -> String {
    match event {
        Event::Incoming { .. } => "incoming".into(),
        Event::Connecting { .. } => "connecting".into(),
        Event::Started { .. } => "started".into(),
        Event::Dialing { party, leg, .. } => format!("dialing {party:?} {leg}"),
        Event::Progress { party, status, .. } => format!("progress {party:?} {status}"),
        Event::Answered { party, .. } => format!("answered {party:?}"),
        Event::Bridged => "bridged".into(),
        Event::HoldAccepted { hold } => format!("hold {hold} accepted"),
        Event::HoldAsked { party, hold } => format!("{party:?} asked hold {hold}"),
        Event::Held { party, hold } => format!("{party:?} hold {hold}"),
        Event::HeldBy { party, hold } => format!("hold {hold} by {party:?}"),
        Event::Diverted { from, to, why } => format!("diverted {from} {to} {why:?}"),
        Event::Replaced { leg, party, by } => format!("{party:?} replaced {leg} {by}"),
        Event::TransferFailed { cause } => format!("transfer failed {}", cause.code),
        Event::Transferring { party, .. } => format!("transferring {party:?}"),
        Event::TransferStarted { wire_id, .. } => format!("transfer started {wire_id}"),
        Event::TransferProgress { status, .. } => format!("transfer progress {status}"),
        Event::Transferred => "transferred".into(),
        Event::Noticed { .. } => panic!("not said by this switch: {event:?}"),
        Event::Audio { party, news } => format!("{party:?}: {news:?}"),
        Event::InRoom { party, room, news } => format!("{party:?} in {room}: {news:?}"),
        Event::LegEnded { leg, cause, .. } => format!("leg {leg} ended {}", cause.code),
        Event::Ended { cause, .. } => format!("ended {}", cause.code),
    }
}

fn op_text(op: &Op) -> String {
    let of = |sdp: &Option<Sdp>| sdp.as_ref().map_or(String::new(), |sdp| format!(" {}", sdp.0));
    match op {
        Op::Adopt { leg, .. } => format!("adopt {leg}"),
        Op::Refuse { cause, .. } => format!("refuse {cause}"),
        Op::Locate { to, .. } => format!("locate {to}"),
        Op::Dial { leg, dial, .. } => format!("dial {leg} {}{}", dial.target.address, of(&dial.offer)),
        Op::Ring { status, sdp, .. } => format!("ring {status}{}", of(sdp)),
        Op::Answer { leg, sdp, .. } => format!("answer {leg} {}", sdp.0),
        Op::Confirm { leg, sdp, .. } => format!("confirm {leg}{}", of(sdp)),
        Op::Reanswer { leg, sdp, .. } => match sdp {
            Ok(sdp) => format!("reanswer {leg} {}", sdp.0),
            Err(cause) => format!("reanswer {leg} refused {}", cause.code),
        },
        Op::Withdraw { leg, .. } => format!("withdraw {leg}"),
        Op::Reoffer { leg, sdp, .. } => format!("reoffer {leg}{}", of(sdp)),
        Op::Refer { leg, to, .. } => format!("refer {leg} {to}"),
        Op::AnswerRefer { leg, result, .. } => match result {
            Ok(()) => format!("refer {leg} accepted"),
            Err(cause) => format!("refer {leg} refused {}", cause.code),
        },
        Op::TellRefer { leg, status, .. } => format!("tell {leg} {status}"),
        Op::Deliver { leg, receipt, .. } => format!("deliver {leg} {receipt}"),
        Op::Receipt { leg, receipt, status, .. } => format!("receipt {leg} {receipt} {status}"),
        Op::Move { from, to } => format!("move {} to {} {}", from.1, to.0, to.1),
        Op::Focus { leg, on, .. } => format!("focus of {leg} {on}"),
        Op::Probe { leg, .. } => format!("probe {leg}"),
        Op::Hangup { leg, cause, .. } => format!("hangup {leg} {cause}"),
    }
}
