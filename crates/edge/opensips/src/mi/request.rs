//! What is asked of OpenSIPS, in its own words and with the parameters in the order in which it has always seen them.

use bytes::Bytes;
use compact_str::CompactString;
use hookswitch_call::Party;
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::evi::Topic;

/// The description that the first INVITE of a started call offers: audio nowhere, until the call is transferred.
const NOWHERE: &str = "v=0\r\no=click-to-dial 0 0 IN IP4 0.0.0.0\r\ns=session\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n\
                       m=audio 9 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n";

/// One request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Ask {
    /// Which version?
    Version {
        /// By the name of 4.0 and later.
        namespaced: bool,
    },
    /// Send these events to this socket.
    Subscribe {
        topic: Topic,
        /// For how many seconds; 0 ends it.
        expire: u64,
        socket: CompactString,
    },
    /// Who gets these events?
    Subscribers { topic: Topic },
    /// What is known of this dialog?
    Dialog { callid: CompactString },
    /// Where is this user registered?
    Contact { aor: CompactString },
    /// Call the caller, with an INVITE of this Call-ID.
    Invite(Box<Invite>),
    /// Call no longer.
    Cancel { callid: CompactString },
    /// Ask one party to call somebody else.
    Transfer { callid: CompactString, leg: Party, to: CompactString },
    /// Ask one party to take the place of a party in another call.
    Join { callid: CompactString, leg: Party, other: CompactString, other_leg: Party, to: Option<CompactString> },
    /// Hold, or resume.
    Hold { callid: CompactString, on: bool, leg: Option<Leg>, headers: Option<String> },
    /// End a dialog.
    End { dialog: CompactString, headers: Option<String> },
}

/// The first INVITE of a started call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Invite {
    pub(crate) callid: CompactString,
    pub(crate) caller: CompactString,
    pub(crate) callee: CompactString,
    pub(crate) from: Option<CompactString>,
    pub(crate) contact: Option<CompactString>,
    pub(crate) next_hop: Option<CompactString>,
}

/// Which parties a hold asks, where OpenSIPS can be told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Leg {
    One(Party),
    Both,
}

impl Ask {
    /// Whether asking twice does no more than asking once.
    pub(crate) const fn is_repeatable(&self) -> bool {
        match self {
            Self::Version { .. }
            | Self::Subscribe { .. }
            | Self::Subscribers { .. }
            | Self::Dialog { .. }
            | Self::Contact { .. }
            | Self::Cancel { .. } => true,
            Self::Invite(_) | Self::Transfer { .. } | Self::Join { .. } | Self::Hold { .. } | Self::End { .. } => false,
        }
    }

    /// One JSON object.
    pub(crate) fn write(&self, id: &str) -> Bytes {
        let (method, params) = self.parts();
        let bytes = serde_json::to_vec(&Request { id, method, params }).expect("strings and numbers are always JSON");
        bytes.into()
    }

    fn parts(&self) -> (&'static str, Vec<(&'static str, Param<'_>)>) {
        match self {
            Self::Version { namespaced: false } => ("version", Vec::new()),
            Self::Version { namespaced: true } => ("core:version", Vec::new()),
            Self::Subscribe { topic, expire, socket } => (
                "event_subscribe",
                vec![
                    ("event", Param::text(topic.name())),
                    ("expire", Param::Number(*expire)),
                    ("socket", Param::text(socket)),
                ],
            ),
            Self::Subscribers { topic } => ("subscribers_list", vec![("event", Param::text(topic.name()))]),
            Self::Dialog { callid } => ("dlg_list", vec![("callid", Param::text(callid))]),
            Self::Contact { aor } => {
                ("ul_show_contact", vec![("aor", Param::text(aor)), ("table_name", Param::text("location"))])
            }
            Self::Invite(invite) => ("t_uac_dlg", invite.params()),
            Self::Cancel { callid } => {
                ("t_uac_cancel", vec![("callid", Param::text(callid)), ("cseq", Param::text("1"))])
            }
            Self::Transfer { callid, leg, to } => (
                "call_transfer",
                vec![
                    ("callid", Param::text(callid)),
                    ("destination", Param::text(to)),
                    ("leg", Param::text(word(*leg))),
                ],
            ),
            Self::Join { callid, leg, other, other_leg, to } => {
                let mut params = vec![("callid", Param::text(callid))];
                params.extend(to.iter().map(|to| ("destination", Param::text(to))));
                params.push(("leg", Param::text(word(*leg))));
                params.push(("transfer_callid", Param::text(other)));
                params.push(("transfer_leg", Param::text(word(*other_leg))));
                ("call_transfer", params)
            }
            Self::Hold { callid, on, leg, headers } => {
                let mut params = vec![("callid", Param::text(callid))];
                params.extend(headers.iter().map(|headers| ("headers", Param::text(headers))));
                params.extend(leg.iter().map(|leg| ("leg", Param::text(leg.word()))));
                (if *on { "call_hold" } else { "call_unhold" }, params)
            }
            Self::End { dialog, headers } => {
                let mut params = vec![("dialog_id", Param::text(dialog))];
                params.extend(headers.iter().map(|headers| ("extra_hdrs", Param::text(headers))));
                ("dlg_end_dlg", params)
            }
        }
    }
}

impl Invite {
    fn params(&self) -> Vec<(&'static str, Param<'_>)> {
        let from = self.from.as_ref().unwrap_or(&self.caller);
        let contact = self.contact.as_ref().unwrap_or(&self.caller);
        let headers = format!(
            "From: <{from}>\r\nTo: <{}>\r\nContact: <{contact}>\r\nContent-Type: application/sdp\r\n\
             CSeq: 1 INVITE\r\nCall-Id: {}\r\n",
            self.callee, self.callid
        );
        let mut params =
            vec![("body", Param::text(NOWHERE)), ("headers", Param::Owned(headers)), ("method", Param::text("INVITE"))];
        params.extend(self.next_hop.iter().map(|hop| ("next_hop", Param::text(hop))));
        params.push(("ruri", Param::text(&self.caller)));
        params
    }
}

impl Leg {
    const fn word(self) -> &'static str {
        match self {
            Self::One(party) => word(party),
            Self::Both => "both",
        }
    }
}

/// OpenSIPS's word for one end of a dialog.
pub(crate) const fn word(party: Party) -> &'static str {
    match party {
        Party::Caller => "caller",
        Party::Callee => "callee",
    }
}

enum Param<'a> {
    Text(&'a str),
    Owned(String),
    Number(u64),
}

impl<'a> Param<'a> {
    const fn text(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl Serialize for Param<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Owned(text) => serializer.serialize_str(text),
            Self::Number(number) => serializer.serialize_u64(*number),
        }
    }
}

struct Request<'a> {
    id: &'a str,
    method: &'static str,
    params: Vec<(&'static str, Param<'a>)>,
}

impl Serialize for Request<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("jsonrpc", "2.0")?;
        map.serialize_entry("id", self.id)?;
        map.serialize_entry("method", self.method)?;
        if !self.params.is_empty() {
            map.serialize_entry("params", &Params(&self.params))?;
        }
        map.end()
    }
}

struct Params<'a>(&'a [(&'static str, Param<'a>)]);

impl Serialize for Params<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, param) in self.0 {
            map.serialize_entry(name, param)?;
        }
        map.end()
    }
}
