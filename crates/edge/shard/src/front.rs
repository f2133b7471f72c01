//! The Call API in front of an OpenSIPS: dialect and backend composed into one machine without sockets or clocks.
//!
//! ```text
//! session ── Text ──► Hub ── Command ──► OpenSips ── Mi ──► OpenSIPS
//!         ◄─ Text ──     ◄─ Told, Outcome ──      ◄─ replies, events ──
//! ```
//!
//! It stands beside [`Shard`](crate::Shard): no SIP, no media, no calls of our own. As there, one thing that came in is
//! carried to its end before the next is looked at, and outputs are drained after every touch.

use std::collections::VecDeque;

use bytes::Bytes;
use hookswitch_call::{Time, Told};
use hookswitch_dialect::call_api::{self, Admission, Hub, HubOutput, LogLost, LogOrder, SessionId, Tag};
use hookswitch_dialect::journal::CommandName;
use hookswitch_opensips::{self as opensips, Health, OpenSips, RequestId};

use crate::TRY_AGAIN_LATER;

/// What a front is told at the start.
#[derive(Clone, Debug, Default)]
pub struct FrontConfig {
    /// The OpenSIPS that carries the calls.
    pub opensips: opensips::Config,
    /// The Call API.
    pub call_api: call_api::Config,
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
    /// OpenSIPS was lost or came back.
    Health(Health),
}

/// The Call API and the OpenSIPS behind it.
pub struct Front {
    opensips: OpenSips,
    hub: Hub,
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
        Self {
            opensips: OpenSips::new(config.opensips, seed),
            hub: Hub::new(config.call_api, hub_seed),
            is_draining: false,
            out: VecDeque::new(),
        }
    }

    /// Asks OpenSIPS who it is and subscribes to its events.
    pub fn start(&mut self, now: Time) {
        self.opensips.start(now);
        self.settle(now);
    }

    /// Takes what has happened.
    pub fn handle(&mut self, now: Time, input: FrontInput) {
        match input {
            FrontInput::OpenSips(input) => self.opensips.handle(now, input),
            FrontInput::SessionOpened { session, admission } => {
                if self.hub.open(session, admission).is_err() {
                    self.out.push_back(FrontOutput::CloseSession { session, code: TRY_AGAIN_LATER });
                }
            }
            FrontInput::Text { session, text } => self.hub.text(now, session, &text),
            FrontInput::SessionClosed(session) => self.hub.closed(session),
            FrontInput::LogLost { tag, lost } => self.hub.log_lost(tag, lost),
            FrontInput::Drain => {
                self.is_draining = true;
                self.opensips.drain();
            }
            FrontInput::Stop => self.opensips.stop(now),
        }
        self.settle(now);
    }

    /// Lets time pass.
    pub fn handle_timeout(&mut self, now: Time) {
        self.opensips.handle_timeout(now);
        self.settle(now);
    }

    /// When [`Front::handle_timeout`] wants to be called next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        self.opensips.poll_timeout()
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<FrontOutput> {
        self.out.pop_front()
    }

    /// Whether no command is running: after [`FrontInput::Drain`], the moment to stop.
    #[must_use]
    pub fn idle(&self) -> bool {
        self.opensips.counts().commands == 0
    }

    /// Whether OpenSIPS has been told that we are leaving, or cannot be: after [`FrontInput::Stop`], the end.
    #[must_use]
    pub fn stopped(&self) -> bool {
        self.opensips.stopped()
    }

    /// Whether OpenSIPS answers, and whether its events reach us.
    #[must_use]
    pub fn health(&self) -> Health {
        self.opensips.health()
    }

    /// What the backend has and has counted.
    #[must_use]
    pub fn counts(&self) -> opensips::Counts {
        self.opensips.counts()
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
            if let Some(output) = self.opensips.poll_output() {
                self.carry_out(output);
            } else if let Some(output) = self.hub.poll_output() {
                self.speak(now, output);
            } else {
                return;
            }
        }
    }

    fn carry_out(&mut self, output: opensips::Output) {
        match output {
            opensips::Output::Mi { request, bytes, patience } => {
                self.out.push_back(FrontOutput::Mi { request, bytes, patience });
            }
            opensips::Output::Event(told) => {
                let command = self.hub.sender_of(&told);
                self.hub.told(&told);
                self.out.push_back(FrontOutput::Told(told, command));
            }
            opensips::Output::Outcome(outcome) => self.hub.outcome(&outcome),
            opensips::Output::Health(health) => self.out.push_back(FrontOutput::Health(health)),
        }
    }

    fn speak(&mut self, now: Time, output: HubOutput) {
        match output {
            HubOutput::Submit { tag, command } => {
                let result = self.opensips.submit(now, command);
                self.hub.submitted(tag, result);
            }
            HubOutput::Text { session, text } => self.out.push_back(FrontOutput::Text { session, text }),
            HubOutput::Log { session, order } => self.out.push_back(FrontOutput::Log { session, order }),
            HubOutput::Close { session, code } => self.out.push_back(FrontOutput::CloseSession { session, code }),
        }
    }
}
