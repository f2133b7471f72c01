//! What the endpoint tells its user, and the names of the things it tells about.

use compact_str::CompactString;
use hookswitch_sip_msg::Message;
use serde::{Deserialize, Serialize};

use crate::transport::Flow;

/// An INVITE and the dialog it makes, from [`Endpoint::invite`](crate::Endpoint::invite) or [`Event::Invite`] until
/// [`Event::Failed`], [`Event::Cancelled`], [`Event::Ended`] or a final refusal. Never used twice by one endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DialogId(pub(crate) u64);

impl DialogId {
    /// The least of all, for the beginning of a range.
    pub const FIRST: DialogId = DialogId(0);
}

/// A request sent with [`Endpoint::request`](crate::Endpoint::request).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RequestId(pub(crate) u64);

/// A received request that awaits [`Endpoint::reply`](crate::Endpoint::reply).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TxnId(pub(crate) u64);

/// Why a request of ours failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FailCause {
    /// The other side answered so.
    Response,
    /// Nobody answered in time; the status is 408.
    Timeout,
    /// The network refused; the status is 503.
    Unreachable,
    /// We cancelled it, or what it belongs to is over; the status is 487.
    Cancelled,
}

/// Who ended an established dialog.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Ender {
    /// The other side sent BYE.
    Peer,
    /// We did, by [`Endpoint::bye`](crate::Endpoint::bye).
    Local,
    /// The ACK to our 2xx never came; a BYE was sent.
    AckTimeout,
    /// A request inside the dialog got no answer in time, or could not be sent; a BYE was tried.
    Unreachable,
    /// The other side answered 481: it knows of no such dialog any more.
    Gone,
    /// Nobody has refreshed the session in time (RFC 4028 10); a BYE was sent.
    Expired,
}

/// What happened. Matched exhaustively everywhere, so that a new event asks everyone what it means to them.
#[derive(Debug, Clone)]
pub enum Event {
    /// A new call. Its syntax is checked and a 100 goes out unless an answer is quick; nothing is authenticated.
    /// To be answered by [`Endpoint::respond`](crate::Endpoint::respond).
    Invite {
        /// The dialog this will make.
        dialog: DialogId,
        /// The INVITE.
        request: Message,
        /// Where it came from.
        flow: Flow,
    },
    /// The caller gave up before our final answer; the 487 is sent. The dialog is gone.
    Cancelled {
        /// The call.
        dialog: DialogId,
        /// The CANCEL, or a BYE inside the early dialog; may carry a Reason.
        request: Message,
    },
    /// A provisional response, 101 to 199, to our INVITE. One that must be acknowledged (RFC 3262) is, unless
    /// `prack_due`.
    Progress {
        /// The call.
        dialog: DialogId,
        /// Which early dialog of the INVITE it belongs to: numbered from 0 as they appear, see
        /// [`Endpoint::early`](crate::Endpoint::early).
        fork: u8,
        /// It carries the offer, because our INVITE had none. To be acknowledged by
        /// [`Endpoint::prack`](crate::Endpoint::prack) with the answer.
        prack_due: bool,
        /// The response.
        response: Message,
    },
    /// The first 2xx to our INVITE. To be acknowledged by [`Endpoint::ack`](crate::Endpoint::ack). Other 2xx of a
    /// fork are acknowledged and ended without a word.
    Answered {
        /// The call.
        dialog: DialogId,
        /// Which early dialog has become the call; a number that no provisional response had is one without any.
        fork: u8,
        /// The response.
        response: Message,
    },
    /// The other side acknowledges a reliable provisional response of ours with a body: the answer to the offer in
    /// that response, or else a new offer (RFC 3262 5). To be answered by [`Endpoint::reply`](crate::Endpoint::reply);
    /// a 2xx we have for the INVITE waits for that. A PRACK without body is answered by the endpoint.
    Prack {
        /// The call.
        dialog: DialogId,
        /// What to answer.
        txn: TxnId,
        /// The PRACK.
        request: Message,
    },
    /// Our INVITE failed, or nobody answered one that we received within
    /// [`EndpointConfig::max_ringing`](crate::EndpointConfig::max_ringing), or a reliable provisional response of ours
    /// got no PRACK (504). The dialog is gone.
    Failed {
        /// The call.
        dialog: DialogId,
        /// 300 to 699; 408, 487 and 503 may be our own conclusion, see `cause`.
        status: u16,
        /// The reason phrase.
        reason: CompactString,
        /// The response, if there was one: a 3xx carries contacts.
        response: Option<Message>,
        /// How it failed.
        cause: FailCause,
    },
    /// The ACK to our 2xx.
    Acked {
        /// The call.
        dialog: DialogId,
        /// The ACK; carries the SDP answer when our 2xx carried the offer.
        request: Message,
    },
    /// An INVITE inside the dialog, to be answered by [`Endpoint::respond`](crate::Endpoint::respond).
    Reinvite {
        /// The call.
        dialog: DialogId,
        /// The INVITE.
        request: Message,
    },
    /// The other side took back its re-INVITE, or it has been refused for want of an answer or of a PRACK in time: the
    /// dialog stands as before, and an answer finds nobody any more.
    ReinviteCancelled {
        /// The call.
        dialog: DialogId,
        /// The CANCEL, when there is one.
        request: Option<Message>,
    },
    /// Our re-INVITE was accepted. To be acknowledged by [`Endpoint::ack`](crate::Endpoint::ack).
    Reanswered {
        /// The call.
        dialog: DialogId,
        /// The 2xx.
        response: Message,
    },
    /// Our re-INVITE was refused and the dialog stands as before. After 481 and 408 it does not: [`Event::Ended`]
    /// follows.
    ReinviteFailed {
        /// The call.
        dialog: DialogId,
        /// 300 to 699. 491 only after repeated attempts (RFC 3261 14.1); 487 when it was taken back, or the dialog
        /// ended first.
        status: u16,
        /// The response, if there was one.
        response: Option<Message>,
        /// How it failed.
        cause: FailCause,
    },
    /// An UPDATE with an offer, to be answered by [`Endpoint::reply`](crate::Endpoint::reply): a 2xx carries the
    /// answer. One without body is answered by the endpoint, and so is one that meets another offer (RFC 3311 5.2).
    Update {
        /// The call.
        dialog: DialogId,
        /// Which early dialog of an INVITE of ours; 0 otherwise.
        fork: u8,
        /// What to answer.
        txn: TxnId,
        /// The UPDATE.
        request: Message,
    },
    /// Our UPDATE was accepted.
    Updated {
        /// The call.
        dialog: DialogId,
        /// Which early dialog of an INVITE of ours; 0 otherwise.
        fork: u8,
        /// The 2xx, with the answer when there was an offer.
        response: Message,
    },
    /// Our UPDATE was refused and the session stands as before. After 481 and 408 an established dialog does not:
    /// [`Event::Ended`] follows.
    UpdateFailed {
        /// The call.
        dialog: DialogId,
        /// Which early dialog of an INVITE of ours; 0 otherwise.
        fork: u8,
        /// 300 to 699. 491 only after repeated attempts; 487 when the dialog ended first, or another early dialog won.
        status: u16,
        /// The response, if there was one.
        response: Option<Message>,
        /// How it failed.
        cause: FailCause,
    },
    /// A refresh of the session of our own by INVITE (RFC 4028) was accepted, and is acknowledged. It has repeated what
    /// we said last about media; only an answer that differs from the last one is news. A refresh by UPDATE says
    /// nothing about media and is not told.
    Refreshed {
        /// The call.
        dialog: DialogId,
        /// The 2xx.
        response: Message,
    },
    /// Any other request whose method is allowed, to be answered by [`Endpoint::reply`](crate::Endpoint::reply).
    Request {
        /// What to answer.
        txn: TxnId,
        /// The dialog it belongs to.
        dialog: Option<DialogId>,
        /// The request.
        request: Message,
        /// Where it came from.
        flow: Flow,
    },
    /// How a request of ours ended.
    Response {
        /// Which one.
        id: RequestId,
        /// 200 to 699; 408 and 503 may be our own conclusion, see `cause`.
        status: u16,
        /// The final response, if there was one.
        response: Option<Message>,
        /// For 2xx always [`FailCause::Response`].
        cause: FailCause,
    },
    /// An established dialog ended: told exactly once.
    Ended {
        /// The call.
        dialog: DialogId,
        /// Who ended it.
        by: Ender,
        /// The BYE, if one was received; may carry a Reason.
        request: Option<Message>,
    },
    /// A connection is gone.
    FlowClosed {
        /// Which one.
        flow: Flow,
    },
}
