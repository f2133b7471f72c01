//! The Call API and the native REST in front of an OpenSIPS: dialects and backend composed into one machine without sockets
//! or clocks.
//!
//! ```text
//! session ── Text ──► Hub ─── Command ──► OpenSips ── Mi ──► OpenSIPS
//!         ◄─ Text ──      ◄─ Told, Outcome ──      ◄─ replies, events ──
//!                                  │
//! request ── Rest ──► Desk ◄───── Calls: two dialogs are one call ──► Told, Record
//! ```
//!
//! It stands beside [`Shard`](crate::Shard): no SIP, no media, no calls of our own. As there, one thing that came in is
//! carried to its end before the next is looked at, and outputs are drained after every touch.

mod calls;
mod carrier;
mod left;
mod made;
mod rest;

use std::collections::VecDeque;

use bytes::Bytes;
use compact_str::CompactString;
use hookswitch_call::{CallId, Command, Event, Outcome, Time, Told};
use hookswitch_dialect::call_api::{self, Admission, Hub, HubOutput, LogLost, LogOrder, SessionId, Tag};
use hookswitch_dialect::journal::record::{CallDetail, Records};
use hookswitch_dialect::journal::{CommandName, LeftCall};
use hookswitch_dialect::rest::{self as rest_dialect, CommandEnd, Desk, Request, Response};
use hookswitch_opensips::{self as opensips, Health, OpenSips, RequestId};

use crate::whose::Enders;
use crate::{HttpId, TRY_AGAIN_LATER};
use calls::Calls;
use carrier::Carrier;

/// What a front is told at the start.
#[derive(Clone, Debug, Default)]
pub struct FrontConfig {
    /// The OpenSIPS that carries the calls.
    pub opensips: opensips::Config,
    /// The Call API.
    pub call_api: call_api::Config,
    /// What the native REST holds at most. Its idempotency keys are kept elsewhere.
    pub rest: rest_dialect::Config,
}

/// What goes into a front.
#[derive(Clone, PartialEq, Debug)]
pub enum FrontInput {
    /// Something came from OpenSIPS, or could not be sent there.
    OpenSips(opensips::Input),
    /// An application has connected.
    SessionOpened {
        /// Its name from now on.
        session: SessionId,
        /// On which terms: its manner, and what its token allows.
        admission: Admission,
    },
    /// An application says something.
    Text {
        /// Which application.
        session: SessionId,
        /// One WebSocket message.
        text: String,
    },
    /// An application is gone.
    SessionClosed(SessionId),
    /// What [`FrontOutput::Log`] asks for is not there.
    LogLost {
        /// From its order.
        tag: Tag,
        /// Why.
        lost: LogLost,
    },
    /// A request of the native REST about these calls, without a key.
    Rest {
        /// Its name from now on.
        id: HttpId,
        /// What is asked.
        request: Box<Request>,
    },
    /// Calls that had not ended when the last process did. Before [`Front::start`], or OpenSIPS may tell of them first.
    Left(Vec<LeftCall>),
    /// Take no new calls; those that are being made go on.
    Drain,
    /// End the subscriptions: see [`Front::stopped`].
    Stop,
}

/// What comes out of a front.
#[derive(Clone, PartialEq, Debug)]
pub enum FrontOutput {
    /// Send this request to OpenSIPS.
    Mi {
        /// Its name, for [`opensips::Input::MiFailed`].
        request: RequestId,
        /// One JSON object.
        bytes: Bytes,
        /// How long its answer may take.
        patience: std::time::Duration,
    },
    /// Tell an application something.
    Text {
        /// Which application.
        session: SessionId,
        /// One JSON text.
        text: String,
    },
    /// Tell an application of the log of events, or no longer; wants [`FrontInput::LogLost`] if it is not there.
    Log {
        /// Whom.
        session: SessionId,
        /// What.
        order: LogOrder,
    },
    /// Close an application's connection; its session is gone already.
    CloseSession {
        /// Whose.
        session: SessionId,
        /// WebSocket close code.
        code: u16,
    },
    /// Something happened in a call: for logs and numbers, the applications know already.
    Told(Told, Option<CommandName>),
    /// Answer a request.
    Rest {
        /// Which.
        id: HttpId,
        /// How.
        response: Response,
    },
    /// A command of the native REST has ended: said once of each.
    Command(CommandEnd),
    /// A call has a webhook of its own from now on, before anything is told of it if the same request makes it.
    Webhook {
        /// When.
        at: Time,
        /// Which call.
        call: CallId,
        /// The name of the webhook.
        webhook: CompactString,
    },
    /// All that is known of a call that is over.
    Record(Box<CallDetail>),
    /// OpenSIPS was lost or came back.
    Health(Health),
}

/// The Call API, the native REST and the OpenSIPS behind them.
pub struct Front {
    carrier: Carrier,
    hub: Hub,
    desk: Desk,
    /// The commands of the Call API that end calls, until those are over.
    enders: Enders,
    is_draining: bool,
    out: VecDeque<FrontOutput>,
}

impl Front {
    /// A front that has not spoken yet. `seed` makes its names unguessable: draw it from the operating system at
    /// every start.
    #[must_use]
    pub fn new(config: FrontConfig, seed: [u8; 32]) -> Self {
        let mut hub_seed = seed;
        hub_seed.reverse();
        let mut rest_seed = seed;
        rest_seed.rotate_left(1);
        // Commands have their names from the range that calls have theirs from.
        let desk = Desk::new(config.rest, config.opensips.first_call, rest_seed);
        let opensips = OpenSips::new(config.opensips, seed);
        Self {
            carrier: Carrier { opensips, calls: Calls::default(), records: Records::default() },
            desk,
            enders: Enders::default(),
            hub: Hub::new(config.call_api, hub_seed),
            is_draining: false,
            out: VecDeque::new(),
        }
    }

    /// Asks OpenSIPS who it is and subscribes to its events.
    pub fn start(&mut self, now: Time) {
        self.carrier.opensips.start(now);
        self.settle(now);
    }

    /// Takes what has happened.
    pub fn handle(&mut self, now: Time, input: FrontInput) {
        match input {
            FrontInput::OpenSips(input) => self.carrier.opensips.handle(now, input),
            FrontInput::SessionOpened { session, admission } => {
                if self.hub.open(session, admission).is_err() {
                    self.out.push_back(FrontOutput::CloseSession { session, code: TRY_AGAIN_LATER });
                }
            }
            FrontInput::Text { session, text } => self.hub.text(now, session, &text),
            FrontInput::SessionClosed(session) => self.hub.closed(session),
            FrontInput::LogLost { tag, lost } => self.hub.log_lost(tag, lost),
            FrontInput::Rest { id, request } => self.rest(now, id, &request),
            FrontInput::Left(left) => self.take_left(now, &left),
            FrontInput::Drain => {
                self.is_draining = true;
                self.carrier.opensips.drain();
            }
            FrontInput::Stop => self.carrier.opensips.stop(now),
        }
        self.settle(now);
    }

    /// Lets time pass.
    pub fn handle_timeout(&mut self, now: Time) {
        self.carrier.opensips.handle_timeout(now);
        self.settle(now);
    }

    /// When [`Front::handle_timeout`] wants to be called next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        self.carrier.opensips.poll_timeout()
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<FrontOutput> {
        self.out.pop_front()
    }

    /// Whether no command is running: after [`FrontInput::Drain`], the moment to stop.
    #[must_use]
    pub fn idle(&self) -> bool {
        self.carrier.opensips.counts().commands == 0
    }

    /// Whether OpenSIPS has been told that we are leaving, or cannot be: after [`FrontInput::Stop`], the end.
    #[must_use]
    pub fn stopped(&self) -> bool {
        self.carrier.opensips.stopped()
    }

    /// Whether OpenSIPS answers, and whether its events reach us.
    #[must_use]
    pub fn health(&self) -> Health {
        self.carrier.opensips.health()
    }

    /// What the backend has and has counted.
    #[must_use]
    pub fn counts(&self) -> opensips::Counts {
        self.carrier.opensips.counts()
    }

    /// What the dialect has counted.
    #[must_use]
    pub const fn hub_counts(&self) -> call_api::Counts {
        self.hub.counts()
    }

    /// How many sessions are open.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.hub.sessions()
    }

    /// How many commands of sessions are running, those whose session is gone included.
    #[must_use]
    pub fn commands_running(&self) -> usize {
        self.hub.running()
    }

    /// Whether new calls are refused because we are leaving.
    #[must_use]
    pub const fn draining(&self) -> bool {
        self.is_draining
    }

    /// Carries everything that has happened to its end.
    fn settle(&mut self, now: Time) {
        loop {
            if let Some(told) = self.carrier.calls.poll() {
                self.tell(told);
            } else if let Some(output) = self.desk.poll_output() {
                self.file(output);
            } else if let Some(detail) = self.carrier.records.poll() {
                self.out.push_back(FrontOutput::Record(detail));
            } else if let Some(output) = self.carrier.opensips.poll_output() {
                self.carry_out(now, output);
            } else if let Some(output) = self.hub.poll_output() {
                self.speak(now, output);
            } else {
                return;
            }
        }
    }

    fn carry_out(&mut self, now: Time, output: opensips::Output) {
        match output {
            opensips::Output::Mi { request, bytes, patience } => {
                self.out.push_back(FrontOutput::Mi { request, bytes, patience });
            }
            opensips::Output::Event(told) => {
                self.carrier.calls.told(&told);
                self.tell_all();
                self.hub.told(&told);
            }
            opensips::Output::Learned { at, call, what } => {
                self.carrier.calls.learned(at, call, what);
                self.tell_all();
            }
            opensips::Output::Outcome(outcome) => self.outcome(now, &outcome),
            opensips::Output::Health(health) => self.out.push_back(FrontOutput::Health(health)),
        }
    }

    fn outcome(&mut self, now: Time, outcome: &Outcome) {
        self.carrier.calls.outcome(now, outcome);
        self.tell_all();
        if self.desk.has_submitted(outcome.ticket) {
            self.desk.outcome(now, outcome);
        } else {
            self.hub.outcome(outcome);
        }
    }

    fn tell_all(&mut self) {
        while let Some(told) = self.carrier.calls.poll() {
            self.tell(told);
        }
    }

    fn tell(&mut self, told: Told) {
        let command = self.sender_of(&told);
        if self.carrier.calls.was_part(&told) {
            self.desk.forget(told.call);
            self.carrier.records.forget(told.call);
        }
        self.desk.told(&told);
        self.carrier.note(&told);
        // A webhook that the same request gives the call comes before it.
        while let Some(output) = self.desk.poll_output() {
            self.file(output);
        }
        self.out.push_back(FrontOutput::Told(told, command));
    }

    /// The command that an event comes of: the one that ends the call, or a running one whose progress it is.
    fn sender_of(&mut self, told: &Told) -> Option<CommandName> {
        let ender = if let Event::Ended { .. } = told.event { self.enders.remove(&told.call) } else { None };
        ender.or_else(|| self.desk.sender_of(told)).or_else(|| self.hub.sender_of(told))
    }

    fn speak(&mut self, now: Time, output: HubOutput) {
        match output {
            HubOutput::Submit { tag, command } => {
                let ends = matches!(command, Command::End { .. });
                let ender = self.hub.command(tag).filter(|_| ends);
                let result = self.carrier.submit(now, command);
                let ended = result.as_ref().ok().and_then(|ticket| self.carrier.calls.ended_by(*ticket));
                if let (Some(call), Some(ender)) = (ended, ender) {
                    self.enders.insert(call, ender);
                }
                self.hub.submitted(tag, result);
            }
            HubOutput::Text { session, text } => self.out.push_back(FrontOutput::Text { session, text }),
            HubOutput::Log { session, order } => self.out.push_back(FrontOutput::Log { session, order }),
            HubOutput::Close { session, code } => self.out.push_back(FrontOutput::CloseSession { session, code }),
        }
    }
}
