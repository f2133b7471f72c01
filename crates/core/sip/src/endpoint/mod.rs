//! The endpoint: transactions, dialogs and the rules of a user agent core in one machine.

use std::collections::VecDeque;

use crate::config::EndpointConfig;
use crate::dialog::Dialog;
use crate::error::SipError;
use crate::event::{DialogId, RequestId, TxnId};
use crate::outgoing::{Body, Header, Invite, RequestOut, Response};
use crate::transport::{Flow, Input, Output};
use crate::Time;

/// How much is held right now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Client and server transactions.
    pub transactions: usize,
    /// Dialogs, early ones included.
    pub dialogs: usize,
    /// Timers.
    pub timers: usize,
    /// Stream connections.
    pub connections: usize,
}

/// How much arrived and was dropped without a word, since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Bytes that are no SIP, and responses that are malformed.
    pub garbage: u64,
    /// Responses that belong to no transaction.
    pub stray_responses: u64,
    /// ACKs that belong to no call.
    pub stray_acks: u64,
    /// Requests refused with 503 because a limit was reached.
    pub overload: u64,
}

/// One SIP element. See the crate's description for how to drive it.
pub struct Endpoint {
    #[allow(dead_code)]
    config: EndpointConfig,
    out: VecDeque<Output>,
}

impl Endpoint {
    /// A new endpoint. All its random names follow from `seed`, which must therefore be secret and never used twice.
    pub fn new(config: EndpointConfig, _seed: [u8; 32]) -> Endpoint {
        Endpoint { config, out: VecDeque::new() }
    }
    /// Takes what the network brought.
    pub fn handle_input(&mut self, _now: Time, _input: Input) {}
    /// Runs the timers that are due.
    pub fn handle_timeout(&mut self, _now: Time) {}
    /// When to call [`Endpoint::handle_timeout`] next, at the latest.
    pub fn poll_timeout(&self) -> Option<Time> {
        None
    }
    /// What must be sent or told; to be called until `None` after every other call.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }
    /// Starts a call.
    pub fn invite(&mut self, _now: Time, _invite: Invite) -> Result<DialogId, SipError> {
        Err(SipError::DialogLimit)
    }
    /// Takes a call back that has no final answer yet; `reason` is the value of a Reason header.
    pub fn cancel(&mut self, _now: Time, _dialog: DialogId, _reason: Option<&str>) {}
    /// Acknowledges [`Event::Answered`](crate::Event::Answered) or [`Event::Reanswered`](crate::Event::Reanswered).
    pub fn ack(&mut self, _now: Time, _dialog: DialogId, _body: Option<Body>) {}
    /// Answers [`Event::Invite`](crate::Event::Invite) or [`Event::Reinvite`](crate::Event::Reinvite); ignored when the INVITE has got its final answer.
    pub fn respond(&mut self, _now: Time, _dialog: DialogId, _response: Response) {}
    /// Ends a call in whatever state it is.
    pub fn bye(&mut self, _now: Time, _dialog: DialogId, _headers: Vec<Header>) {}
    /// Sends an INVITE inside the dialog.
    pub fn reinvite(&mut self, _now: Time, _dialog: DialogId, _body: Option<Body>, _headers: Vec<Header>) -> Result<(), SipError> {
        Err(SipError::UnknownDialog)
    }
    /// Sends any other request.
    pub fn request(&mut self, _now: Time, _request: RequestOut) -> Result<RequestId, SipError> {
        Err(SipError::UnknownDialog)
    }
    /// Answers [`Event::Request`](crate::Event::Request).
    pub fn reply(&mut self, _now: Time, _txn: TxnId, _response: Response) {}
    /// A dialog, while it stands.
    pub fn dialog(&self, _dialog: DialogId) -> Option<&Dialog> {
        None
    }
    /// Sends further requests of this dialog there: for who resolves names, or knows better.
    pub fn set_flow(&mut self, _dialog: DialogId, _flow: Flow) {}
    /// How much is held right now.
    pub fn counts(&self) -> Counts {
        Counts::default()
    }
    /// How much was dropped.
    pub fn dropped(&self) -> Dropped {
        Dropped::default()
    }
}
