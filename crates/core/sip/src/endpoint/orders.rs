//! What the user of the endpoint asks to send inside a dialog or outside of any: re-INVITE and all other requests.

use compact_str::CompactString;
use hookswitch_sip_msg::Method;

use super::Endpoint;
use super::request::{Inside, check_order, check_size, user_part};
use super::tables::{Due, Owner, Reinvite};
use super::uac::with_tag;
use crate::Time;
use crate::dialog::peer::Peer;
use crate::dialog::{Dialog, DialogState, Role};
use crate::error::SipError;
use crate::event::{DialogId, Event, FailCause, RequestId};
use crate::outgoing::{Body, Header, RequestOut};

/// How many times a re-INVITE that meets another one is sent again.
const MOST_COLLISIONS: u8 = 3;

impl Endpoint {
    /// Sends an INVITE inside the dialog, with a new offer or (without a body) to get one. What comes of it is told by
    /// [`Event::Reanswered`](crate::Event::Reanswered) or [`Event::ReinviteFailed`](crate::Event::ReinviteFailed).
    /// When it meets one from the other side (491), it is sent again after a while (RFC 3261 14.1).
    ///
    /// # Errors
    ///
    /// There is no such dialog or it is not established, or another INVITE is under way in it; nothing is sent then.
    pub fn reinvite(
        &mut self,
        now: Time,
        dialog: DialogId,
        body: Option<Body>,
        headers: Vec<Header>,
    ) -> Result<(), SipError> {
        check_size(&headers, body.as_ref())?;
        let full = self.full();
        let call = self.tables.call_mut(dialog).ok_or(SipError::UnknownDialog)?;
        if call.dialog.state != DialogState::Confirmed || call.bye_due.is_some() {
            return Err(SipError::NotEstablished);
        }
        if call.is_busy() || call.reinvite.is_some() {
            return Err(SipError::Pending);
        }
        if full {
            return Err(SipError::TransactionLimit);
        }
        call.reinvite = Some(Box::new(Reinvite { body, headers, collisions: 0 }));
        self.send_reinvite(now, dialog);
        Ok(())
    }

    fn send_reinvite(&mut self, now: Time, id: DialogId) {
        let Some(call) = self.tables.call_mut(id) else {
            return;
        };
        let cseq = call.dialog.next_seq();
        let Some(reinvite) = call.reinvite.take() else {
            return;
        };
        let what =
            Inside { headers: &reinvite.headers, body: reinvite.body.as_ref(), ..Inside::new(Method::Invite, cseq) };
        let slot = self.send_inside(now, id, Owner::Reinvite(id), &what);
        if let Some(call) = self.tables.call_mut(id) {
            call.ours = slot;
            call.reinvite = Some(reinvite);
        }
    }

    /// Our re-INVITE met theirs: who made the Call-ID waits longer, so that they do not meet again (RFC 3261 14.1).
    pub(super) fn retry_later(&mut self, now: Time, id: DialogId) -> bool {
        let step = |ids: &mut crate::ids::Ids, least: u64, most: u64| {
            core::time::Duration::from_millis(least + 10 * ids.below((most - least) / 10 + 1))
        };
        let Some(call) = self.tables.call_mut(id) else {
            return false;
        };
        let Some(reinvite) = call.reinvite.as_deref_mut().filter(|reinvite| reinvite.collisions < MOST_COLLISIONS)
        else {
            return false;
        };
        reinvite.collisions += 1;
        let wait = match call.dialog.role {
            Role::Caller => step(&mut self.ids, 2_100, 4_000),
            Role::Callee => step(&mut self.ids, 0, 2_000),
        };
        call.retry = Some(self.wheel.insert(now + wait, Due::Retry(id)));
        true
    }

    pub(super) fn on_retry_time(&mut self, now: Time, id: DialogId) {
        let Some(call) = self.tables.call_mut(id) else {
            return;
        };
        call.retry = None;
        if call.dialog.state != DialogState::Confirmed {
            call.reinvite = None;
        } else if call.is_busy() {
            // Theirs is still under way; ours would only meet it again.
            if !self.retry_later(now, id) {
                self.fail_reinvite(id);
            }
        } else {
            self.send_reinvite(now, id);
        }
    }

    fn fail_reinvite(&mut self, id: DialogId) {
        if let Some(call) = self.tables.call_mut(id) {
            call.reinvite = None;
        }
        let cause = FailCause::Response;
        self.emit(Event::ReinviteFailed { dialog: id, status: 491, response: None, cause });
    }

    /// Sends any request but INVITE, ACK, CANCEL and BYE. Its outcome is told by
    /// [`Event::Response`](crate::Event::Response), provisional responses are not.
    ///
    /// # Errors
    ///
    /// The method has a function of its own, the dialog does not stand, a limit is reached, or the order cannot be put
    /// on the wire; nothing is sent then.
    pub fn request(&mut self, now: Time, request: RequestOut) -> Result<RequestId, SipError> {
        if matches!(request.method, Method::Invite | Method::Ack | Method::Cancel | Method::Bye) {
            return Err(SipError::Unsendable);
        }
        check_size(&request.headers, request.body.as_ref())?;
        if self.full() {
            return Err(SipError::TransactionLimit);
        }
        let id = RequestId(self.last_request + 1);
        match request.dialog {
            Some(dialog) => self.request_inside(now, id, dialog, request)?,
            None => self.request_outside(now, id, request)?,
        }
        self.last_request = id.0;
        Ok(id)
    }

    fn request_inside(
        &mut self,
        now: Time,
        id: RequestId,
        dialog: DialogId,
        request: RequestOut,
    ) -> Result<(), SipError> {
        let RequestOut { method, max_forwards, headers, body, credentials, fork, .. } = request;
        let call = self.tables.call_mut(dialog).ok_or(SipError::UnknownDialog)?;
        let inside = call.dialog_at_mut(fork).ok_or(SipError::NotEstablished)?;
        if inside.remote_tag.is_empty() || inside.state == DialogState::Ending {
            return Err(SipError::NotEstablished);
        }
        let cseq = inside.next_seq();
        let owner = Owner::Request { id, dialog: Some(dialog), credentials: credentials.map(Box::new) };
        let what = Inside { max_forwards, headers: &headers, body: body.as_ref(), fork, ..Inside::new(method, cseq) };
        self.send_inside(now, dialog, owner, &what);
        Ok(())
    }

    fn request_outside(&mut self, now: Time, id: RequestId, request: RequestOut) -> Result<(), SipError> {
        let RequestOut { method, uri, from, to, call_id, cseq, flow, routes, max_forwards, .. } = request;
        let flow = self.live(flow.ok_or(SipError::Unsendable)?);
        let sender = check_order(&uri, &from, &to, &routes, call_id.as_deref())?;
        if method.as_str().bytes().any(|byte| !byte.is_ascii_graphic()) {
            return Err(SipError::Malformed);
        }
        let local_tag = self.ids.tag();
        let user = user_part(request.contact_user.as_deref().or(sender).unwrap_or_default());
        let cseq = cseq.unwrap_or(1);
        // Written like a request inside a dialog that has only one side.
        let frame = Dialog {
            role: Role::Caller,
            state: DialogState::Early,
            call_id: call_id.unwrap_or_else(|| self.ids.call_id()),
            local: with_tag(&from, &local_tag),
            local_tag,
            remote_tag: CompactString::default(),
            remote: to,
            local_seq: cseq,
            remote_seq: None,
            remote_target: uri,
            routes,
            contact: self.contact(&flow, &user),
            flow,
            pinned: false,
            peer: Peer::default(),
        };
        let owner = Owner::Request { id, dialog: None, credentials: request.credentials.map(Box::new) };
        let branch = self.next_branch();
        let what = Inside {
            max_forwards,
            headers: &request.headers,
            body: request.body.as_ref(),
            contact: request.contact_user.is_some(),
            ..Inside::new(method.clone(), cseq)
        };
        let bytes = self.desk.inside(&frame, &flow, branch, &what);
        self.start_client(now, super::NewClient::new(branch, method, cseq, owner, flow, bytes));
        Ok(())
    }
}
