//! Dialogs that are not calls, and that whoever asked for them keeps: those of subscriptions (RFC 6665 section 4.4.1).

use hookswitch_sip_msg::{HeaderName, Message, Method};

use super::Endpoint;
use super::facts::Facts;
use super::request::{Inside, check_size};
use super::tables::Owner;
use super::uas::Fresh;
use crate::Time;
use crate::dialog::{Dialog, DialogState};
use crate::error::SipError;
use crate::event::{RequestId, TxnId};
use crate::outgoing::{Body, Header, Response};
use crate::transport::{Flow, Transport};

impl Endpoint {
    /// The dialog that a SUBSCRIBE makes, which [`Event::Request`](crate::Event::Request) has brought together with its
    /// flow: established, under a tag of its own. `None` when there is no Contact, or a Record-Route cannot be used.
    ///
    /// Requests inside it come without a dialog's name; [`Dialog::accept`] says whether they are in order.
    pub fn dialog_of(&mut self, request: &Message, flow: Flow) -> Option<Dialog> {
        let facts = Facts::read(request, request.via().ok()?)?;
        let tag = self.ids.tag();
        let mut dialog = self.callee(&Fresh { flow, request, facts, key: 0 }, tag)?;
        dialog.state = DialogState::Confirmed;
        Some(dialog)
    }

    /// Answers a request with the tag and the Contact of such a dialog.
    pub fn reply_in(&mut self, now: Time, txn: TxnId, dialog: &Dialog, mut response: Response) {
        let Some(slot) = self.tables.server_slot(txn) else {
            return;
        };
        if let Some(head) = &mut self.tables.servers[slot as usize].head {
            head.set_tag(&dialog.local_tag);
        }
        response.headers.push(Header::new(HeaderName::Contact, dialog.contact.as_bytes().to_vec()));
        self.reply(now, txn, response);
    }

    /// Sends a request inside such a dialog, which counts it. Its outcome is told by
    /// [`Event::Response`](crate::Event::Response).
    ///
    /// # Errors
    ///
    /// A limit is reached, or the order cannot be put on the wire; nothing is sent or counted then.
    pub fn request_in(
        &mut self,
        now: Time,
        dialog: &mut Dialog,
        method: Method,
        headers: &[Header],
        body: Option<&Body>,
    ) -> Result<RequestId, SipError> {
        check_size(headers, body)?;
        if self.full() {
            return Err(SipError::TransactionLimit);
        }
        let id = RequestId(self.last_request + 1);
        let (flow, branch, cseq) = (self.flow_of(dialog), self.next_branch(), dialog.next_seq());
        let what = Inside { headers, body, ..Inside::new(method.clone(), cseq) };
        let bytes = self.desk.inside(dialog, &flow, branch, &what);
        let owner = Owner::Request { id, dialog: None, credentials: None };
        self.start_client(now, super::NewClient::new(branch, method, cseq, owner, flow, bytes));
        self.last_request = id.0;
        Ok(id)
    }
}

impl Dialog {
    /// Takes a request of the other side inside a dialog that [`Endpoint::dialog_of`] has made: its number, and where
    /// the other side is now. False when it is out of order, to be answered 500 (RFC 3261 section 12.2.2).
    #[must_use]
    pub fn accept(&mut self, request: &Message, flow: Flow) -> bool {
        let Ok(cseq) = request.cseq() else { return false };
        if self.remote_seq.is_some_and(|last| cseq.number <= last) {
            return false;
        }
        self.remote_seq = Some(cseq.number);
        self.refresh(request, flow);
        true
    }

    /// Numbers our next request behind this one, if it is not already: after a restart nobody knows how many there were.
    pub(crate) fn skip_to(&mut self, seq: u32) {
        self.local_seq = self.local_seq.max(seq);
    }

    /// Forgets the connection, which a restart has closed.
    pub(crate) fn disconnect(&mut self) {
        if self.flow.transport != Transport::Udp {
            self.flow.conn = None;
        }
        self.flow.peer = None;
    }
}
