//! Causes as Reason headers, and back (RFC 3326, RFC 6432).

use hookswitch_call::{Cause, Fault, Kind};
use hookswitch_sip::Header;
use hookswitch_sip_msg::{HeaderName, Message, Params};

/// The Reason header that carries a cause to a party.
pub(crate) fn header(cause: &Cause) -> Option<Header> {
    Some(Header::new(HeaderName::Reason, value(cause)?))
}

/// The value of that header.
pub(crate) fn value(cause: &Cause) -> Option<String> {
    // Phones show a missed call unless told in SIP's own numbers that it was answered (RFC 3326
    // section 3.1).
    if cause.kind == Kind::AnsweredElsewhere {
        return Some(String::from("SIP;cause=200;text=\"Call completed elsewhere\""));
    }
    let q850 = cause.q850?;
    let number = q850.to_string();
    Some(match q850_text(q850) {
        "" => ["Q.850;cause=", &number].concat(),
        text => ["Q.850;cause=", &number, ";text=\"", text, "\""].concat(),
    })
}

/// Adds what a party says in its Reason headers to what its request or response says by itself.
pub(crate) fn refine(mut cause: Cause, message: Option<&Message>) -> Cause {
    let Some(message) = message else { return cause };
    for value in message.values(HeaderName::Reason) {
        let (protocol, params) = value.split_at(value.iter().position(|byte| *byte == b';').unwrap_or(value.len()));
        let number = Params::new(params).get("cause").and_then(|cause| cause.parse::<u16>().ok());
        let (Some(number), protocol) = (number, protocol.trim_ascii()) else { continue };
        if protocol.eq_ignore_ascii_case(b"Q.850") && (1..=127).contains(&number) {
            cause.q850 = u8::try_from(number).ok();
        } else if protocol.eq_ignore_ascii_case(b"SIP") && number == 200 && cause.kind == Kind::Cancelled {
            cause = Cause::new(Kind::AnsweredElsewhere, Fault::Nobody);
        }
    }
    cause
}

/// Names of the causes that a telephone exchange shows, from ITU-T Q.850 table 1.
fn q850_text(cause: u8) -> &'static str {
    match cause {
        1 => "Unallocated number",
        16 => "Normal call clearing",
        17 => "User busy",
        18 => "No user responding",
        19 => "No answer from user",
        20 => "Subscriber absent",
        21 => "Call rejected",
        25 => "Exchange routing error",
        26 => "Non-selected user clearing",
        28 => "Invalid number format",
        41 => "Temporary failure",
        42 => "Switching equipment congestion",
        88 => "Incompatible destination",
        102 => "Recovery on timer expiry",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(reason: &str) -> Message {
        Message::parse(format!("BYE sip:b@h SIP/2.0\r\nReason: {reason}\r\n\r\n").into()).expect("a request")
    }

    fn refined(kind: Kind, reason: &str) -> (Kind, Option<u8>) {
        let cause = refine(Cause::new(kind, Fault::Nobody), Some(&said(reason)));
        (cause.kind, cause.q850)
    }

    #[test]
    fn q850_is_taken_from_wherever_it_stands() {
        for reason in [
            "Q.850;cause=31",
            "q.850 ; CAUSE = 31 ;text=\"Normal, unspecified\"",
            "SIP;cause=200;text=\"a, b\", Q.850;cause=31",
            "Q.850;text=\"x;cause=17;y\";cause=31",
        ] {
            assert_eq!(refined(Kind::Hangup, reason), (Kind::Hangup, Some(31)), "{reason}");
        }
        for reason in ["Q.850;cause=0", "Q.850;cause=128", "Q.850;cause=x", "Q.850", "", "other;cause=31"] {
            assert_eq!(refined(Kind::Hangup, reason), (Kind::Hangup, Some(16)), "{reason}");
        }
    }

    #[test]
    fn a_cancel_says_that_somebody_else_has_answered() {
        let elsewhere = (Kind::AnsweredElsewhere, Some(26));
        assert_eq!(refined(Kind::Cancelled, "SIP;cause=200;text=\"Call completed elsewhere\""), elsewhere);
        assert_eq!(refined(Kind::Cancelled, "SIP;cause=487").0, Kind::Cancelled);
        assert_eq!(refined(Kind::Hangup, "SIP;cause=200").0, Kind::Hangup);
    }

    #[test]
    fn what_is_written_reads_back() {
        for kind in [Kind::Busy, Kind::Declined, Kind::NoAnswer, Kind::Unreachable, Kind::NotFound, Kind::Overloaded] {
            let cause = Cause::new(kind, Fault::Peer);
            let text = value(&cause).expect("it has a number");
            assert_eq!(refined(Kind::Hangup, &text).1, cause.q850, "{text}");
        }
    }
}
