//! Whether a command says everything it should, once and in order.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// What was seen of one command.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Course {
    step: u8,
    pub(super) failed: bool,
    /// When the request left.
    pub(super) asked: Duration,
    /// From the request to the datagram for OpenSIPS.
    pub(super) to_mi: Option<Duration>,
    /// When OpenSIPS reported the new call.
    pub(super) reported: Option<Duration>,
    /// From that report to the application.
    pub(super) to_application: Option<Duration>,
}

/// What is wrong with what the commands of a round have said. All zero is as it should be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct Faults {
    /// Commands that did not end.
    pub(super) lost: u64,
    /// Things said twice, or after the end.
    pub(super) repeated: u64,
    /// Things said too early.
    pub(super) reordered: u64,
    /// Things said that mean nothing here.
    pub(super) unknown: u64,
}

/// What is said of a call that is started, in this order; `TransferPending` may come any number of times in its place.
const CALL: &[&str] =
    &["Started", "CallerAnswered", "Transferring", "TransferStart", "TransferPending", "CalleeAnswered", "Ended"];
const PENDING: u8 = 5;

/// What is said of an echo.
const ECHO: &[&str] = &["Started", "Reply", "Ended"];

/// What a command does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deed {
    Call,
    Echo,
}

impl Course {
    pub(super) const fn new(asked: Duration) -> Self {
        Self { step: 0, failed: false, asked, to_mi: None, reported: None, to_application: None }
    }

    /// Something was said. True when it was the last thing that should be.
    pub(super) fn hear(&mut self, deed: Deed, event: &str, faults: &mut Faults) -> bool {
        let words = match deed {
            Deed::Call => CALL,
            Deed::Echo => ECHO,
        };
        if event == "Error" {
            self.failed = true;
            return false;
        }
        let Some(place) = words.iter().position(|word| *word == event) else {
            faults.unknown += 1;
            return false;
        };
        // How many of the words were passed once this one was said.
        let place = place as u8 + 1;
        let is_pending = deed == Deed::Call && place == PENDING;
        let may_skip = self.failed || (deed == Deed::Call && self.step + 1 == PENDING && place == PENDING + 1);
        if place <= self.step && !(is_pending && self.step == PENDING) {
            faults.repeated += 1;
            return false;
        }
        if place > self.step + 1 && !may_skip {
            faults.reordered += 1;
        }
        self.step = place;
        usize::from(place) == words.len()
    }

    pub(super) fn has_ended(&self, deed: Deed) -> bool {
        match deed {
            Deed::Call => usize::from(self.step) == CALL.len(),
            Deed::Echo => usize::from(self.step) == ECHO.len(),
        }
    }
}

/// A message of the daemon, as far as it matters.
#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    params: Option<Said<'a>>,
    #[serde(borrow, default)]
    result: Option<Said<'a>>,
}

#[derive(Deserialize)]
struct Said<'a> {
    cmd_id: &'a str,
    event: &'a str,
}

/// The number of the command that a message is about, and what it says. A reply and its request must fit together.
pub(super) fn read<'a>(text: &'a str, name: &str) -> Option<(usize, &'a str)> {
    let message: Message<'a> = serde_json::from_str(text).ok()?;
    let is_reply = message.result.is_some();
    let said = message.params.or(message.result)?;
    let number = said.cmd_id.strip_prefix(name)?;
    if is_reply && message.id?.get() != number {
        return None;
    }
    Some((number.parse().ok()?, said.event))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(deed: Deed, events: &[&str]) -> (bool, Faults) {
        let mut course = Course::new(Duration::ZERO);
        let mut faults = Faults::default();
        for event in events {
            course.hear(deed, event, &mut faults);
        }
        (course.has_ended(deed), faults)
    }

    #[test]
    fn what_is_as_it_should_be_has_no_faults() {
        let fine = (true, Faults::default());
        assert_eq!(faults(Deed::Echo, ECHO), fine);
        assert_eq!(faults(Deed::Call, CALL), fine);
        let without = ["Started", "CallerAnswered", "Transferring", "TransferStart", "CalleeAnswered", "Ended"];
        assert_eq!(faults(Deed::Call, &without), fine);
        let many = [&CALL[..5], &["TransferPending", "TransferPending"], &CALL[5..]].concat();
        assert_eq!(faults(Deed::Call, &many), fine);
        assert_eq!(faults(Deed::Call, &["Started", "Error", "Ended"]), fine);
    }

    #[test]
    fn faults_are_told_apart() {
        let (ended, found) = faults(Deed::Echo, &["Reply", "Started", "Ended", "Ended"]);
        assert_eq!((ended, found), (true, Faults { reordered: 1, repeated: 2, ..Faults::default() }));
        let (ended, found) = faults(Deed::Call, &["Started", "CallerAnswered", "TransferStart"]);
        assert_eq!((ended, found), (false, Faults { reordered: 1, ..Faults::default() }));
        assert_eq!(faults(Deed::Echo, &["Started", "Huh"]).1, Faults { unknown: 1, ..Faults::default() });
    }

    #[test]
    fn messages_are_read() {
        let reply = r#"{"jsonrpc":"2.0","id":7,"result":{"cmd_id":"b-7","event":"Started"}}"#;
        assert_eq!(read(reply, "b-"), Some((7, "Started")));
        assert_eq!(read(&reply.replace("\"id\":7", "\"id\":8"), "b-"), None);
        let notice = r#"{"jsonrpc":"2.0","method":"Echo","params":{"cmd_id":"b-9","data":{},"event":"Reply"}}"#;
        assert_eq!(read(notice, "b-"), Some((9, "Reply")));
        assert_eq!(read(notice, "c-"), None);
    }
}
