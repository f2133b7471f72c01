//! Who a certificate is for: the SIP domains in it (RFC 5922 7.1). Whether it is to be believed at all has been found out
//! before; what is in it was still written by others.

use std::net::IpAddr;

/// Most names that are taken from one certificate; what follows is left out.
pub const MAX_NAMES: usize = 16;

/// Longest name in bytes, as long as any in the domain name system (RFC 1035 2.3.4). Longer ones are left out.
pub const MAX_NAME: usize = 253;

const BOOLEAN: u8 = 0x01;
const OCTETS: u8 = 0x04;
const OID: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const EXTENSIONS: u8 = 0xa3;
/// What a common name may be written as: UTF8String, PrintableString, IA5String.
const TEXTS: [u8; 3] = [0x0c, 0x13, 0x16];
/// Kinds of a GeneralName (RFC 5280 4.2.1.6).
const DNS_NAME: u8 = 0x82;
const URI: u8 = 0x86;
const ADDRESS: u8 = 0x87;

const SUBJECT_ALT_NAME: [u8; 3] = [0x55, 0x1d, 0x11];
const COMMON_NAME: [u8; 3] = [0x55, 0x04, 0x03];

/// The domains that a certificate is for, in lower case, at most [`MAX_NAMES`]: those of its `sip:` URIs, without any of
/// those its DNS names and addresses, and its common name if it has no alternative names at all. No wildcards (7.2).
pub(super) fn domains(certificate: &[u8]) -> Vec<String> {
    let mut names = read(certificate).unwrap_or_default();
    names.truncate(MAX_NAMES);
    names
}

fn read(certificate: &[u8]) -> Option<Vec<String>> {
    let (inside, _) = take(certificate, SEQUENCE)?;
    let (inside, _) = take(inside, SEQUENCE)?;
    let (mut alternatives, mut sequences) = (None, Vec::new());
    for (tag, value) in elements(inside) {
        match tag {
            SEQUENCE => sequences.push(value),
            EXTENSIONS => alternatives = alternative_names(value),
            _ => {}
        }
    }
    match (alternatives, sequences.get(SUBJECT)) {
        (Some(names), _) => Some(identities(names)),
        (None, Some(subject)) => Some(common_name(subject).into_iter().collect()),
        (None, None) => None,
    }
}

/// Which of the sequences of a certificate is its subject: after algorithm, issuer and validity.
const SUBJECT: usize = 3;

/// The value of that extension; `None` if there is none.
fn alternative_names(extensions: &[u8]) -> Option<&[u8]> {
    let (all, _) = take(extensions, SEQUENCE)?;
    elements(all).filter(|(tag, _)| *tag == SEQUENCE).find_map(|(_, extension)| {
        let (id, mut rest) = take(extension, OID)?;
        if id != SUBJECT_ALT_NAME {
            return None;
        }
        if let Some((_, behind)) = take(rest, BOOLEAN) {
            rest = behind;
        }
        Some(take(take(rest, OCTETS)?.0, SEQUENCE)?.0)
    })
}

fn identities(names: &[u8]) -> Vec<String> {
    let (mut domains, mut others) = (Vec::new(), Vec::new());
    for (tag, value) in elements(names) {
        match tag {
            URI => domains.extend(domain_of_uri(value)),
            DNS_NAME => others.extend(host(value)),
            ADDRESS => others.extend(address(value)),
            _ => {}
        }
    }
    // The names are for other protocols where there are URIs of this one.
    if domains.is_empty() { others } else { domains }
}

/// The host of a `sip:` URI that names a domain; one with a user part names a person.
fn domain_of_uri(uri: &[u8]) -> Option<String> {
    let uri = std::str::from_utf8(uri).ok()?;
    let (scheme, rest) = uri.split_once(':')?;
    if !scheme.eq_ignore_ascii_case("sip") || rest.contains('@') {
        return None;
    }
    let end = rest.find([':', ';', '?']).unwrap_or(rest.len());
    host(&rest.as_bytes()[..end])
}

fn common_name(subject: &[u8]) -> Option<String> {
    let sets = elements(subject).filter(|(tag, _)| *tag == SET);
    sets.flat_map(|(_, set)| elements(set)).find_map(|(_, attribute)| {
        let (id, rest) = take(attribute, OID)?;
        let (tag, value) = elements(rest).next()?;
        (id == COMMON_NAME && TEXTS.contains(&tag)).then(|| host(value))?
    })
}

/// A name in the form in which names are compared, if it is one.
fn host(name: &[u8]) -> Option<String> {
    let name = name.strip_suffix(b".").unwrap_or(name);
    let fits = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_".contains(byte);
    let is_label = |label: &[u8]| !label.is_empty() && label.iter().all(fits);
    if name.len() > MAX_NAME || !name.split(|byte| *byte == b'.').all(is_label) {
        return None;
    }
    Some(std::str::from_utf8(name).ok()?.to_ascii_lowercase())
}

fn address(bytes: &[u8]) -> Option<String> {
    let ip = match bytes.len() {
        4 => IpAddr::from(<[u8; 4]>::try_from(bytes).ok()?),
        _ => IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?),
    };
    Some(ip.to_string())
}

/// What stands one after the other, up to what is none of ASN.1's distinguished rules.
fn elements(mut bytes: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let (tag, value, rest) = next(bytes)?;
        bytes = rest;
        Some((tag, value))
    })
}

/// The value of the next element, which has to be of that kind, and what follows it.
fn take(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, value, rest) = next(bytes)?;
    (found == tag).then_some((value, rest))
}

fn next(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, first], rest) = bytes.split_first_chunk()?;
    let long = usize::from(first & 0x7f);
    let (len, rest) = match first {
        ..0x80 => (usize::from(first), rest),
        // Four bytes of length are more than any certificate has.
        _ if long <= 4 => {
            let (digits, rest) = rest.split_at_checked(long)?;
            (digits.iter().fold(0, |len, digit| len << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    let (value, rest) = rest.split_at_checked(len)?;
    Some((tag, value, rest))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    use super::*;

    fn made(common: &str, names: Vec<SanType>) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::OrganizationName, "Somebody");
        params.distinguished_name.push(DnType::CommonName, common);
        params.subject_alt_names = names;
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    fn uri(text: &str) -> SanType {
        SanType::URI(text.try_into().unwrap())
    }

    fn dns(text: &str) -> SanType {
        SanType::DnsName(text.try_into().unwrap())
    }

    #[test]
    fn names_are_those_of_the_domain_as_the_rfc_ranks_them() {
        for (names, expected) in [
            (
                vec![uri("SIP:Example.Com;transport=tls"), uri("sip:b.example:5061"), dns("sbc.example.com")],
                vec!["example.com", "b.example"],
            ),
            // Persons, and other schemes, are no domains.
            (vec![uri("sip:alice@example.com"), uri("https://example.com/"), uri("sips:example.com")], vec![]),
            (vec![uri("sip:alice@example.com"), dns("Sbc.Example.Com")], vec!["sbc.example.com"]),
            (vec![dns("*.example.com"), dns("a..example"), dns("a.example")], vec!["a.example"]),
            (vec![dns("a.example"), SanType::IpAddress("10.0.0.7".parse().unwrap())], vec!["a.example", "10.0.0.7"]),
            (vec![SanType::IpAddress("2001:db8::1".parse().unwrap())], vec!["2001:db8::1"]),
            // The common name counts only where there is no other.
            (vec![uri("https://example.com/")], vec![]),
            (vec![], vec!["old.example.com"]),
        ] {
            assert_eq!(domains(&made("Old.Example.Com", names.clone())), expected, "{names:?}");
        }
        assert!(domains(&made("Some Authority", vec![])).is_empty(), "a common name that is no host");
        assert!(domains(&made("x\u{1b}[31m", vec![])).is_empty());
    }

    #[test]
    fn no_more_and_no_longer_names_are_kept_than_there_is_room_for() {
        let many = (0..MAX_NAMES + 3).map(|n| dns(&format!("h{n}.example"))).collect();
        let names = domains(&made("x", many));
        assert_eq!(names.len(), MAX_NAMES);
        assert_eq!(names[MAX_NAMES - 1], "h15.example");
        let long = |len: usize| "a.".repeat(len / 2) + &"a".repeat(len % 2 + 2);
        let (fits, over) = (long(MAX_NAME - 2), long(MAX_NAME - 1));
        assert_eq!((fits.len(), over.len()), (MAX_NAME, MAX_NAME + 1));
        assert_eq!(domains(&made("x", vec![dns(&over), dns(&fits)])), [fits]);
    }

    #[test]
    fn what_is_cut_or_changed_on_the_way_harms_nobody() {
        let certificate = made("x.example", vec![uri("sip:a.example"), dns("b.example")]);
        for n in 0..certificate.len() {
            assert!(domains(&certificate[..n]).is_empty());
            for byte in [0x00, 0x30, 0x7f, 0x80, 0x84, 0xff] {
                let mut changed = certificate.clone();
                changed[n] = byte;
                assert!(domains(&changed).len() <= MAX_NAMES);
            }
        }
    }
}
