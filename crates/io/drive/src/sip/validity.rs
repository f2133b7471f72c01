//! From when to when a certificate is valid (RFC 5280 4.1.2.5): the one thing in it that TLS does not look at for us, our
//! own certificate being none of its business.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;

/// First and last moment; `None` for what is no certificate.
pub(super) fn validity(certificate: &[u8]) -> Option<(Timestamp, Timestamp)> {
    let (inside, _) = take(certificate, SEQUENCE)?;
    let (mut rest, _) = take(inside, SEQUENCE)?;
    if let Some((_, behind)) = take(rest, VERSION) {
        rest = behind;
    }
    // Serial number, algorithm, issuer.
    for tag in [INTEGER, SEQUENCE, SEQUENCE] {
        rest = take(rest, tag)?.1;
    }
    let (both, _) = take(rest, SEQUENCE)?;
    let (from, rest) = time(both)?;
    Some((from, time(rest)?.0))
}

/// The value of the next element, which has to be of that kind, and what follows it.
fn take(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&[found, first], rest) = bytes.split_first_chunk()?;
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
    (found == tag).then_some(())?;
    rest.split_at_checked(len)
}

fn time(bytes: &[u8]) -> Option<(Timestamp, &[u8])> {
    let (text, rest, format) = match bytes.first()? {
        &UTC_TIME => {
            let (text, rest) = take(bytes, UTC_TIME)?;
            let text = std::str::from_utf8(text).ok()?;
            // Two digits of a year: RFC 5280 4.1.2.5.1.
            let century = if text.get(..2)? < "50" { "20" } else { "19" };
            (format!("{century}{text}"), rest, "%Y%m%d%H%M%SZ")
        }
        _ => {
            let (text, rest) = take(bytes, GENERALIZED_TIME)?;
            (std::str::from_utf8(text).ok()?.to_owned(), rest, "%Y%m%d%H%M%SZ")
        }
    };
    let at = DateTime::strptime(format, &text).ok()?.to_zoned(TimeZone::UTC).ok()?;
    Some((at.timestamp(), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_to_write_a_time_are_read() {
        let mut params = rcgen::CertificateParams::new(vec!["x.test".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(1999, 12, 31);
        params.not_after = rcgen::date_time_ymd(2051, 2, 3);
        let key = rcgen::KeyPair::generate().unwrap();
        let made = params.self_signed(&key).unwrap();
        let (from, until) = validity(made.der()).unwrap();
        assert_eq!(from.to_string(), "1999-12-31T00:00:00Z");
        assert_eq!(until.to_string(), "2051-02-03T00:00:00Z");
        for cut in 0..made.der().len() {
            let _ = validity(&made.der()[..cut]);
        }
        assert!(validity(b"0\x84\xff\xff\xff\xff").is_none() && validity(&[]).is_none());
    }
}
