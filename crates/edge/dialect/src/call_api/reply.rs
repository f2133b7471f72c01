//! Writes what a client reads. Every text that leaves a session is made here.

use serde::Serialize;
use serde_json::value::RawValue;

use super::event_name::EventName;
use super::mode::Mode;
use super::notice::{Notice, Problem, Reason};
use super::subscribe;

/// The `id` of a reply.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ReplyId<'a> {
    /// What the client wrote.
    Raw(&'a RawValue),
    /// `null`: there was none, or none that may be repeated.
    Null,
    /// `""`: the original's word for a text that it cannot read.
    Empty,
}

impl Serialize for ReplyId<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Raw(raw) => raw.serialize(serializer),
            Self::Null => serializer.serialize_none(),
            Self::Empty => serializer.serialize_str(""),
        }
    }
}

/// The reply to a request that became a command.
pub(crate) fn started(id: ReplyId<'_>, cmd_id: &str) -> String {
    write(&Reply { jsonrpc: VERSION, id, result: Started { cmd_id, event: EventName::Started } })
}

/// The reply to a request that became none.
pub(crate) fn refusal(id: ReplyId<'_>, mode: Mode, problem: &Problem, with_reason: bool) -> String {
    write(&Refusal {
        jsonrpc: VERSION,
        id,
        error: ErrorObject {
            code: match mode {
                Mode::Original => ORIGINAL_CODE,
                Mode::Strict => problem.strict_code,
            },
            message: &problem.message,
            data: with_reason.then_some(ErrorData { reason: &problem.reason }),
        },
    })
}

/// One notification.
pub(crate) fn notification(method: &str, cmd_id: &str, notice: &Notice, with_reason: bool) -> String {
    write(&Notification {
        jsonrpc: VERSION,
        method,
        params: NotificationParams {
            cmd_id,
            data: notice.data.as_ref(),
            event: notice.event,
            reason: notice.reason.as_ref().filter(|_| with_reason),
        },
    })
}

/// An event of the log, for the `Subscribe` of this `cmd_id`. `event` is its document.
#[must_use]
pub fn logged(cmd_id: &str, event: &str) -> String {
    // It was written by us, so it is not read again.
    let cmd_id = serde_json::Value::from(cmd_id);
    let (method, name) = (subscribe::ROW.name, EventName::Logged.name());
    format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{{"cmd_id":{cmd_id},"data":{event},"event":"{name}"}}}}"#)
}

/// The replies of a batch as one text.
pub(crate) fn batch(replies: &[String]) -> String {
    format!("[{}]", replies.join(","))
}

const VERSION: &str = "2.0";

/// The one code of the original: positive, and outside of what JSON-RPC sets aside.
const ORIGINAL_CODE: i32 = 32_000;

// The members stand in the order in which clients have always seen them.

#[derive(Serialize)]
struct Reply<'a> {
    jsonrpc: &'static str,
    id: ReplyId<'a>,
    result: Started<'a>,
}

#[derive(Serialize)]
struct Started<'a> {
    cmd_id: &'a str,
    event: EventName,
}

#[derive(Serialize)]
struct Refusal<'a> {
    jsonrpc: &'static str,
    id: ReplyId<'a>,
    error: ErrorObject<'a>,
}

#[derive(Serialize)]
struct ErrorObject<'a> {
    code: i32,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<ErrorData<'a>>,
}

#[derive(Serialize)]
struct ErrorData<'a> {
    reason: &'a Reason,
}

#[derive(Serialize)]
struct Notification<'a> {
    jsonrpc: &'static str,
    method: &'a str,
    params: NotificationParams<'a>,
}

#[derive(Serialize)]
struct NotificationParams<'a> {
    cmd_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a super::notice::Data>,
    event: EventName,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a Reason>,
}

fn write(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("strings and numbers under string keys can always be written")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_of_the_log_is_written_as_all_notifications_are() {
        let text = logged("my \"own\"", r#"{"id":"7","data":{}}"#);
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&read["params"]["cmd_id"], &read["params"]["data"]["id"]), (&"my \"own\"".into(), &"7".into()));
        assert_eq!((&read["method"], &read["params"]["event"]), (&"Subscribe".into(), &"Logged".into()));
    }

    #[test]
    fn members_stand_in_the_order_of_the_original() {
        let raw: Box<RawValue> = serde_json::from_str("12345678901234567890").unwrap();
        assert_eq!(
            started(ReplyId::Raw(&raw), "x"),
            r#"{"jsonrpc":"2.0","id":12345678901234567890,"result":{"cmd_id":"x","event":"Started"}}"#
        );
        let problem = Problem::unknown_method("Nope");
        assert_eq!(
            refusal(ReplyId::Null, Mode::Original, &problem, false),
            r#"{"jsonrpc":"2.0","id":null,"error":{"code":32000,"message":"unknown JSON-RPC method"}}"#
        );
        let notice = Notice::new(EventName::Ended);
        assert_eq!(
            notification("CallEnd", "x", &notice, true),
            r#"{"jsonrpc":"2.0","method":"CallEnd","params":{"cmd_id":"x","event":"Ended"}}"#
        );
    }
}
