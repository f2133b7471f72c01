//! What OpenSIPS answers.

use std::time::Duration;

use compact_str::CompactString;
use hookswitch_call::MAX_ADDRESS;
use serde::Deserialize;
use serde_json::Value;

use crate::evi::state;

/// Longest reply that is read, in bytes: more than OpenSIPS can put into a datagram.
pub const MAX_REPLY: usize = 1_048_576;

/// Longest words of OpenSIPS's that are passed on, in bytes.
const MAX_WORDS: usize = 256;

/// A reply, and the name of the request it belongs to.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Reply {
    pub(crate) id: CompactString,
    pub(crate) answer: Answer,
}

/// What became of a request.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Answer {
    /// It was carried out.
    Result(Value),
    /// It was not.
    Error {
        /// A status, or a negative JSON-RPC code.
        code: i32,
        text: CompactString,
    },
    /// Nobody knows: no reply came.
    Lost,
}

/// What a dialog's look-up says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Truth {
    /// It exists, in this state.
    There(u8),
    /// It does not exist.
    Gone,
    /// OpenSIPS did not say.
    Unknown,
}

/// What a dialog's look-up says of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Listed {
    /// Its parties, caller and callee.
    pub(crate) parties: Option<[CompactString; 2]>,
    pub(crate) is_answered: bool,
    /// Since when, by OpenSIPS's clock.
    pub(crate) since: Option<Duration>,
}

#[derive(Deserialize)]
struct Raw {
    #[serde(default)]
    id: Value,
    result: Option<Value>,
    error: Option<RawError>,
}

#[derive(Deserialize)]
struct RawError {
    #[serde(default)]
    code: i64,
    #[serde(default)]
    message: Option<String>,
}

/// Reads one datagram or body; `None` if it is no reply to one request of ours (plain text, a batch, a foreign id).
pub(crate) fn read(bytes: &[u8]) -> Option<Reply> {
    if bytes.len() > MAX_REPLY {
        return None;
    }
    let raw: Raw = serde_json::from_slice(bytes).ok()?;
    let id = raw.id.as_str()?.into();
    let answer = match (raw.result, raw.error) {
        (_, Some(error)) => {
            let code = i32::try_from(error.code).unwrap_or(if error.code < 0 { i32::MIN } else { i32::MAX });
            Answer::Error { code, text: words(error.message.as_deref().unwrap_or("")) }
        }
        (Some(result), None) => Answer::Result(result),
        (None, None) => return None,
    };
    Some(Reply { id, answer })
}

impl Answer {
    /// The final status of a request that OpenSIPS sent for us: `486` and `Busy Here`.
    pub(crate) fn status(&self) -> Option<(u16, CompactString)> {
        let Self::Result(result) = self else { return None };
        status(result.get("Status")?.as_str()?)
    }

    /// What the look-up of one dialog says of it; none if there is none.
    pub(crate) fn dialog(&self) -> Option<Listed> {
        let Self::Result(result) = self else { return None };
        let dialog = dialog(result)?;
        let party = |name| dialog.get(name)?.as_str().filter(|text| is_party(text)).map(CompactString::from);
        let parties = party("from_uri").zip(party("to_uri")).map(|(caller, callee)| [caller, callee]);
        let since = dialog.get("timestart").and_then(number).filter(|since| *since > 0).map(Duration::from_secs);
        let is_answered = (state::ANSWERED..state::DELETED).contains(&dialog_state(result)?);
        Some(Listed { parties, is_answered, since })
    }

    /// As the answer to a look-up of one dialog.
    pub(crate) fn truth(&self) -> Truth {
        match self {
            Self::Result(result) => match dialog_state(result) {
                Some(state) => Truth::There(state),
                None => Truth::Gone,
            },
            Self::Error { code: 404, .. } => Truth::Gone,
            Self::Error { .. } | Self::Lost => Truth::Unknown,
        }
    }
}

/// A status line as OpenSIPS writes it: a code, a blank, words.
pub(crate) fn status(text: &str) -> Option<(u16, CompactString)> {
    let (code, phrase) = text.split_once(' ').unwrap_or((text, ""));
    let code = code.parse().ok().filter(|code| (100..700).contains(code))?;
    Some((code, words(phrase)))
}

/// Words of somebody else's, without control characters and not for ever.
pub(crate) fn words(text: &str) -> CompactString {
    let end = text.floor_char_boundary(text.len().min(MAX_WORDS));
    text[..end].chars().filter(|letter| !letter.is_control()).collect()
}

/// A number that may be written as a string.
pub(crate) fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// Whether a text can be shown as a party's address. Phones write it, so it may be anything.
fn is_party(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_ADDRESS && !text.chars().any(char::is_control)
}

fn dialog(result: &Value) -> Option<&Value> {
    match result.get("Dialog") {
        Some(dialog) => Some(dialog),
        None => result.get("Dialogs")?.get(0),
    }
}

fn dialog_state(result: &Value) -> Option<u8> {
    u8::try_from(number(dialog(result)?.get("state")?)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_batches_and_other_peoples_ids_are_no_replies() {
        for bad in [
            "400 Parse_error",
            "500 Internal error",
            "",
            "[]",
            r#"[{"jsonrpc":"2.0","result":"OK","id":"a"}]"#,
            r#"{"jsonrpc":"2.0","result":"OK","id":7}"#,
            r#"{"jsonrpc":"2.0","result":"OK"}"#,
            r#"{"jsonrpc":"2.0","id":"a"}"#,
            r#"{"jsonrpc":"2.0","error":7,"id":"a"}"#,
        ] {
            assert_eq!(read(bad.as_bytes()), None, "{bad}");
        }
        let long = format!(r#"{{"result":"{}","id":"a"}}"#, "x".repeat(MAX_REPLY));
        assert_eq!(read(long.as_bytes()), None);
    }

    #[test]
    fn an_error_is_read_without_its_data() {
        let text = r#"{"jsonrpc":"2.0","error":{"code":-32000,"message":"Server error","data":"x"},"id":"a"}"#;
        let expected = Answer::Error { code: -32000, text: "Server error".into() };
        assert_eq!(read(text.as_bytes()), Some(Reply { id: "a".into(), answer: expected }));
    }

    #[test]
    fn the_state_of_a_dialog_is_the_truth() {
        let there = Answer::Result(serde_json::json!({"Dialog": {"state": 4}}));
        assert_eq!(there.truth(), Truth::There(4));
        let listed = Answer::Result(serde_json::json!({"Dialogs": [{"state": "3"}]}));
        assert_eq!(listed.truth(), Truth::There(3));
        assert_eq!(Answer::Result(serde_json::json!({"Dialogs": []})).truth(), Truth::Gone);
        assert_eq!(Answer::Error { code: 404, text: "".into() }.truth(), Truth::Gone);
        assert_eq!(Answer::Error { code: -32601, text: "".into() }.truth(), Truth::Unknown);
    }

    #[test]
    fn a_dialog_names_its_parties_and_since_when_they_talk() {
        let read = |text: &str| Answer::Result(serde_json::from_str(text).unwrap()).dialog();
        // As captured from 4.1, shortened.
        let found = read(
            r#"{"Dialog": {"ID": "a5c.a3125381", "state": 4, "timestart": 1795189629, "callid": "8a26@127.0.0.21",
                "from_uri": "sip:dave@127.0.0.1:5080", "to_uri": "sip:erin@127.0.0.1:5080"}}"#,
        );
        let parties = Some(["sip:dave@127.0.0.1:5080".into(), "sip:erin@127.0.0.1:5080".into()]);
        let since = Some(Duration::from_secs(1_795_189_629));
        assert_eq!(found, Some(Listed { parties, is_answered: true, since }));
        let found = read(r#"{"Dialogs": [{"state": 2, "timestart": 0, "from_uri": "sip:a@x", "to_uri": ""}]}"#);
        assert_eq!(found, Some(Listed { parties: None, is_answered: false, since: None }));
        let long = format!(
            r#"{{"Dialog": {{"state": 4, "from_uri": "sip:a", "to_uri": "sip:{}"}}}}"#,
            "x".repeat(MAX_ADDRESS)
        );
        assert_eq!(read(&long).unwrap().parties, None);
        assert_eq!(
            read(r#"{"Dialog": {"state": 4, "from_uri": "sip:a\r\nb", "to_uri": "sip:b"}}"#).unwrap().parties,
            None
        );
        assert_eq!(read(r#"{"Dialogs": []}"#), None);
        assert_eq!(Answer::Lost.dialog(), None);
    }

    #[test]
    fn a_status_is_a_code_and_words() {
        assert_eq!(status("486 Busy Here"), Some((486, "Busy Here".into())));
        assert_eq!(status("200"), Some((200, "".into())));
        assert_eq!(status("200 a\r\nb"), Some((200, "ab".into())));
        for bad in ["", "OK", "99 x", "700 x", "-1 x"] {
            assert_eq!(status(bad), None, "{bad}");
        }
    }
}
