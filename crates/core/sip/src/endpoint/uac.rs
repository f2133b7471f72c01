//! The calling side: INVITE, CANCEL and the ACK to 2xx.

use bytes::Bytes;
use compact_str::CompactString;
use hookswitch_sip_msg::Method;

use super::Endpoint;
use super::compose::keep;
use super::request::{Inside, check_order, check_size, is_sips, route_uri, user_part};
use super::tables::{Cancel, ClientMachine, Owner, TxnRef};
use crate::Time;
use crate::dialog::peer::Peer;
use crate::dialog::session_timer::SessionTimer;
use crate::dialog::{Dialog, DialogState, Role};
use crate::error::SipError;
use crate::event::DialogId;
use crate::outgoing::{Body, Invite};

impl Endpoint {
    /// Starts a call. What comes of it is told by [`Event::Progress`](crate::Event::Progress), and then one of
    /// [`Event::Answered`](crate::Event::Answered) and [`Event::Failed`](crate::Event::Failed).
    ///
    /// # Errors
    ///
    /// A limit is reached, or the order cannot be put on the wire; nothing has been sent then.
    pub fn invite(&mut self, now: Time, invite: Invite) -> Result<DialogId, SipError> {
        if self.full() {
            return Err(SipError::TransactionLimit);
        }
        if self.tables.calls.len() >= self.config.max_dialogs {
            return Err(SipError::DialogLimit);
        }
        let caller = check_order(&invite.uri, &invite.from, &invite.to, &invite.routes, invite.call_id.as_deref())?;
        let user = user_part(invite.contact_user.as_deref().or(caller).unwrap_or_default());
        check_size(&invite.headers, invite.body.as_ref())?;
        let Invite {
            uri,
            from,
            to,
            call_id,
            flow,
            routes,
            max_forwards,
            headers,
            body,
            credentials,
            rel100,
            may_connect,
            focus,
            ..
        } = invite;
        let local_tag = self.ids.tag();
        // RFC 3261 8.1.1.8: who is called by `sips:` calls back by it.
        let sips = is_sips(&uri) || routes.first().and_then(|route| route_uri(route)).is_some_and(is_sips);
        let dialog = Dialog {
            role: Role::Caller,
            state: DialogState::Early,
            call_id: call_id.unwrap_or_else(|| self.ids.call_id()),
            local: with_tag(&from, &local_tag),
            local_tag,
            remote_tag: CompactString::default(),
            remote: to,
            local_seq: 1,
            remote_seq: None,
            remote_target: uri,
            routes,
            contact: self.contact(&flow, &user, sips),
            flow,
            pinned: false,
            peer: Peer::default(),
            session: SessionTimer::default(),
            may_connect,
            sent: None,
        };
        let id = self.tables.add_call(dialog, credentials.map(Box::new));
        if focus {
            self.set_focus(id, true);
        }
        let terms = SessionTimer::default().ask(&self.wishes);
        let what = Inside {
            max_forwards,
            headers: &headers,
            body: body.as_ref(),
            rel100,
            terms,
            ..Inside::new(Method::Invite, 1)
        };
        let slot = self.send_inside(now, id, Owner::Invite(id), &what);
        if let Some(call) = self.tables.call_mut(id) {
            call.ours = slot;
            call.offered = body.is_some();
        }
        Ok(id)
    }

    /// Takes a call back that has no final answer yet, or a re-INVITE; `reason` is the value of a Reason header.
    ///
    /// The CANCEL is held back until a provisional response has come (RFC 3261 9.1). The end of a call is told by
    /// [`Event::Failed`](crate::Event::Failed), even when a 2xx crosses the CANCEL; a re-INVITE ends as any other,
    /// with [`Event::Reanswered`](crate::Event::Reanswered) when the 2xx was faster.
    pub fn cancel(&mut self, now: Time, dialog: DialogId, reason: Option<&str>) {
        let Some(call) = self.tables.calls.get_mut(dialog.0 as u32 as usize).filter(|call| call.id == dialog) else {
            return;
        };
        // A refresh is none of our user's business, but what waits for its end is.
        let ours = call.ours.filter(|_| !call.refreshing);
        let (Some(slot), DialogState::Early | DialogState::Confirmed, None) = (ours, call.dialog.state, &call.cancel)
        else {
            self.forget_waiting_change(dialog);
            return;
        };
        let txn = &self.tables.clients[slot as usize];
        let early = matches!(&txn.machine, ClientMachine::Invite(machine) if machine.is_calling());
        call.cancel = Some(if early { Cancel::Wanted(reason.map(Box::from)) } else { Cancel::Sent });
        if !early {
            self.cancel_now(now, TxnRef { slot, nonce: txn.nonce }, reason);
        }
    }

    /// Sends the CANCEL, and gives the INVITE 64·T1 to end.
    pub(super) fn cancel_now(&mut self, now: Time, invite: TxnRef, reason: Option<&str>) {
        self.send_cancel(now, invite, reason);
        let until = now + self.config.timers.b();
        if let Some(txn) = self.tables.client_mut(invite)
            && let ClientMachine::Invite(machine) = &mut txn.machine
        {
            machine.limit(until);
            self.arm_client(invite.slot);
        }
    }

    /// Acknowledges [`Event::Answered`](crate::Event::Answered) or [`Event::Reanswered`](crate::Event::Reanswered);
    /// `body` is the answer when the 2xx carried the offer. Repeats of the 2xx are acknowledged without asking.
    pub fn ack(&mut self, now: Time, dialog: DialogId, body: Option<Body>) {
        let Some(call) = self.tables.call_mut(dialog) else {
            return;
        };
        let Some(due) = call.ack_due.take() else {
            return;
        };
        let bye = call.bye_due.take();
        let branch = self.lone_branch();
        let Some(call) = self.tables.call(dialog) else {
            return;
        };
        let flow = self.flow_of(&call.dialog);
        let txn = self.tables.client(due.txn);
        let what = Inside {
            body: body.as_ref(),
            authorization: txn.map_or(&[], |txn| &txn.authorization),
            ..Inside::new(Method::Ack, due.cseq)
        };
        let ack = self.desk.inside(&call.dialog, &flow, branch, &what);
        let tag = call.dialog.remote_tag.clone();
        if body.is_some() {
            self.remember_sent(dialog, body.as_ref());
        }
        if let Some(txn) = self.tables.client_mut(due.txn) {
            txn.acks.reserve_exact(1);
            txn.acks.push((tag, flow, keep(&ack)));
        }
        self.send(flow, ack);
        if let Some(headers) = bye {
            self.bye(now, dialog, headers);
        }
    }
}

/// A From or To value with our tag.
pub(super) fn with_tag(address: &[u8], tag: &str) -> Bytes {
    let mut value = Vec::with_capacity(address.len() + tag.len() + 5);
    value.extend_from_slice(address);
    value.extend_from_slice(b";tag=");
    value.extend_from_slice(tag.as_bytes());
    value.into()
}
