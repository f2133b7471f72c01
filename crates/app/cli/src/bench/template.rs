//! The messages of the load generator, written straight into a shared buffer.

use std::fmt::{self, Write as _};
use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use hookswitch_sip_msg::{Answer, HeaderName, Message, NameAddr, Uri};

use super::work::CallRef;

/// Size of the pieces of memory that messages are cut from.
const BUFFER: usize = 64 * 1024;

/// Room that any message of ours fits in.
const ROOM: usize = 2_048;

/// Length of a call's name in Call-IDs, tags and branches.
const KEY_LEN: usize = 24;

/// Writes messages for one end.
pub(super) struct Template {
    buffer: BytesMut,
    /// Our address for SIP.
    local: SocketAddr,
    /// As phones offer; ours speak only the first codec.
    offer: String,
    answer: String,
    /// Tells this run's messages from late ones of another.
    run: u32,
}

/// Name of a call on the wire.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key {
    run: u32,
    call: CallRef,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}{:08x}{:08x}", self.run, self.call.slot, self.call.generation)
    }
}

/// What a request inside the dialog needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Inside {
    /// Request-URI.
    pub(super) target: String,
    /// Route lines, with their line ends.
    pub(super) routes: String,
    /// To value with tag.
    pub(super) to: String,
    /// Where to send.
    pub(super) next_hop: SocketAddr,
}

impl Template {
    pub(super) fn new(local: SocketAddr, media: Option<SocketAddr>, run: u32) -> Template {
        let media = media.unwrap_or(SocketAddr::new(local.ip(), 40_000));
        let (family, ip, port) = (if media.is_ipv4() { 4 } else { 6 }, media.ip(), media.port());
        let sdp = |formats: &str, more: &str| {
            format!(
                "v=0\r\no=bench 1122334455 1 IN IP{family} {ip}\r\ns=call\r\nc=IN IP{family} {ip}\r\nb=AS:80\r\nt=0 0\r\n\
                 m=audio {port} RTP/AVP {formats}\r\na=rtpmap:0 PCMU/8000\r\n{more}\
                 a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=maxptime:140\r\na=sendrecv\r\n"
            )
        };
        Template {
            buffer: BytesMut::with_capacity(BUFFER),
            local,
            offer: sdp("0 8 101", "a=rtpmap:8 PCMA/8000\r\n"),
            answer: sdp("0 101", ""),
            run,
        }
    }

    pub(super) fn key(&self, call: CallRef) -> Key {
        Key { run: self.run, call }
    }

    /// The Call-ID of a call that starts here.
    pub(super) fn call_id(&self, call: CallRef) -> String {
        format!("{}@{}", self.key(call), self.local.ip())
    }

    /// Reads what [`Key`] wrote, if it was this run.
    pub(super) fn read_key(&self, text: &str) -> Option<CallRef> {
        let part = |from: usize| u32::from_str_radix(text.get(from..from + 8)?, 16).ok();
        let named = text.len() >= KEY_LEN && part(0)? == self.run;
        named.then_some(CallRef { slot: part(8)?, generation: part(16)? })
    }

    pub(super) fn invite(&mut self, call: CallRef, number: u64, from: &str, to: &str) -> Bytes {
        let (key, local) = (self.key(call), self.local);
        let (ip, sdp) = (local.ip(), &self.offer);
        let out = room(&mut self.buffer);
        // Writing to a buffer that grows cannot fail.
        let _ = write!(
            out,
            "INVITE {to} SIP/2.0\r\nVia: SIP/2.0/UDP {local};rport;branch=z9hG4bK{key}i\r\nMax-Forwards: 70\r\n\
             From: \"Load {number}\" <{from}>;tag={key}\r\nTo: <{to}>\r\nCall-ID: {key}@{ip}\r\nCSeq: 1 INVITE\r\n\
             Contact: <sip:bench@{local}>;+sip.instance=\"<urn:uuid:00000000-0000-4000-8000-{number:012x}>\"\r\n\
             User-Agent: hookswitch bench\r\nP-Preferred-Identity: <{from}>\r\n\
             Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, NOTIFY, REFER\r\nSupported: replaces\r\n\
             Accept: application/sdp\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
            sdp.len()
        );
        out.split().freeze()
    }

    /// The ACK to a 2xx, or the BYE.
    pub(super) fn inside(&mut self, call: CallRef, method: &str, cseq: u32, from: &str, what: &Inside) -> Bytes {
        let (key, local) = (self.key(call), self.local);
        let Inside { target, routes, to, .. } = what;
        let out = room(&mut self.buffer);
        let _ = write!(
            out,
            "{method} {target} SIP/2.0\r\nVia: SIP/2.0/UDP {local};rport;branch=z9hG4bK{key}{method}\r\n\
             Max-Forwards: 70\r\n{routes}From: {from}\r\nTo: {to}\r\nCall-ID: {key}@{ip}\r\n\
             CSeq: {cseq} {method}\r\nUser-Agent: hookswitch bench\r\nContent-Length: 0\r\n\r\n",
            ip = local.ip(),
        );
        out.split().freeze()
    }

    /// The ACK to any other final answer goes where the INVITE went (RFC 3261 17.1.1.3).
    pub(super) fn ack_refusal(&mut self, call: CallRef, uri: &str, from: &str, to: &str) -> Bytes {
        let (key, local) = (self.key(call), self.local);
        let out = room(&mut self.buffer);
        let _ = write!(
            out,
            "ACK {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {local};rport;branch=z9hG4bK{key}i\r\nMax-Forwards: 70\r\n\
             From: {from}\r\nTo: {to}\r\nCall-ID: {key}@{ip}\r\nCSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n",
            ip = local.ip(),
        );
        out.split().freeze()
    }

    /// From value of a call that starts here.
    pub(super) fn own_address(&self, call: CallRef, number: u64, from: &str) -> String {
        format!("\"Load {number}\" <{from}>;tag={}", self.key(call))
    }

    /// An answer to `request`, with our session where one is due.
    pub(super) fn answer(
        &mut self,
        request: &Message,
        source: SocketAddr,
        (status, call): (u16, CallRef),
        with_session: bool,
    ) -> Option<Bytes> {
        let tag = self.key(call).to_string();
        let out = room(&mut self.buffer);
        let answer = Answer { status, reason: "", to_tag: Some(&tag), source: Some(source) };
        let mut writer = answer.write_in(out, request)?;
        if status > 100 && status < 300 {
            writer.copy(request, HeaderName::RecordRoute);
            writer.header_fmt(HeaderName::Contact, format_args!("<sip:bench@{}>", self.local));
        }
        if with_session {
            writer.body("application/sdp", self.answer.as_bytes());
        }
        Some(writer.finish())
    }
}

fn room(buffer: &mut BytesMut) -> &mut BytesMut {
    // A new piece when this one is used up; reserving only what is missing would copy less and allocate more often.
    if buffer.capacity() - buffer.len() < ROOM {
        *buffer = BytesMut::with_capacity(BUFFER);
    }
    buffer
}

impl Inside {
    /// Dialog of a caller from the 2xx (RFC 3261 12.1.2). `sent_to` serves where the next hop is a name.
    pub(super) fn learn(answer: &Message, sent_to: SocketAddr) -> Option<Inside> {
        let target = answer.contacts().next()?.ok()?.uri_str()?.to_owned();
        let to = String::from_utf8_lossy(answer.header(HeaderName::To)?).into_owned();
        let mut routes: Vec<&[u8]> = answer.values(HeaderName::RecordRoute).collect();
        routes.reverse();
        let first = match routes.first() {
            Some(route) => NameAddr::parse(route).ok()?.uri_str()?,
            None => &target,
        };
        let next_hop = address_of(first).unwrap_or(sent_to);
        let mut lines = String::new();
        for route in &routes {
            let _ = write!(lines, "Route: {}\r\n", String::from_utf8_lossy(route));
        }
        Some(Inside { target, routes: lines, to, next_hop })
    }
}

fn address_of(uri: &str) -> Option<SocketAddr> {
    let uri = Uri::parse(uri).ok()?;
    Some(SocketAddr::new(uri.host.ip()?, uri.port.unwrap_or(5060)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: CallRef = CallRef { slot: 17, generation: 3 };

    fn template() -> Template {
        Template::new("127.0.0.1:5999".parse().unwrap(), None, 0xabcd)
    }

    #[test]
    fn every_message_is_valid_and_names_its_call() {
        let mut template = template();
        let inside = Inside {
            target: "sip:b@127.0.0.2:5070".into(),
            routes: "Route: <sip:127.0.0.1;lr>\r\n".into(),
            to: "<sip:b@a.test>;tag=7".into(),
            next_hop: "127.0.0.1:5060".parse().unwrap(),
        };
        let from = template.own_address(CALL, 5, "sip:a@a.test");
        for bytes in [
            template.invite(CALL, 5, "sip:a@a.test", "sip:b@a.test"),
            template.inside(CALL, "ACK", 1, &from, &inside),
            template.inside(CALL, "BYE", 2, &from, &inside),
            template.ack_refusal(CALL, "sip:b@a.test", &from, "<sip:b@a.test>;tag=7"),
        ] {
            let message = Message::parse(bytes).unwrap();
            message.validate().unwrap();
            assert_eq!(template.read_key(message.call_id().unwrap()), Some(CALL));
        }
        assert_eq!(template.read_key("0000abce0000001100000003@x"), None, "another run");
        assert_eq!(template.read_key("short"), None);
    }

    #[test]
    fn an_invite_is_of_the_usual_size() {
        let length = template().invite(CALL, 5, "sip:load@127.0.0.1", "sip:bench-5@127.0.0.1").len();
        assert!((870..1000).contains(&length), "{length} bytes");
    }

    #[test]
    fn route_sets_are_turned_around_and_lead_to_the_first_hop() {
        let answer = "SIP/2.0 200 OK\r\nRecord-Route: <sip:10.0.0.2:5070;lr>, <sip:10.0.0.1;lr>\r\n\
            To: <sip:b@a.test>;tag=9\r\nContact: <sip:b@10.0.0.9:7000>\r\n\r\n";
        let answer = Message::parse(Bytes::from_static(answer.as_bytes())).unwrap();
        let inside = Inside::learn(&answer, "10.0.0.7:5060".parse().unwrap()).unwrap();
        assert_eq!(inside.routes, "Route: <sip:10.0.0.1;lr>\r\nRoute: <sip:10.0.0.2:5070;lr>\r\n");
        assert_eq!(inside.next_hop, "10.0.0.1:5060".parse().unwrap());
        assert_eq!(inside.target, "sip:b@10.0.0.9:7000");
    }
}
