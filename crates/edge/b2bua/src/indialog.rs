//! Requests of a party inside its call, other than those that change or end it.

use hookswitch_call::{ParcelKind, Time};
use hookswitch_sip::{DialogId, Response, TxnId};
use hookswitch_sip_msg::{Message, Method};

use crate::B2bua;

impl B2bua {
    pub(crate) fn requested_inside(&mut self, now: Time, txn: TxnId, dialog: DialogId, request: &Message) {
        if !self.legs.contains_key(&dialog) {
            self.endpoint.reply(now, txn, Response::new(481));
            return;
        }
        match request.method() {
            Some(Method::Info) => self.brought(now, txn, dialog, ParcelKind::Info, request),
            Some(Method::Message) => self.brought(now, txn, dialog, ParcelKind::Message, request),
            Some(Method::Refer) => self.refer_asked(now, txn, dialog, request),
            Some(Method::Notify) => self.notified(now, txn, dialog, request),
            Some(Method::Subscribe) => self.subscribed(now, txn, dialog, request),
            Some(Method::Options) => {
                let response = self.abilities();
                self.endpoint.reply(now, txn, response);
            }
            // The endpoint lets through only what is in Allow; a REGISTER inside a dialog is none.
            _ => {
                let response = Response::new(405).with_header(self.allow());
                self.endpoint.reply(now, txn, response);
            }
        }
    }
}
