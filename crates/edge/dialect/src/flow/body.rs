//! What is posted.

use std::time::Duration;

use hookswitch_call::{Cause, Party, Recorded};
use serde_json::json;

use super::run::Run;

/// Why somebody is asked.
pub(super) enum Why<'a> {
    /// The call has come to the flow.
    Incoming,
    /// A verb `ask`.
    Next,
    /// Keys were waited for.
    Collected,
    /// Others were called.
    Dialed {
        /// How long they have talked; none where nobody has answered.
        talked: Option<Duration>,
        cause: Option<&'a Cause>,
    },
    /// The caller was recorded.
    Recorded(&'a Recorded),
    /// The call is over. Nothing is done with the answer.
    Ended(&'a Cause),
}

/// The document of a question.
pub(super) fn body(run: &Run, why: &Why<'_>) -> String {
    let party = match run.party {
        Party::Caller => "caller",
        Party::Callee => "callee",
    };
    let mut body = json!({
        "event": name(why), "flow": run.flow.name, "domain": run.flow.domain, "call": format!("call_{}", run.call),
        "question": run.questions, "party": party, "from": run.from.0, "to": run.to.0, "answered": run.answered,
    });
    match why {
        Why::Incoming | Why::Next => {}
        Why::Collected => body["collected"] = json!({ "keys": run.keys.0, "complete": run.keys.1 }),
        Why::Dialed { talked, cause } => {
            body["dialed"] = json!({ "answered": talked.is_some(), "seconds": talked.map_or(0.0, seconds) });
            if let Some(cause) = cause {
                body["dialed"]["status"] = cause.code.into();
                body["dialed"]["reason"] = cause.text.as_str().into();
            }
        }
        Why::Recorded(recorded) => {
            body["recorded"] = json!({
                "file": recorded.file, "seconds": seconds(recorded.duration), "bytes": recorded.size,
                "reason": recorded.reason.name(),
            });
        }
        Why::Ended(cause) => body["ended"] = json!({ "status": cause.code, "reason": cause.text }),
    }
    if let Some((verb, why)) = &run.failure {
        body["failure"] = json!({ "verb": verb, "why": why });
    }
    body.to_string()
}

const fn name(why: &Why<'_>) -> &'static str {
    match why {
        Why::Incoming => "incoming",
        Why::Next => "next",
        Why::Collected => "collected",
        Why::Dialed { .. } => "dialed",
        Why::Recorded(_) => "recorded",
        Why::Ended(_) => "ended",
    }
}

/// To the millisecond.
fn seconds(time: Duration) -> f64 {
    time.as_millis() as f64 / 1_000.0
}
