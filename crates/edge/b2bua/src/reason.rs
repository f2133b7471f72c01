//! Causes as Reason headers, and back (RFC 3326, RFC 6432).

use hookswitch_call::{Cause, Fault, Kind};
use hookswitch_sip::Header;
use hookswitch_sip_msg::{HeaderName, Message};

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
    let text = q850_text(q850);
    Some(if text.is_empty() { format!("Q.850;cause={q850}") } else { format!("Q.850;cause={q850};text=\"{text}\"") })
}

/// Adds what a party says in its Reason headers to what its request or response says by itself.
pub(crate) fn refine(mut cause: Cause, message: Option<&Message>) -> Cause {
    let Some(message) = message else { return cause };
    for value in message.values(HeaderName::Reason) {
        let Ok(value) = std::str::from_utf8(value) else { continue };
        let mut parts = value.split(';').map(str::trim);
        let protocol = parts.next().unwrap_or_default();
        let number = parts.find_map(|part| {
            let (name, number) = part.split_once('=')?;
            if !name.trim().eq_ignore_ascii_case("cause") {
                return None;
            }
            number.trim().parse::<u16>().ok()
        });
        let Some(number) = number else { continue };
        if protocol.eq_ignore_ascii_case("Q.850") && number <= 127 {
            cause.q850 = u8::try_from(number).ok();
        } else if protocol.eq_ignore_ascii_case("SIP") && number == 200 && cause.kind == Kind::Cancelled {
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
