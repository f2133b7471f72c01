//! What the user of the endpoint asks it to send.

use bytes::Bytes;
use compact_str::CompactString;
use hookswitch_sip_msg::{HeaderName, Method};
use serde::{Deserialize, Serialize};

use crate::auth::Credentials;
use crate::event::DialogId;
use crate::transport::Flow;

/// Max-Forwards of a request that starts here (RFC 3261 8.1.1.6).
pub const MAX_FORWARDS: u8 = 70;

/// One header line to add.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    name: FieldName,
    value: Bytes,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum FieldName {
    Known(HeaderName),
    Other(CompactString),
}

impl Header {
    /// A header that is known by name. Line ends inside the value become spaces, so a value cannot smuggle in a line.
    pub fn new(name: HeaderName, value: impl Into<Bytes>) -> Header {
        Header { name: FieldName::Known(name), value: one_line(value.into()) }
    }

    /// A header of any name; characters that cannot stand in a name are left out.
    pub fn raw(name: &str, value: impl Into<Bytes>) -> Header {
        let known = HeaderName::from_bytes(name.as_bytes());
        if known != HeaderName::Other {
            return Header::new(known, value);
        }
        let name = name.chars().filter(|c| c.is_ascii_alphanumeric() || "-.!%*_+`'~".contains(*c)).collect();
        Header { name: FieldName::Other(name), value: one_line(value.into()) }
    }

    /// The name as it goes on the wire.
    pub fn name(&self) -> &str {
        match &self.name {
            FieldName::Known(name) => name.as_str(),
            FieldName::Other(name) => name,
        }
    }

    /// Which known header it is; [`HeaderName::Other`] for the rest.
    pub fn known(&self) -> HeaderName {
        match &self.name {
            FieldName::Known(name) => *name,
            FieldName::Other(_) => HeaderName::Other,
        }
    }

    /// The value as it goes on the wire.
    pub fn value(&self) -> &Bytes {
        &self.value
    }
}

/// A line end inside a value would start a line of its own.
pub(crate) fn one_line(value: Bytes) -> Bytes {
    if !value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
        return value;
    }
    value.iter().map(|byte| if matches!(byte, b'\r' | b'\n' | 0) { b' ' } else { *byte }).collect::<Vec<u8>>().into()
}

/// A message body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Body {
    /// Value of Content-Type.
    pub content_type: CompactString,
    /// The body itself.
    pub bytes: Bytes,
}

impl Body {
    /// A session description.
    pub fn sdp(bytes: impl Into<Bytes>) -> Body {
        Body { content_type: CompactString::const_new("application/sdp"), bytes: bytes.into() }
    }
}

/// A new call.
#[derive(Debug, Clone)]
pub struct Invite {
    /// Request-URI.
    pub uri: CompactString,
    /// Value of From without tag: a name-addr.
    pub from: Bytes,
    /// Value of To: a name-addr.
    pub to: Bytes,
    /// Call-ID; the endpoint makes one when it is `None`.
    pub call_id: Option<CompactString>,
    /// Where to send: who calls this has resolved the next hop.
    pub flow: Flow,
    /// Route values (name-addrs), first hop first: an outbound proxy, or the Path of a binding.
    pub routes: Vec<CompactString>,
    /// Max-Forwards; default 70.
    pub max_forwards: u8,
    /// User part of our Contact; taken from `from` when it is `None`.
    pub contact_user: Option<CompactString>,
    /// More headers.
    pub headers: Vec<Header>,
    /// The offer, if there is one.
    pub body: Option<Body>,
    /// Answers a 401 or 407.
    pub credentials: Option<Credentials>,
    /// Reliable provisional responses; offered by default.
    pub rel100: Rel100,
    /// The other side may be connected to where a request of this dialog is too large for UDP
    /// ([`EndpointConfig::stream_above`](crate::EndpointConfig::stream_above)). Default false: a phone that is reached
    /// by the flow it has registered on cannot be.
    pub may_connect: bool,
    /// Our Contact says that we are the focus of a conference (RFC 4579 section 5.1). Default false.
    pub focus: bool,
}

/// Whether the provisional responses to an INVITE shall be acknowledged (RFC 3262).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Rel100 {
    /// They shall not.
    Off,
    /// They may, when [`EndpointConfig::supported`](crate::EndpointConfig::supported) lists `100rel`.
    #[default]
    Offered,
    /// They must; who cannot do that refuses the call with 420.
    Required,
}

impl Invite {
    /// A call with nothing special.
    pub fn new(uri: &str, from: impl Into<Bytes>, to: impl Into<Bytes>, flow: Flow) -> Invite {
        Invite {
            uri: uri.into(),
            from: from.into(),
            to: to.into(),
            call_id: None,
            flow,
            routes: Vec::new(),
            max_forwards: MAX_FORWARDS,
            contact_user: None,
            headers: Vec::new(),
            body: None,
            credentials: None,
            rel100: Rel100::default(),
            may_connect: false,
            focus: false,
        }
    }
}

/// A request that is no INVITE, inside or outside of a dialog.
#[derive(Debug, Clone)]
pub struct RequestOut {
    /// The dialog it belongs to. `uri`, `from`, `to`, `call_id`, `cseq`, `routes` and `flow` are then the dialog's.
    pub dialog: Option<DialogId>,
    /// The method: anything but INVITE, ACK, CANCEL, BYE, PRACK and UPDATE, which have functions of their own.
    pub method: Method,
    /// Request-URI.
    pub uri: CompactString,
    /// Value of From without tag.
    pub from: Bytes,
    /// Value of To.
    pub to: Bytes,
    /// Call-ID; made when it is `None`. Refreshes of one registration share one (RFC 3261 10.2).
    pub call_id: Option<CompactString>,
    /// Sequence number; 1 when it is `None`.
    pub cseq: Option<u32>,
    /// Where to send; needed outside of a dialog.
    pub flow: Option<Flow>,
    /// Route values, first hop first.
    pub routes: Vec<CompactString>,
    /// Max-Forwards; default 70.
    pub max_forwards: u8,
    /// User part of a Contact to add; none is added when it is `None`.
    pub contact_user: Option<CompactString>,
    /// More headers.
    pub headers: Vec<Header>,
    /// Body.
    pub body: Option<Body>,
    /// Answers a 401 or 407; inside a dialog those of the dialog serve when it is `None`.
    pub credentials: Option<Credentials>,
    /// Which early dialog of an INVITE of ours, see [`Event::Progress`](crate::Event::Progress); of no meaning once the
    /// call is answered.
    pub fork: u8,
}

impl RequestOut {
    /// A request outside of any dialog.
    pub fn new(method: Method, uri: &str, from: impl Into<Bytes>, to: impl Into<Bytes>, flow: Flow) -> RequestOut {
        RequestOut {
            dialog: None,
            method,
            uri: uri.into(),
            from: from.into(),
            to: to.into(),
            call_id: None,
            cseq: None,
            flow: Some(flow),
            routes: Vec::new(),
            max_forwards: MAX_FORWARDS,
            contact_user: None,
            headers: Vec::new(),
            body: None,
            credentials: None,
            fork: 0,
        }
    }

    /// A request inside a dialog.
    pub fn inside(dialog: DialogId, method: Method) -> RequestOut {
        RequestOut {
            dialog: Some(dialog),
            method,
            uri: CompactString::default(),
            from: Bytes::new(),
            to: Bytes::new(),
            call_id: None,
            cseq: None,
            flow: None,
            routes: Vec::new(),
            max_forwards: MAX_FORWARDS,
            contact_user: None,
            headers: Vec::new(),
            body: None,
            credentials: None,
            fork: 0,
        }
    }
}

/// An answer to a received request.
#[derive(Debug, Clone, Default)]
pub struct Response {
    /// 101 to 699 for an INVITE, 100 to 699 for others.
    pub status: u16,
    /// Reason phrase; the usual one when it is `None`.
    pub reason: Option<CompactString>,
    /// More headers.
    pub headers: Vec<Header>,
    /// Body.
    pub body: Option<Body>,
    /// User part of our Contact; that of the Request-URI when it is `None`.
    pub contact_user: Option<CompactString>,
    /// A provisional response to an INVITE shall be acknowledged (RFC 3262). It is sent plainly to a caller who cannot
    /// do that, and is always acknowledged to one who insists.
    pub reliable: bool,
}

impl Response {
    /// A bare answer.
    pub fn new(status: u16) -> Response {
        Response { status, ..Response::default() }
    }

    /// The same with a body.
    pub fn with_body(mut self, body: Body) -> Response {
        self.body = Some(body);
        self
    }

    /// The same, to be acknowledged.
    pub fn reliably(mut self) -> Response {
        self.reliable = true;
        self
    }

    /// The same with one more header.
    pub fn with_header(mut self, header: Header) -> Response {
        self.headers.push(header);
        self
    }
}
