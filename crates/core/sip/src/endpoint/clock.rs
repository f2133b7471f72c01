//! The passing of time.

use hookswitch_sip_msg::Method;

use super::Endpoint;
use super::request::Inside;
use super::tables::{ClientMachine, Due, Owner, ServerMachine, TxnRef};
use crate::Time;
use crate::event::{Ender, FailCause};
use crate::outgoing::Response;
use crate::transaction::Fired;

impl Endpoint {
    /// Runs the timers that are due. Calling it too early does no harm.
    pub fn handle_timeout(&mut self, now: Time) {
        while let Some(due) = self.wheel.pop(now) {
            match due {
                Due::Client(slot) => {
                    self.tables.clients[slot as usize].timer = None;
                    self.on_client_time(now, slot);
                }
                Due::Server(slot) => {
                    self.tables.servers[slot as usize].timer = None;
                    self.on_server_time(now, slot);
                }
                Due::Retry(dialog) => self.on_retry_time(now, dialog),
                Due::Session(dialog) => self.on_session_time(now, dialog),
                Due::Unpracked(dialog) => self.on_unpracked(now, dialog),
                Due::Partial(conn) => self.on_partial_timeout(now, conn),
            }
        }
        self.guard.handle_timeout(now);
        self.tables.give_back();
        self.wheel.give_back();
    }

    /// When to call [`Endpoint::handle_timeout`] next, at the latest; `None` when nothing is waited for.
    pub fn poll_timeout(&self) -> Option<Time> {
        [self.wheel.next(), self.guard.poll_timeout()].into_iter().flatten().min()
    }

    fn on_client_time(&mut self, now: Time, slot: u32) {
        let txn = &mut self.tables.clients[slot as usize];
        match txn.machine.on_time(now, &self.config.timers) {
            Fired::Repeat => {
                let (flow, bytes) = (txn.flow, txn.bytes.clone());
                let flow = self.live(flow);
                self.send(flow, bytes);
                self.arm_client(slot);
            }
            Fired::GiveUp => self.on_client_patience_over(now, slot),
            Fired::Over => {
                self.remove_client(slot);
            }
            Fired::Nothing | Fired::Trying => self.arm_client(slot),
        }
    }

    /// Timers B and F, or a call that rang for too long.
    fn on_client_patience_over(&mut self, now: Time, slot: u32) {
        let txn = &self.tables.clients[slot as usize];
        let invite = TxnRef { slot, nonce: txn.nonce };
        let ringing = matches!(&txn.machine, ClientMachine::Invite(machine) if !machine.is_calling());
        let (Owner::Invite(id), true) = (&txn.owner, ringing) else {
            self.give_up(now, slot, FailCause::Timeout);
            return;
        };
        let id = *id;
        if self.tables.call(id).is_none_or(|call| call.cancel.is_some()) {
            self.give_up(now, slot, FailCause::Timeout);
            return;
        }
        // The other side still rings, so it is told, and whatever it answers is dealt with.
        self.cancel_now(now, invite, None);
        if let Some(txn) = self.tables.client_mut(invite) {
            txn.owner = Owner::Nobody;
        }
        self.fail_call(now, id, 408, None, FailCause::Timeout);
    }

    pub(super) fn on_server_time(&mut self, now: Time, slot: u32) {
        let txn = &mut self.tables.servers[slot as usize];
        let awaits_final = txn.machine.awaits_final();
        match txn.machine.on_time(now, &self.config.timers) {
            Fired::Trying => {
                self.send_response(now, slot, &Response::new(100));
            }
            Fired::Repeat if awaits_final && self.refresh_reliable(now, slot) => self.arm_server(slot),
            Fired::Repeat => {
                let (flow, bytes) = (self.reply_flow(slot), self.tables.servers[slot as usize].last.clone());
                self.send(flow, bytes);
                self.arm_server(slot);
            }
            Fired::GiveUp => self.on_server_patience_over(now, slot),
            Fired::Over => self.remove_server(slot),
            Fired::Nothing => self.arm_server(slot),
        }
    }

    /// No ACK came, or our user never answered.
    fn on_server_patience_over(&mut self, now: Time, slot: u32) {
        let txn = &self.tables.servers[slot as usize];
        let id = txn.dialog;
        match &txn.machine {
            ServerMachine::Invite(machine) if machine.awaits_final() => {
                let Some(id) = id else {
                    self.remove_server(slot);
                    return;
                };
                self.give_up_invite(now, id, 480, 408);
            }
            ServerMachine::Invite(_) => {
                let unacked = id.filter(|id| {
                    let due = self.tables.call(*id).and_then(|call| call.unacked);
                    due.is_some_and(|unacked| unacked.txn == slot)
                });
                self.remove_server(slot);
                if let Some(id) = unacked {
                    self.on_ack_missing(now, id);
                }
            }
            ServerMachine::Other(_) => self.remove_server(slot),
        }
    }

    /// A 2xx without ACK: the dialog is ended (RFC 3261 13.3.1.4).
    fn on_ack_missing(&mut self, now: Time, id: crate::event::DialogId) {
        let Some(call) = self.tables.call_mut(id) else {
            return;
        };
        call.unacked = None;
        let asked = call.bye_due.take();
        let by = if asked.is_some() { Ender::Local } else { Ender::AckTimeout };
        let cseq = call.dialog.next_seq();
        let headers = asked.unwrap_or_default();
        let what = Inside { headers: &headers, ..Inside::new(Method::Bye, cseq) };
        self.send_inside(now, id, Owner::Nobody, &what);
        self.end_call(now, id, by);
    }
}
