//! What the user of the endpoint asks to send inside a dialog or outside of any: all but what has a function of its
//! own.

use compact_str::CompactString;
use hookswitch_sip_msg::Method;

use super::Endpoint;
use super::request::{Inside, check_order, check_size, is_sips, user_part};
use super::tables::Owner;
use super::uac::with_tag;
use crate::Time;
use crate::dialog::peer::Peer;
use crate::dialog::session_timer::SessionTimer;
use crate::dialog::{Dialog, DialogState, Role};
use crate::error::SipError;
use crate::event::{DialogId, RequestId};
use crate::outgoing::RequestOut;

impl Endpoint {
    /// Sends any request but INVITE, ACK, CANCEL, BYE, PRACK and UPDATE. Its outcome is told by
    /// [`Event::Response`](crate::Event::Response), provisional responses are not.
    ///
    /// # Errors
    ///
    /// The method has a function of its own, the dialog does not stand, a limit is reached, or the order cannot be put
    /// on the wire; nothing is sent then.
    pub fn request(&mut self, now: Time, request: RequestOut) -> Result<RequestId, SipError> {
        if matches!(
            request.method,
            Method::Invite | Method::Ack | Method::Cancel | Method::Bye | Method::Prack | Method::Update
        ) {
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
        let contact = self.contact(&flow, &user, is_sips(&uri));
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
            contact,
            flow,
            pinned: false,
            peer: Peer::default(),
            session: SessionTimer::default(),
            may_connect: false,
            sent: None,
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
