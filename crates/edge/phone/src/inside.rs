//! What the sides of a call say to each other beside the session: keys, texts, and requests of all kinds.

use core::time::Duration;

use compact_str::CompactString;
use hookswitch_rtp::TelephoneEvent;
use hookswitch_sip::{Body, DialogId, RequestId, RequestOut, Response, Time, TxnId};
use hookswitch_sip_msg::{HeaderName, Message, Method};

use crate::call::Stage;
use crate::event::{EndCause, Event, Keys, PhoneError};
use crate::phone::{Asking, Phone};

/// How long a key is pressed.
pub const KEY_TIME: Duration = Duration::from_millis(120);

const DTMF_RELAY: &str = "application/dtmf-relay";
const TEXT: &str = "text/plain";

impl Phone {
    /// Presses a key.
    ///
    /// # Errors
    /// No call stands, the other side takes no telephone events, or this is no key.
    pub fn press(&mut self, now: Time, digit: char, by: Keys) -> Result<(), PhoneError> {
        let event = TelephoneEvent::event_of(digit).ok_or(PhoneError::Unsendable)?;
        let call = self.current_mut().filter(|call| call.stage == Stage::Talking).ok_or(PhoneError::NoCall)?;
        match by {
            Keys::Rtp => {
                let numbers = call.session.agreed().map(|agreed| agreed.send);
                numbers.and_then(|numbers| numbers.event).ok_or(PhoneError::Unsendable)?;
                call.talker.press(now, event, KEY_TIME);
            }
            Keys::Info => {
                let body = format!("Signal={digit}\r\nDuration={}\r\n", KEY_TIME.as_millis());
                self.bring(now, Method::Info, DTMF_RELAY, body)?;
            }
        }
        self.drain(now);
        Ok(())
    }

    /// Sends a text within the call (MESSAGE).
    ///
    /// # Errors
    /// No call stands, or the endpoint refuses.
    pub fn text(&mut self, now: Time, text: &str) -> Result<(), PhoneError> {
        self.bring(now, Method::Message, TEXT, text.to_owned())?;
        self.drain(now);
        Ok(())
    }

    fn bring(&mut self, now: Time, method: Method, content_type: &str, body: String) -> Result<(), PhoneError> {
        let call = self.current().filter(|call| call.stage == Stage::Talking).ok_or(PhoneError::NoCall)?;
        let mut request = RequestOut::inside(call.dialog, method);
        request.body = Some(Body { content_type: content_type.into(), bytes: body.into() });
        let id = self.endpoint.request(now, request)?;
        self.asked.push((id, Asking::Parcel));
        Ok(())
    }

    /// Any request that is no INVITE.
    pub(crate) fn requested(&mut self, now: Time, txn: TxnId, dialog: Option<DialogId>, request: &Message) {
        match request.method() {
            Some(Method::Refer) => return self.refer_asked(now, txn, dialog, request),
            Some(Method::Notify) => return self.notified(now, txn, dialog, request),
            Some(Method::Info) => {
                if let Some(digit) = relayed_digit(request) {
                    self.tell(Event::Digit { digit, by: Keys::Info });
                }
            }
            Some(Method::Message) => {
                let text = CompactString::from_utf8_lossy(request.body_bytes());
                self.tell(Event::Text { text });
            }
            // An OPTIONS: there is nothing to do about it, and nothing wrong with it.
            _ => {}
        }
        self.endpoint.reply(now, txn, Response::new(200));
    }

    /// Whether the answer belonged to a request inside a call.
    pub(crate) fn asked_answered(&mut self, now: Time, id: RequestId, status: u16, response: Option<&Message>) -> bool {
        let Some(index) = self.asked.iter().position(|(asked, _)| *asked == id) else {
            return false;
        };
        match self.asked.swap_remove(index) {
            (_, Asking::Refer(dialog)) => {
                self.tell(Event::ReferAnswered { status });
                // Nothing more is told of it, and the other side has no use for us.
                if status < 300 && response.is_some_and(|response| !response.refer_sub()) {
                    self.leave(now, dialog, EndCause::HungUp);
                }
            }
            (_, Asking::Parcel) => self.tell(Event::Delivered { status }),
            (_, Asking::Notice) => {}
        }
        true
    }
}

/// The key in an INFO.
fn relayed_digit(request: &Message) -> Option<char> {
    let content_type = request.header_str(HeaderName::ContentType)?;
    let body = core::str::from_utf8(request.body_bytes()).ok()?;
    if content_type.eq_ignore_ascii_case("application/dtmf") {
        return body.trim().chars().next();
    }
    if !content_type.eq_ignore_ascii_case(DTMF_RELAY) {
        return None;
    }
    let signal = body.lines().filter_map(|line| line.split_once('=')).find(|(name, _)| name.trim() == "Signal");
    signal.and_then(|(_, value)| value.trim().chars().next())
}
