//! Binding requests of STUN (RFC 8489): from where a packet of ours, or of somebody else's, comes to the other side.
//!
//! A Binding request on a SIP socket is a keep-alive, and is told from where it came (RFC 5626 section 5.4). Asking others tells at
//! which address the Internet sees this host. Nothing else of STUN is spoken: no authentication, no other method, and nothing
//! that has no magic cookie, which is what tells STUN from SIP. An answer is at most 24 bytes longer than what asks
//! for it, so nobody gains by asking in somebody else's name.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;

const HEADER: usize = 20;
const MAGIC_COOKIE: u32 = 0x2112_A442;

const BINDING_REQUEST: u16 = 0x0001;
const BINDING_SUCCESS: u16 = 0x0101;
const BINDING_ERROR: u16 = 0x0111;

const ERROR_CODE: u16 = 0x0009;
const UNKNOWN_ATTRIBUTES: u16 = 0x000A;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;
const CHANGE_REQUEST: u16 = 0x0003;
const OTHER_ADDRESS: u16 = 0x802C;

/// Attributes that one has to understand or refuse, and that mean nothing to a keep-alive: addresses, and whatever
/// belongs to passwords, which nobody is asked for (RFC 8489 section 18.3.1).
const HARMLESS: [u16; 11] = [
    0x0001,
    0x0006,
    0x0008,
    ERROR_CODE,
    UNKNOWN_ATTRIBUTES,
    0x0014,
    0x0015,
    0x001C,
    0x001D,
    0x001E,
    XOR_MAPPED_ADDRESS,
];

/// Most attributes that are named in a refusal.
const MAX_NAMED: usize = 8;

/// Whether a datagram is STUN: the first two bits are zero, the cookie is there and the length is right (RFC 8489
/// section 5). No SIP message begins like that.
pub fn is_stun(datagram: &[u8]) -> bool {
    let Some((header, rest)) = datagram.split_first_chunk::<HEADER>() else { return false };
    let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
    header[0] & 0xC0 == 0
        && header[4..8] == MAGIC_COOKIE.to_be_bytes()
        && length == rest.len()
        && length.is_multiple_of(4)
}

/// The answer to a Binding request that came from `source`. `None` for everything else: other methods, indications,
/// answers, and what is no STUN at all.
pub fn answer(datagram: &[u8], source: SocketAddr) -> Option<Bytes> {
    if !is_stun(datagram) {
        return None;
    }
    let (header, attributes) = datagram.split_first_chunk::<HEADER>()?;
    if u16::from_be_bytes([header[0], header[1]]) != BINDING_REQUEST {
        return None;
    }
    let unknown = unknown_attributes(attributes)?;
    Some(if unknown.is_empty() {
        message(BINDING_SUCCESS, header, &mapped(header, source))
    } else {
        message(BINDING_ERROR, header, &refusal(&unknown))
    })
}

/// A Binding request. Draw `id` so that nobody can guess it: it is what an answer is believed by.
pub fn request(id: [u8; 12]) -> [u8; HEADER] {
    let mut out = [0; HEADER];
    out[..2].copy_from_slice(&BINDING_REQUEST.to_be_bytes());
    out[4..8].copy_from_slice(&MAGIC_COOKIE.to_be_bytes());
    out[8..].copy_from_slice(&id);
    out
}

/// A Binding request whose answer is to come from elsewhere (RFC 5780 section 7.2): from the server's other port, and
/// from its other address too if `address`. A server that has no other one refuses it, or ignores the wish.
pub fn change_request(id: [u8; 12], address: bool) -> [u8; HEADER + 8] {
    let mut out = [0; HEADER + 8];
    out[..HEADER].copy_from_slice(&request(id));
    out[3] = 8;
    out[HEADER..HEADER + 2].copy_from_slice(&CHANGE_REQUEST.to_be_bytes());
    out[HEADER + 3] = 4;
    out[HEADER + 7] = if address { 6 } else { 2 };
    out
}

/// From where the request `id` came, as this answer to it says. `None` for everything else.
pub fn mapped_address(datagram: &[u8], id: [u8; 12]) -> Option<SocketAddr> {
    let (header, value) = answered(datagram, id, XOR_MAPPED_ADDRESS)?;
    read_address(value, *header[4..].first_chunk()?)
}

/// The other address and port of the server that this is an answer of, if it has some (OTHER-ADDRESS, RFC 5780
/// section 7.4).
pub fn other_address(datagram: &[u8], id: [u8; 12]) -> Option<SocketAddr> {
    let (_, value) = answered(datagram, id, OTHER_ADDRESS)?;
    read_address(value, [0; 16])
}

/// Whether this is the answer to the request `id`, be it a refusal.
pub fn answers(datagram: &[u8], id: [u8; 12]) -> bool {
    is_stun(datagram)
        && [BINDING_SUCCESS, BINDING_ERROR].iter().any(|kind| datagram[..2] == kind.to_be_bytes())
        && datagram[8..HEADER] == id
}

/// The header of a good answer to the request `id`, and an attribute of it.
fn answered(datagram: &[u8], id: [u8; 12], wanted: u16) -> Option<(&[u8; HEADER], &[u8])> {
    if !is_stun(datagram) {
        return None;
    }
    let (header, mut rest) = datagram.split_first_chunk::<HEADER>()?;
    if header[..2] != BINDING_SUCCESS.to_be_bytes() || header[8..] != id {
        return None;
    }
    while let Some((head, behind)) = rest.split_first_chunk::<4>() {
        let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
        if head[..2] == wanted.to_be_bytes() {
            return Some((header, behind.get(..length)?));
        }
        rest = behind.get(length.next_multiple_of(4)..)?;
    }
    None
}

/// An address with its port, both XORed with the mask.
fn read_address(value: &[u8], mask: [u8; 16]) -> Option<SocketAddr> {
    let ([_, family, port @ ..], address) = value.split_first_chunk::<4>()?;
    let port = u16::from_be_bytes(*port) ^ u16::from_be_bytes([mask[0], mask[1]]);
    let ip = match family {
        1 => {
            let bytes: [u8; 4] = address.try_into().ok()?;
            IpAddr::from(std::array::from_fn::<u8, 4, _>(|n| bytes[n] ^ mask[n]))
        }
        2 => {
            let bytes: [u8; 16] = address.try_into().ok()?;
            IpAddr::from(std::array::from_fn::<u8, 16, _>(|n| bytes[n] ^ mask[n]))
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

/// Attributes that have to be understood and are not; `None` when one is longer than the message.
fn unknown_attributes(mut rest: &[u8]) -> Option<Vec<u16>> {
    let mut unknown = Vec::new();
    while let Some((head, behind)) = rest.split_first_chunk::<4>() {
        let kind = u16::from_be_bytes([head[0], head[1]]);
        let length = usize::from(u16::from_be_bytes([head[2], head[3]])).next_multiple_of(4);
        rest = behind.get(length..)?;
        if kind < 0x8000 && !HARMLESS.contains(&kind) && unknown.len() < MAX_NAMED {
            unknown.push(kind);
        }
    }
    Some(unknown)
}

/// XOR-MAPPED-ADDRESS (RFC 8489 section 14.2).
fn mapped(header: &[u8; HEADER], source: SocketAddr) -> Vec<u8> {
    let mut value = vec![0];
    let mask = header[4..].iter();
    let port = source.port() ^ (MAGIC_COOKIE >> 16) as u16;
    match source.ip() {
        IpAddr::V4(ip) => {
            value.push(1);
            value.extend(port.to_be_bytes());
            value.extend(ip.octets().iter().zip(mask).map(|(byte, mask)| byte ^ mask));
        }
        IpAddr::V6(ip) => {
            value.push(2);
            value.extend(port.to_be_bytes());
            value.extend(ip.octets().iter().zip(mask).map(|(byte, mask)| byte ^ mask));
        }
    }
    attribute(XOR_MAPPED_ADDRESS, &value)
}

fn refusal(unknown: &[u16]) -> Vec<u8> {
    const WORDS: &[u8] = b"\0\0\x04\x14Unknown Attribute";
    let names: Vec<u8> = unknown.iter().flat_map(|kind| kind.to_be_bytes()).collect();
    [attribute(ERROR_CODE, WORDS), attribute(UNKNOWN_ATTRIBUTES, &names)].concat()
}

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(4 + value.len().next_multiple_of(4));
    out.extend(kind.to_be_bytes());
    // Every value here is a few dozen bytes long.
    out.extend((value.len() as u16).to_be_bytes());
    out.extend(value);
    out.resize(out.len().next_multiple_of(4), 0);
    out
}

fn message(kind: u16, request: &[u8; HEADER], attributes: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(HEADER + attributes.len());
    out.extend(kind.to_be_bytes());
    out.extend((attributes.len() as u16).to_be_bytes());
    out.extend(&request[4..]);
    out.extend(attributes);
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The transaction of the test vectors of RFC 5769.
    const ID: [u8; 12] = [0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae];

    fn stun(kind: u16, attributes: &[u8]) -> Vec<u8> {
        let mut out = kind.to_be_bytes().to_vec();
        out.extend((attributes.len() as u16).to_be_bytes());
        out.extend(MAGIC_COOKIE.to_be_bytes());
        out.extend(ID);
        out.extend(attributes);
        out
    }

    #[test]
    fn the_answer_says_from_where_it_was_asked() {
        // The mapped addresses of RFC 5769 sections 2.2 and 2.3.
        for (source, value) in [
            ("192.0.2.1:32853", &[0, 0x01, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43][..]),
            (
                "[2001:db8:1234:5678:11:2233:4455:6677]:32853",
                &[
                    0, 0x02, 0xa1, 0x47, 0x01, 0x13, 0xa9, 0xfa, 0xa5, 0xd3, 0xf1, 0x79, 0xbc, 0x25, 0xf4, 0xb5, 0xbe,
                    0xd2, 0xb9, 0xd9,
                ][..],
            ),
        ] {
            let answer = answer(&stun(BINDING_REQUEST, &[]), source.parse().unwrap()).unwrap();
            assert_eq!(answer[..], stun(BINDING_SUCCESS, &attribute(XOR_MAPPED_ADDRESS, value)), "{source}");
        }
    }

    #[test]
    fn an_answer_is_understood_by_who_has_asked() {
        for source in ["192.0.2.1:32853", "[2001:db8:1234:5678:11:2233:4455:6677]:32853"] {
            let source: SocketAddr = source.parse().unwrap();
            let reply = answer(&request(ID), source).unwrap();
            assert_eq!(mapped_address(&reply, ID), Some(source));
            assert_eq!(mapped_address(&reply, [0; 12]), None, "an answer to something else");
            assert_eq!(mapped_address(&request(ID), ID), None, "a request");
            for end in 0..reply.len() {
                assert_eq!(mapped_address(&reply[..end], ID), None, "cut to {end} bytes");
            }
        }
        let short = stun(BINDING_SUCCESS, &attribute(XOR_MAPPED_ADDRESS, &[0, 1, 2, 3, 4]));
        assert_eq!(mapped_address(&short, ID), None, "an address of one byte");
    }

    #[test]
    fn a_server_with_two_addresses_is_asked_to_answer_from_the_other() {
        for (address, flags) in [(true, 6), (false, 2)] {
            let asked = change_request(ID, address);
            assert_eq!(asked[..], stun(BINDING_REQUEST, &attribute(CHANGE_REQUEST, &[0, 0, 0, flags])));
        }
        let other = attribute(OTHER_ADDRESS, &[0, 1, 0x0d, 0x97, 192, 0, 2, 77]);
        let reply = stun(BINDING_SUCCESS, &[attribute(XOR_MAPPED_ADDRESS, &[0; 3]), other].concat());
        assert_eq!(other_address(&reply, ID), Some("192.0.2.77:3479".parse().unwrap()));
        assert_eq!(other_address(&reply, [0; 12]), None, "an answer to something else");
        assert!(answers(&reply, ID) && !answers(&reply, [0; 12]) && !answers(&request(ID), ID));
        let refused = answer(&change_request(ID, true), "192.0.2.1:1".parse().unwrap()).unwrap();
        assert!(answers(&refused, ID), "a refusal is an answer");
        assert_eq!(other_address(&refused, ID), None);
        for end in 0..reply.len() {
            assert_eq!(other_address(&reply[..end], ID), None, "cut to {end} bytes");
            assert!(!answers(&reply[..end], ID), "cut to {end} bytes");
        }
    }

    #[test]
    fn nothing_but_a_whole_binding_request_is_answered() {
        let source = "192.0.2.1:5060".parse().unwrap();
        let good = stun(BINDING_REQUEST, &attribute(0x8022, b"phone 1"));
        assert!(answer(&good, source).is_some(), "an attribute that need not be understood");
        for end in 0..good.len() {
            assert_eq!(answer(&good[..end], source), None, "cut to {end} bytes");
        }
        for kind in [0x0011, BINDING_SUCCESS, BINDING_ERROR, 0x0003] {
            assert_eq!(answer(&stun(kind, &[]), source), None, "{kind:#06x}");
        }
        let mut old = good.clone();
        old[4] = 0;
        assert_eq!(answer(&old, source), None, "no cookie (RFC 3489)");
        let mut long = good;
        long[HEADER + 3] = 200;
        assert_eq!(answer(&long, source), None, "an attribute beyond the end");
    }

    #[test]
    fn what_must_be_understood_and_is_not_is_refused() {
        let reply = answer(&change_request(ID, true), "192.0.2.1:5060".parse().unwrap()).unwrap();
        assert_eq!(reply[..2], BINDING_ERROR.to_be_bytes());
        let names = attribute(UNKNOWN_ATTRIBUTES, &[0, 3]);
        assert!(reply.ends_with(&names), "{reply:?}");
        let many: Vec<u8> = (0x4000..0x4100).flat_map(|kind| attribute(kind, &[])).collect();
        let reply = answer(&stun(BINDING_REQUEST, &many), "192.0.2.1:5060".parse().unwrap()).unwrap();
        assert!(reply.len() < 100, "{}", reply.len());
    }
}
