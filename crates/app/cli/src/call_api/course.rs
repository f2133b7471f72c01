//! The course of one command, as its client hears it.
//!
//! ```text
//! request ──┬─ error ────────────────────────────────── refused
//!           └─ Started ──┬─ progress … ─────── Ended ── succeeded
//!                        └─ progress … Error ─ Ended ── failed
//! ```
//!
//! The original daemon keeps no order, so what comes before the reply is kept until the reply says which notifications
//! are ours. Anything else that a server says is foreign, and harms nobody.

use serde_json::Value;

/// Most notifications that are kept until the reply comes.
const MOST_EARLY: usize = 1_024;

/// What a message means to the client of one command.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    /// The command runs, under this name.
    Started(String),
    /// It does not: the error of the reply.
    Refused(String),
    /// It is under way.
    Event {
        /// Name of the event.
        name: String,
        /// What else is known.
        data: Option<Value>,
    },
    /// It failed; `Ended` still follows.
    Failed {
        /// With this error.
        error: String,
        /// What explains it, if the error itself does not say so.
        why: Option<String>,
    },
    /// It is over.
    Ended,
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As it should.
    Succeeded,
    /// With this error.
    Failed(String),
}

/// One command, from its request on.
#[derive(Debug)]
pub struct Course {
    id: Value,
    cmd_id: Option<String>,
    early: Vec<Value>,
    error: Option<String>,
    ended: bool,
    refused: bool,
}

impl Course {
    /// That of a request with this `id`.
    #[must_use]
    pub const fn new(id: Value) -> Self {
        Self { id, cmd_id: None, early: Vec::new(), error: None, ended: false, refused: false }
    }

    /// The name under which the command runs, once that is known.
    #[must_use]
    pub fn cmd_id(&self) -> Option<&str> {
        self.cmd_id.as_deref()
    }

    /// How it ended, if it has.
    #[must_use]
    pub fn verdict(&self) -> Option<Verdict> {
        (self.ended || self.refused).then(|| match &self.error {
            None => Verdict::Succeeded,
            Some(error) => Verdict::Failed(error.clone()),
        })
    }

    /// The error that was told, whether or not the end has come.
    #[must_use]
    pub fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }

    /// Takes one message of the server; says what in it (and in earlier ones) is about this command, in order.
    pub fn hear(&mut self, message: Value) -> Vec<Heard> {
        if message.get("method").is_some() {
            return match &self.cmd_id {
                Some(_) => self.notified(&message).into_iter().collect(),
                None => {
                    if self.early.len() < MOST_EARLY {
                        self.early.push(message);
                    }
                    Vec::new()
                }
            };
        }
        if let Some(error) = message.get("error").filter(|error| !error.is_null()) {
            return self.refused(&message, error).into_iter().collect();
        }
        self.started(&message)
    }

    fn started(&mut self, reply: &Value) -> Vec<Heard> {
        let cmd_id = reply["result"]["cmd_id"].as_str();
        let (Some(cmd_id), None) = (cmd_id.filter(|_| reply.get("id") == Some(&self.id)), &self.cmd_id) else {
            return Vec::new();
        };
        self.cmd_id = Some(cmd_id.to_owned());
        let mut heard = vec![Heard::Started(cmd_id.to_owned())];
        for message in std::mem::take(&mut self.early) {
            heard.extend(self.notified(&message));
        }
        heard
    }

    /// A request that could not be read is refused without its `id`; only ours can be meant, while it has no reply.
    fn refused(&mut self, reply: &Value, error: &Value) -> Option<Heard> {
        let id = reply.get("id").unwrap_or(&Value::Null);
        let is_ours = *id == self.id || id.is_null() || id.as_str().is_some_and(str::is_empty);
        if !is_ours || self.cmd_id.is_some() || self.refused {
            return None;
        }
        let text = error["message"].as_str().map_or_else(|| error.to_string(), str::to_owned);
        self.refused = true;
        self.error = Some(text.clone());
        Some(Heard::Refused(text))
    }

    fn notified(&mut self, message: &Value) -> Option<Heard> {
        let params = &message["params"];
        let is_ours = self.cmd_id.is_some() && params["cmd_id"].as_str() == self.cmd_id.as_deref();
        if !is_ours || self.ended {
            return None;
        }
        match params["event"].as_str()? {
            "Ended" => {
                self.ended = true;
                Some(Heard::Ended)
            }
            "Error" => {
                let data = &params["data"];
                let text = data.as_str().map_or_else(|| data.to_string(), str::to_owned);
                self.error.get_or_insert_with(|| text.clone());
                let why = params["reason"]["text"].as_str().filter(|why| !text.contains(why)).map(str::to_owned);
                Some(Heard::Failed { error: text, why })
            }
            name => Some(Heard::Event { name: name.to_owned(), data: params.get("data").cloned() }),
        }
    }
}

/// A value as Go's `fmt.Sprint` shows it: `map[callee:sip:b@x caller:sip:a@x]`.
#[must_use]
pub fn go_text(value: &Value) -> String {
    let joined = |parts: Vec<String>| parts.join(" ");
    match value {
        Value::Null => "<nil>".into(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Array(values) => format!("[{}]", joined(values.iter().map(go_text).collect())),
        Value::Object(members) => {
            let mut pairs: Vec<_> = members.iter().collect();
            pairs.sort_by_key(|(name, _)| *name);
            format!("map[{}]", joined(pairs.iter().map(|(name, value)| format!("{name}:{}", go_text(value))).collect()))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn reply() -> Value {
        json!({"jsonrpc": "2.0", "id": "7", "result": {"cmd_id": "c1", "event": "Started"}})
    }

    fn event(cmd_id: &str, name: &str, data: Value) -> Value {
        json!({"jsonrpc": "2.0", "method": "CallStart", "params": {"cmd_id": cmd_id, "event": name, "data": data}})
    }

    #[test]
    fn success_is_the_reply_and_then_its_own_ended() {
        let mut course = Course::new(json!("7"));
        assert_eq!(course.hear(reply()), [Heard::Started("c1".into())]);
        assert!(course.hear(event("other", "Ended", Value::Null)).is_empty(), "somebody else's");
        assert_eq!(course.verdict(), None);
        let heard = course.hear(event("c1", "CallerAnswered", json!({"a": "b"})));
        assert_eq!(heard, [Heard::Event { name: "CallerAnswered".into(), data: Some(json!({"a": "b"})) }]);
        assert_eq!(course.hear(event("c1", "Ended", Value::Null)), [Heard::Ended]);
        assert_eq!(course.verdict(), Some(Verdict::Succeeded));
        assert!(course.hear(event("c1", "Error", json!("late"))).is_empty(), "nothing comes after the end");
        assert_eq!(course.verdict(), Some(Verdict::Succeeded));
    }

    #[test]
    fn an_error_is_a_failure_but_not_yet_the_end() {
        let mut course = Course::new(json!("7"));
        course.hear(reply());
        assert_eq!(
            course.hear(event("c1", "Error", json!("404 Dialog not found"))),
            [Heard::Failed { error: "404 Dialog not found".into(), why: None }]
        );
        assert_eq!((course.verdict(), course.error()), (None, Some("404 Dialog not found")));
        course.hear(event("c1", "Ended", Value::Null));
        assert_eq!(course.verdict(), Some(Verdict::Failed("404 Dialog not found".into())));
    }

    #[test]
    fn the_reason_of_an_error_is_told_where_it_says_more() {
        for (reason, expected) in
            [("Dialog not found", None), ("gone for an hour", Some("gone for an hour".to_owned()))]
        {
            let mut course = Course::new(json!("7"));
            course.hear(reply());
            let mut message = event("c1", "Error", json!("404 Dialog not found"));
            message["params"]["reason"] = json!({"code": 404, "text": reason});
            assert_eq!(course.hear(message), [Heard::Failed { error: "404 Dialog not found".into(), why: expected }]);
        }
    }

    #[test]
    fn a_refusal_is_the_end_whatever_its_id_if_it_can_only_be_ours() {
        for id in [json!("7"), json!(""), json!(null)] {
            let mut course = Course::new(json!("7"));
            let refusal =
                json!({"jsonrpc": "2.0", "id": id, "error": {"code": 32000, "message": "unknown JSON-RPC method"}});
            assert_eq!(course.hear(refusal.clone()), [Heard::Refused("unknown JSON-RPC method".into())]);
            assert_eq!(course.verdict(), Some(Verdict::Failed("unknown JSON-RPC method".into())));
            assert!(course.hear(refusal).is_empty(), "once");
        }
        let mut course = Course::new(json!("7"));
        assert!(course.hear(json!({"id": "8", "error": {"message": "no"}})).is_empty());
        assert_eq!(course.hear(json!({"id": "7", "error": "odd"})), [Heard::Refused("\"odd\"".into())]);
    }

    #[test]
    fn notifications_may_overtake_the_reply() {
        let mut course = Course::new(json!("7"));
        assert!(course.hear(event("c1", "Reply", json!({}))).is_empty());
        assert!(course.hear(event("c2", "Reply", json!({}))).is_empty());
        assert!(course.hear(event("c1", "Ended", Value::Null)).is_empty());
        let heard = course.hear(reply());
        assert!(matches!(&heard[..], [Heard::Started(_), Heard::Event { .. }, Heard::Ended]), "{heard:?}");
        assert_eq!(course.verdict(), Some(Verdict::Succeeded));
    }

    #[test]
    fn odd_messages_are_foreign() {
        let mut course = Course::new(json!("7"));
        for odd in [json!(null), json!([1]), json!("x"), json!({"params": 5}), json!({"method": 5, "params": [1]})] {
            assert!(course.hear(odd).is_empty());
        }
        course.hear(reply());
        for odd in [json!({"method": "x", "params": "Ended"}), event("c1", "", json!(1)), json!({"method": "x"})] {
            course.hear(odd);
            assert_eq!(course.verdict(), None);
        }
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut course = Course::new(json!("7"));
        for _ in 0..2 * MOST_EARLY {
            course.hear(event("c1", "x", Value::Null));
        }
        assert_eq!(course.hear(reply()).len(), 1 + MOST_EARLY);
    }

    #[test]
    fn data_is_shown_as_go_shows_it() {
        let data = json!({"caller": "sip:a@x", "callee": "sip:b@x", "n": 1, "list": ["a", null], "deep": {"x": true}});
        assert_eq!(go_text(&data), "map[callee:sip:b@x caller:sip:a@x deep:map[x:true] list:[a <nil>] n:1]");
        assert_eq!(go_text(&json!({})), "map[]");
    }
}
