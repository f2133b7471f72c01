//! The `o=` line of what a party is told of its session (RFC 8866 section 5.2): the same session id throughout its dialog,
//! and a version that goes up by one with every change (RFC 3264 section 8), whoever describes the session just then. A
//! leg that passes to another call is described by another channel of the media engine, with numbers of its own.

use hookswitch_call::Sdp;
use serde::{Deserialize, Serialize};

/// Session id and version.
type Numbers = (u64, u64);

/// The numbers in what a party was told last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// As it was told.
    sent: Numbers,
    /// As they were written by whoever described the session.
    of: Numbers,
}

impl Origin {
    /// The beginning of a session.
    pub(crate) fn of(sdp: &str) -> Option<Self> {
        numbers(sdp).map(|(_, of)| Self { sent: of, of })
    }
}

/// The description with the numbers that continue what was told before. One whose numbers are none stays as it is.
pub(crate) fn continued(origin: &mut Option<Origin>, sdp: Sdp) -> Sdp {
    let Some((at, of)) = numbers(&sdp.0) else { return sdp };
    let sent = match *origin {
        None => of,
        Some(last) if last.of == of => last.sent,
        Some(last) => (last.sent.0, last.sent.1.wrapping_add(1)),
    };
    *origin = Some(Origin { sent, of });
    if sent == of {
        return sdp;
    }
    let (before, after) = (&sdp.0[..at.start], &sdp.0[at.end..]);
    Sdp::from(format!("{before}{} {}{after}", sent.0, sent.1).as_str())
}

/// Where the numbers stand, and what they are.
fn numbers(sdp: &str) -> Option<(std::ops::Range<usize>, Numbers)> {
    // Nearly always the second line.
    let mut line = 0;
    while !sdp[line..].starts_with("o=") {
        line += sdp[line..].find('\n')? + 1;
    }
    let text = sdp[line..].lines().next()?;
    let id = line + text.find(' ')? + 1;
    let version = id + sdp[id..].find(' ')? + 1;
    let end = version + sdp[version..].find(' ')?;
    (end <= line + text.len()).then_some(())?;
    Some((id..end, (sdp[id..version - 1].parse().ok()?, sdp[version..end].parse().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(origin: &mut Option<Origin>, numbers: &str) -> String {
        let sdp = format!("v=0\r\no=- {numbers} IN IP4 10.0.0.1\r\ns=-\r\n");
        let told = continued(origin, Sdp::from(sdp.as_str())).0.to_string();
        assert_eq!(told.len() - told.find("s=-").unwrap(), 5, "the rest stays: {told}");
        let line = told.lines().nth(1).unwrap();
        line.strip_prefix("o=- ").unwrap().strip_suffix(" IN IP4 10.0.0.1").unwrap().to_owned()
    }

    #[test]
    fn what_one_and_the_same_describes_keeps_its_numbers() {
        let mut origin = None;
        for numbers in ["77 1", "77 1", "77 2", "77 3"] {
            assert_eq!(line(&mut origin, numbers), numbers);
        }
    }

    #[test]
    fn whoever_else_describes_it_goes_on_counting() {
        let mut origin = None;
        for (written, told) in [
            ("77 1", "77 1"),
            ("88 5", "77 2"),
            ("88 5", "77 2"),
            ("88 9", "77 3"),
            ("77 1", "77 4"),
            ("77 3", "77 5"),
            ("77 18446744073709551615", "77 6"),
        ] {
            assert_eq!(line(&mut origin, written), told);
        }
    }

    #[test]
    fn what_has_no_numbers_stays_as_it_is() {
        for sdp in ["s1", "", "o=", "o=- 1", "o=- 1 2", "o=- x 2 IN IP4 h", "o=- 1\r\nc=2 3 4", "o=- 1 -2 IN IP4 h"] {
            let mut origin = None;
            assert_eq!(&*continued(&mut origin, Sdp::from(sdp)).0, sdp);
            assert_eq!(origin, None, "{sdp}");
        }
    }
}
