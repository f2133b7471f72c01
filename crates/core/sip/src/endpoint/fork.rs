//! Early dialogs of an INVITE of ours (RFC 3261 12.1.2), and the acknowledgement of provisional responses in each of
//! them (RFC 3262 4).
//!
//! ```text
//!               1xx, tag a ──▶ fork 0 ── RSeq n: PRACK ── n + 1: PRACK ── ...      (others: ignored)
//!   INVITE ──▶  1xx, tag b ──▶ fork 1 ── RSeq m: PRACK ── ...
//!               2xx, tag b ──▶ fork 1 becomes the dialog, the others are forgotten
//! ```
//!
//! Fork 0 lives in the dialog itself, so that a call with one early dialog and without reliable responses costs
//! nothing.

use hookswitch_sip_msg::{HeaderName, Message, Method};

use super::Endpoint;
use super::request::Inside;
use super::tables::{Call, Owner};
use crate::Time;
use crate::config::MAX_FORKS;
use crate::dialog::peer::Said;
use crate::dialog::{Dialog, DialogState, Role};
use crate::error::SipError;
use crate::event::DialogId;
use crate::outgoing::{Body, Header};
use crate::transport::Flow;

/// The early dialogs of an INVITE of ours.
#[derive(Default)]
pub(super) struct Early {
    first: Sequence,
    /// Numbered from 1.
    others: Vec<Fork>,
}

struct Fork {
    dialog: Dialog,
    sequence: Sequence,
}

/// How far one early dialog is.
#[derive(Debug, Clone, Copy, Default)]
struct Sequence {
    /// RSeq of the last reliable response; 0 before there is one.
    rseq: u32,
    exchange: Exchange,
}

/// Offer and answer of the INVITE, as far as reliable responses have brought them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Exchange {
    /// One side has not said anything that counts.
    #[default]
    Open,
    /// Theirs is the offer, and our PRACK is due.
    Due,
    /// Both are there.
    Done,
}

/// What a reliable provisional response asks for.
enum Asks {
    /// Nothing: it is a repeat, or overtook one before it.
    Nothing,
    /// A PRACK.
    Prack,
    /// A PRACK with our user's answer.
    Answer,
}

impl Call {
    /// One of the early dialogs; after the answer there is only one, whichever number is asked for.
    pub(super) fn dialog_at(&self, fork: u8) -> Option<&Dialog> {
        match (&self.early, fork) {
            (Some(early), 1..) => early.others.get(usize::from(fork) - 1).map(|fork| &fork.dialog),
            (None, 1..) if self.dialog.state == DialogState::Early => None,
            (Some(_) | None, _) => Some(&self.dialog),
        }
    }

    pub(super) fn dialog_at_mut(&mut self, fork: u8) -> Option<&mut Dialog> {
        match (&mut self.early, fork) {
            (Some(early), 1..) => early.others.get_mut(usize::from(fork) - 1).map(|fork| &mut fork.dialog),
            (None, 1..) if self.dialog.state == DialogState::Early => None,
            (Some(_) | None, _) => Some(&mut self.dialog),
        }
    }

    /// The number of the early dialog with that tag of the other side.
    pub(super) fn fork_of(&self, tag: &str) -> Option<u8> {
        if self.dialog.remote_tag == tag {
            return Some(0);
        }
        let at = self.early.as_ref()?.others.iter().position(|fork| fork.dialog.remote_tag == tag)?;
        // There are at most MAX_FORKS.
        Some(at as u8 + 1)
    }

    fn forks(&self) -> usize {
        1 + self.early.as_ref().map_or(0, |early| early.others.len())
    }

    /// The early dialog a provisional response belongs to, perhaps a new one. `None` beyond the limit.
    pub(super) fn fork_for(&mut self, response: &Message, cseq: u32, flow: Flow) -> Option<u8> {
        let tag = response.to().ok().and_then(|to| to.tag()).unwrap_or_default();
        if tag.is_empty() {
            return Some(0);
        }
        if self.dialog.remote_tag.is_empty() {
            self.learn(response, flow);
            return Some(0);
        }
        if let Some(fork) = self.fork_of(tag) {
            self.dialog_at_mut(fork)?.learn(response, flow);
            return Some(fork);
        }
        if self.forks() >= MAX_FORKS {
            return None;
        }
        let mut dialog = self.fork(response, flow);
        dialog.local_seq = cseq;
        dialog.remote_seq = None;
        let early = self.early.get_or_insert_default();
        early.others.push(Fork { dialog, sequence: Sequence::default() });
        Some(early.others.len() as u8)
    }

    /// Makes the early dialog of a 2xx the call's dialog, and forgets the others.
    pub(super) fn choose(&mut self, response: &Message, cseq: u32, flow: Flow) -> u8 {
        let tag = response.to().ok().and_then(|to| to.tag()).unwrap_or_default();
        let (known, next) = (self.fork_of(tag), self.forks());
        let early = self.early.take();
        if self.dialog.remote_tag.is_empty() || known == Some(0) {
            self.learn(response, flow);
            return 0;
        }
        if let (Some(at @ 1..), Some(mut early)) = (known, early) {
            self.dialog = early.others.swap_remove(usize::from(at) - 1).dialog;
            self.learn(response, flow);
            return at;
        }
        self.dialog = self.fork(response, flow);
        self.dialog.local_seq = cseq;
        self.dialog.remote_seq = None;
        next as u8
    }

    fn sequence(&mut self, fork: u8) -> Option<&mut Sequence> {
        let early = self.early.get_or_insert_default();
        match usize::from(fork).checked_sub(1) {
            None => Some(&mut early.first),
            Some(at) => early.others.get_mut(at).map(|fork| &mut fork.sequence),
        }
    }

    /// How far the exchange of session descriptions by the INVITE of an early dialog is.
    pub(super) fn exchange(&self, fork: u8) -> Exchange {
        let Some(early) = &self.early else {
            return Exchange::Open;
        };
        match usize::from(fork).checked_sub(1) {
            None => early.first.exchange,
            Some(at) => early.others.get(at).map_or(Exchange::Open, |fork| fork.sequence.exchange),
        }
    }

    /// Takes a reliable provisional response in its turn (RFC 3262 4).
    fn take_reliable(&mut self, fork: u8, rseq: u32, described: bool) -> Asks {
        let offered = self.offered;
        let Some(sequence) = self.sequence(fork) else {
            return Asks::Nothing;
        };
        if sequence.rseq != 0 && Some(rseq) != sequence.rseq.checked_add(1) {
            return Asks::Nothing;
        }
        if sequence.exchange == Exchange::Due {
            // It must not come before our answer (RFC 3262 3), and is repeated until we have room for it.
            return Asks::Nothing;
        }
        sequence.rseq = rseq;
        match (described && sequence.exchange == Exchange::Open, offered) {
            (true, true) => sequence.exchange = Exchange::Done,
            (true, false) => {
                sequence.exchange = Exchange::Due;
                return Asks::Answer;
            }
            (false, _) => {}
        }
        Asks::Prack
    }
}

/// What becomes of a provisional response.
pub(super) enum Heard {
    /// The user is told.
    Told { fork: u8, prack_due: bool },
    /// It says nothing new.
    Nothing,
}

impl Endpoint {
    /// Sorts a provisional response into its early dialog, and acknowledges it when it asks for that.
    pub(super) fn hear_provisional(
        &mut self,
        now: Time,
        id: DialogId,
        cseq: u32,
        flow: Flow,
        response: &Message,
    ) -> Heard {
        let full = self.full();
        let Some(call) = self.tables.call_mut(id) else {
            return Heard::Nothing;
        };
        let Some(fork) = call.fork_for(response, cseq, flow) else {
            return Heard::Nothing;
        };
        let said = if response.count(HeaderName::RSeq) > 0 { Said::by(response) } else { Said::default() };
        if let Some(dialog) = call.dialog_at_mut(fork) {
            dialog.peer.hear(&said);
        }
        let Some(rseq) = said.reliable_number() else {
            return Heard::Told { fork, prack_due: false };
        };
        if full {
            // It is repeated until there is room for its PRACK.
            return Heard::Nothing;
        }
        match call.take_reliable(fork, rseq, !response.body_bytes().is_empty()) {
            Asks::Nothing => Heard::Nothing,
            Asks::Answer => Heard::Told { fork, prack_due: true },
            Asks::Prack => {
                self.send_prack(now, id, fork, (rseq, cseq), None);
                Heard::Told { fork, prack_due: false }
            }
        }
    }

    fn send_prack(&mut self, now: Time, id: DialogId, fork: u8, (rseq, cseq): (u32, u32), body: Option<&Body>) {
        let Some(dialog) = self.tables.call_mut(id).and_then(|call| call.dialog_at_mut(fork)) else {
            return;
        };
        let number = dialog.next_seq();
        let headers = [Header::new(HeaderName::RAck, format!("{rseq} {cseq} INVITE"))];
        let what = Inside { headers: &headers, body, fork, ..Inside::new(Method::Prack, number) };
        self.send_inside(now, id, Owner::Prack(id), &what);
    }

    /// Acknowledges a provisional response that carried an offer ([`Event::Progress`](crate::Event::Progress) with
    /// `prack_due`); `body` is the answer. Other reliable responses are acknowledged without asking.
    ///
    /// # Errors
    ///
    /// Nothing is to be acknowledged in that early dialog, or no more; nothing is sent then.
    pub fn prack(&mut self, now: Time, dialog: DialogId, fork: u8, body: Option<Body>) -> Result<(), SipError> {
        super::request::check_size(&[], body.as_ref())?;
        let call = self.tables.call_mut(dialog).ok_or(SipError::UnknownDialog)?;
        let waits = call.dialog.state == DialogState::Early && call.dialog.role == Role::Caller;
        let (Some(invite), true, Exchange::Due) = (call.ours, waits, call.exchange(fork)) else {
            return Err(SipError::NotEstablished);
        };
        let Some(sequence) = call.sequence(fork) else {
            return Err(SipError::NotEstablished);
        };
        sequence.exchange = Exchange::Done;
        let rseq = sequence.rseq;
        let cseq = self.tables.clients[invite as usize].cseq;
        self.send_prack(now, dialog, fork, (rseq, cseq), body.as_ref());
        self.remember_sent(dialog, body.as_ref());
        Ok(())
    }

    /// One of the early dialogs of an INVITE of ours, by the number in [`Event::Progress`](crate::Event::Progress).
    pub fn early(&self, dialog: DialogId, fork: u8) -> Option<&Dialog> {
        self.tables.call(dialog)?.dialog_at(fork)
    }
}
