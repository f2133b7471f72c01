//! What OpenSIPS tells (Event Interface): one JSON-RPC notification per datagram, or one after the other in a stream.

pub(crate) mod stream;

use compact_str::CompactString;
use hookswitch_call::Party;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::address::{MAX_NAME, is_name, without_match_param};
use crate::mi::reply::{number, status};

/// Longest event that is read, in bytes: what fits into a datagram.
pub const MAX_EVENT: usize = 65_535;

/// What can be subscribed to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub(crate) enum Topic {
    /// How transfers fare.
    Transfer,
    /// How holds fare.
    Hold,
    /// How every dialog fares.
    Dialog,
}

impl Topic {
    /// All, in the order in which they are subscribed to.
    pub(crate) const ALL: [Self; 3] = [Self::Transfer, Self::Hold, Self::Dialog];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Transfer => "E_CALL_TRANSFER",
            Self::Hold => "E_CALL_HOLD",
            Self::Dialog => "E_DLG_STATE_CHANGED",
        }
    }
}

/// One event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Sign {
    Transfer(TransferSign),
    Hold(HoldSign),
    Dialog(DialogSign),
}

/// Something happened to a transfer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct TransferSign {
    /// The call that is transferred.
    pub(crate) callid: CompactString,
    /// The call that the transferred party makes.
    pub(crate) new: Option<CompactString>,
    /// Whom it calls.
    pub(crate) to: Option<CompactString>,
    pub(crate) step: TransferStep,
    /// Code and phrase, where one belongs to the step.
    pub(crate) status: Option<(u16, CompactString)>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum TransferStep {
    /// The new call has begun.
    Start,
    /// The transferred party reports how it fares.
    Notify,
    /// The new call is answered.
    Ok,
    /// The new call has failed.
    Fail,
}

/// Something happened to a hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct HoldSign {
    pub(crate) callid: CompactString,
    pub(crate) step: HoldStep,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum HoldStep {
    /// What was asked of a party.
    Leg { party: Party, on: bool, turn: Turn },
    /// The second re-INVITE could not be sent: the event comes with its own parameters' names for values.
    Broken,
}

/// How far one party is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Turn {
    Start,
    Ok,
    Fail,
}

/// A dialog has changed its state.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct DialogSign {
    pub(crate) callid: CompactString,
    /// The state before, if it was told.
    pub(crate) old: Option<u8>,
    pub(crate) state: u8,
}

impl DialogSign {
    /// Whether it had been answered before this.
    pub(crate) fn was_answered(&self) -> bool {
        self.old.is_some_and(|old| old >= state::ANSWERED)
    }

    /// Whether an answered call is over. A dialog that ends unanswered may be the second of a doubled INVITE's two,
    /// which have one Call-ID.
    pub(crate) fn is_the_end(&self) -> bool {
        self.state == state::DELETED && self.old.is_none_or(|old| old >= state::ANSWERED)
    }
}

/// Dialog states, as OpenSIPS numbers them.
pub(crate) mod state {
    /// Answered; the ACK has not been seen.
    pub(crate) const ANSWERED: u8 = 3;
    /// Answered and acknowledged.
    pub(crate) const CONFIRMED: u8 = 4;
    /// Over.
    pub(crate) const DELETED: u8 = 5;
}

/// What an event turned out to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Heard {
    Sign(Sign),
    /// An event that nobody here asked for.
    Unasked,
    /// No event.
    Bad,
}

#[derive(Deserialize)]
struct Raw {
    method: String,
    #[serde(default)]
    params: Value,
}

/// Reads one event.
pub(crate) fn read(bytes: &[u8]) -> Heard {
    if bytes.len() > MAX_EVENT {
        return Heard::Bad;
    }
    let Ok(raw) = serde_json::from_slice::<Raw>(bytes) else { return Heard::Bad };
    let sign = match Topic::ALL.into_iter().find(|topic| topic.name() == raw.method) {
        Some(Topic::Transfer) => transfer(&raw.params).map(Sign::Transfer),
        Some(Topic::Hold) => hold(&raw.params).map(Sign::Hold),
        Some(Topic::Dialog) => dialog(&raw.params).map(Sign::Dialog),
        None => return Heard::Unasked,
    };
    sign.map_or(Heard::Bad, Heard::Sign)
}

/// Parameter `leg` is not read: it may be the new Call-ID, null or `unknown`.
fn transfer(params: &Value) -> Option<TransferSign> {
    let step = match text(params, "state")? {
        "start" => TransferStep::Start,
        "notify" => TransferStep::Notify,
        "ok" => TransferStep::Ok,
        // Every release says `fail`; the documents say otherwise.
        "fail" | "failure" => TransferStep::Fail,
        _ => return None,
    };
    let new = text(params, "transfer_callid").filter(|name| is_name(name) && *name != "unknown");
    let to = text(params, "destination").filter(|to| !to.is_empty() && !to.chars().any(char::is_control));
    Some(TransferSign {
        callid: callid(params)?,
        new: new.map(CompactString::from),
        to: to.map(without_match_param),
        step,
        status: text(params, "status").and_then(status),
    })
}

fn hold(params: &Value) -> Option<HoldSign> {
    let callid = callid(params)?;
    let (action, state) = (text(params, "action")?, text(params, "state")?);
    if action == "action" && state == "state" {
        return Some(HoldSign { callid, step: HoldStep::Broken });
    }
    let party = match text(params, "leg")? {
        "caller" => Party::Caller,
        "callee" => Party::Callee,
        _ => return None,
    };
    let on = match action {
        "hold" => true,
        "unhold" => false,
        _ => return None,
    };
    let turn = match state {
        "start" => Turn::Start,
        "ok" => Turn::Ok,
        "fail" | "failure" => Turn::Fail,
        _ => return None,
    };
    Some(HoldSign { callid, step: HoldStep::Leg { party, on, turn } })
}

fn dialog(params: &Value) -> Option<DialogSign> {
    let state = u8::try_from(number(params.get("new_state")?)?).ok()?;
    (1..=state::DELETED).contains(&state).then_some(())?;
    let old = params.get("old_state").and_then(number).and_then(|old| u8::try_from(old).ok());
    Some(DialogSign { callid: callid(params)?, old, state })
}

fn callid(params: &Value) -> Option<CompactString> {
    text(params, "callid").filter(|name| name.len() <= MAX_NAME && is_name(name)).map(CompactString::from)
}

fn text<'a>(params: &'a Value, name: &str) -> Option<&'a str> {
    params.get(name)?.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sign(text: &str) -> Heard {
        read(text.as_bytes())
    }

    #[test]
    fn the_leg_of_a_transfer_may_be_anything() {
        for leg in [r#""caller""#, r#""6bd21a6f58e73b95""#, "null", r#""unknown""#] {
            let text = format!(
                r#"{{"jsonrpc":"2.0","method":"E_CALL_TRANSFER","params":{{"callid":"a","leg":{leg},"transfer_callid":"n","destination":"","state":"notify","status":"100 Trying"}}}}"#
            );
            let Heard::Sign(Sign::Transfer(found)) = sign(&text) else { panic!("{text}") };
            assert_eq!((found.new.as_deref(), found.to, found.step), (Some("n"), None, TransferStep::Notify));
            assert_eq!(found.status, Some((100, "Trying".into())));
        }
    }

    #[test]
    fn a_hold_that_could_not_be_sent_has_names_for_values() {
        let text =
            r#"{"method":"E_CALL_HOLD","params":{"callid":"a","leg":"callee","action":"action","state":"state"}}"#;
        assert_eq!(sign(text), Heard::Sign(Sign::Hold(HoldSign { callid: "a".into(), step: HoldStep::Broken })));
    }

    #[test]
    fn what_is_no_event_is_bad_and_what_nobody_asked_for_is_unasked() {
        for bad in [
            "",
            "E_CALL_HOLD\ncallid::a",
            "{}",
            "[]",
            r#"{"method":7}"#,
            r#"{"method":"E_CALL_HOLD"}"#,
            r#"{"method":"E_CALL_HOLD","params":{"callid":"a","leg":"both","action":"hold","state":"ok"}}"#,
            r#"{"method":"E_CALL_TRANSFER","params":{"callid":7,"state":"ok"}}"#,
            r#"{"method":"E_CALL_TRANSFER","params":{"callid":"a","state":"done"}}"#,
            r#"{"method":"E_DLG_STATE_CHANGED","params":{"callid":"a","new_state":9}}"#,
            r#"{"method":"E_DLG_STATE_CHANGED","params":{"callid":"","new_state":4}}"#,
        ] {
            assert_eq!(sign(bad), Heard::Bad, "{bad}");
        }
        assert_eq!(sign(r#"{"method":"E_UL_CONTACT_INSERT","params":{}}"#), Heard::Unasked);
    }
}
