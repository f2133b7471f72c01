//! An application on the Call API, and what it may rely on.

use std::collections::BTreeMap;

use hookswitch_call::Time;
use hookswitch_shard::SessionId;
use serde_json::Value;

/// One notification, or the reply that starts a command.
#[derive(Debug, Clone, PartialEq)]
pub struct Notice {
    /// When.
    pub at: Time,
    /// Its command.
    pub cmd_id: String,
    /// `Started`, `CallerAnswered`, …
    pub event: String,
    /// The member `data`; null if there is none.
    pub data: Value,
}

/// One session of the Call API.
#[derive(Debug)]
pub struct App {
    pub(crate) session: SessionId,
    pub(crate) is_open: bool,
    pub(crate) notices: Vec<Notice>,
    /// Error replies and whatever else was no notice.
    pub(crate) others: Vec<Value>,
    /// The code that the switch closed the session with.
    pub(crate) closed_with: Option<u16>,
    running: BTreeMap<String, bool>,
}

impl App {
    pub(crate) fn new(session: SessionId) -> Self {
        Self {
            session,
            is_open: true,
            notices: Vec::new(),
            others: Vec::new(),
            closed_with: None,
            running: BTreeMap::new(),
        }
    }

    /// Takes one text and checks that its command allows it now: `Started` first, one `Ended` last.
    pub(crate) fn hear(&mut self, at: Time, text: &str) {
        assert!(self.is_open, "the switch speaks to a session that is gone: {text}");
        let message: Value = serde_json::from_str(text).expect("the switch writes JSON");
        let (body, is_reply) = match (&message["result"], &message["params"]) {
            (result @ Value::Object(_), _) => (result, true),
            (_, params @ Value::Object(_)) => (params, false),
            _ => {
                self.others.push(message);
                return;
            }
        };
        let text_of = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        let (cmd_id, event) = (text_of("cmd_id"), text_of("event"));
        let running = self.running.entry(cmd_id.clone()).or_insert(false);
        assert_eq!(is_reply, event == "Started", "only the reply starts a command: {text}");
        assert_ne!(is_reply, *running, "{cmd_id} begins twice, or speaks while it does not run: {text}");
        *running = event != "Ended";
        self.notices.push(Notice { at, cmd_id, event, data: body["data"].clone() });
    }

    /// Commands that have started and not ended.
    #[must_use]
    pub fn running(&self) -> Vec<&str> {
        self.running.iter().filter(|(_, running)| **running).map(|(cmd_id, _)| cmd_id.as_str()).collect()
    }

    /// Everything that was notified, of all commands.
    #[must_use]
    pub fn notices(&self) -> &[Notice] {
        &self.notices
    }

    /// The names of a command's events in their order.
    #[must_use]
    pub fn events(&self, cmd_id: &str) -> Vec<&str> {
        self.of(cmd_id).map(|notice| notice.event.as_str()).collect()
    }

    /// The data of a command's first event of this name.
    #[must_use]
    pub fn data(&self, cmd_id: &str, event: &str) -> Option<&Value> {
        self.of(cmd_id).find(|notice| notice.event == event).map(|notice| &notice.data)
    }

    /// The `error.message` of all error replies.
    #[must_use]
    pub fn errors(&self) -> Vec<&str> {
        self.others.iter().filter_map(|other| other["error"]["message"].as_str()).collect()
    }

    /// The code that the switch closed the session with, if it did.
    #[must_use]
    pub fn closed_with(&self) -> Option<u16> {
        self.closed_with
    }

    fn of(&self, cmd_id: &str) -> impl Iterator<Item = &Notice> {
        self.notices.iter().filter(move |notice| notice.cmd_id == cmd_id)
    }
}
