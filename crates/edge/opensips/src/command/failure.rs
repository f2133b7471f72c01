//! Why commands fail, and whose fault it was.

use compact_str::CompactString;
use hookswitch_call::{Cause, Failure, Fault, Kind, Stage, Upstream};

/// What every command is told that runs while OpenSIPS is lost, and every other that comes then.
pub(crate) const NOT_ANSWERING: &str = "OpenSIPS is not answering";

/// An error that OpenSIPS itself answered with.
pub(crate) fn refused(stage: Stage, code: i32, text: &CompactString) -> Failure {
    let cause = match u16::try_from(code) {
        Ok(status @ 400..=699) => {
            let fault = match status {
                400 | 404 | 410 | 420 | 480 | 491 => Fault::Controller,
                _ => Fault::Upstream,
            };
            Cause { fault, ..Cause::from_status(status, text) }
        }
        _ if code == METHOD_NOT_FOUND => Cause::new(Kind::Unsupported, Fault::Upstream)
            .with_text("this OpenSIPS has not loaded the module that would do this"),
        _ => Cause::new(Kind::Other, Fault::Upstream).with_text(text.to_string()),
    };
    Failure { upstream: Some(Upstream { code, text: text.clone() }), ..Failure::new(stage, cause) }
}

/// JSON-RPC's code for a method that does not exist.
const METHOD_NOT_FOUND: i32 = -32_601;

/// A final status of a party.
pub(crate) fn status(stage: Stage, code: u16, text: &CompactString) -> Failure {
    let mut failure = Failure::new(stage, Cause::from_status(code, text));
    if code < 400 {
        // An answer that is none, or a redirection that nobody follows: an ordinary end it is not.
        failure.cause = Cause { code, ..Cause::new(Kind::Other, Fault::Peer).with_text(text.to_string()) };
    }
    failure
}

/// OpenSIPS is lost.
pub(crate) fn down() -> Failure {
    backend(NOT_ANSWERING)
}

/// OpenSIPS did not do its part; the text says which.
pub(crate) fn backend(text: &'static str) -> Failure {
    Failure::new(Stage::Backend, Cause::new(Kind::Overloaded, Fault::Upstream).with_text(text))
}

/// An address cannot be understood: nobody was asked.
pub(crate) fn bad_address() -> Failure {
    Failure::new(Stage::Request, Cause::new(Kind::BadAddress, Fault::Controller))
}

/// Notes that cannot be written as header fields: nobody was asked.
pub(crate) fn bad_notes() -> Failure {
    let cause = Cause::from_status(400, "a note cannot be written as a header field");
    Failure::new(Stage::Request, Cause { fault: Fault::Controller, kind: Kind::Other, ..cause })
}

/// This OpenSIPS cannot do it.
pub(crate) fn unsupported(stage: Stage, text: &CompactString) -> Failure {
    Failure::new(stage, Cause::new(Kind::Unsupported, Fault::Upstream).with_text(text.to_string()))
}

/// The controller ended what the command was making.
pub(crate) fn given_up(stage: Stage) -> Failure {
    Failure::new(stage, Cause::new(Kind::Cancelled, Fault::Controller))
}
