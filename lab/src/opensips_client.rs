//! A session in front of an OpenSIPS, and what it may rely on.
//!
//! A command begins once, ends once, says nothing outside, and says what it says in its order. Whoever follows all
//! calls is told of each without a gap, up to its end.

use std::collections::BTreeMap;

use hookswitch_call::Time;
use serde_json::Value;

/// One message that a session got.
#[derive(Debug, Clone, PartialEq)]
pub struct Heard {
    /// When.
    pub at: Time,
    /// What.
    pub message: Value,
}

impl Heard {
    /// The members of a notification, or of the reply that starts a command.
    fn body(&self) -> &Value {
        if self.message["params"].is_object() { &self.message["params"] } else { &self.message["result"] }
    }

    /// The command's `cmd_id`; empty if it is about none.
    #[must_use]
    pub fn cmd_id(&self) -> &str {
        self.body()["cmd_id"].as_str().unwrap_or_default()
    }

    /// The event's name; empty if it is none.
    #[must_use]
    pub fn event(&self) -> &str {
        self.body()["event"].as_str().unwrap_or_default()
    }

    /// The event's data; null if there is none.
    #[must_use]
    pub fn data(&self) -> &Value {
        &self.body()["data"]
    }
}

/// What a session has heard.
#[derive(Debug, Default)]
pub struct Client {
    /// All of it, in order.
    pub heard: Vec<Heard>,
    /// The commands that run, and how far they have come.
    pub running: BTreeMap<String, Progress>,
    /// Commands that have ended, well or not.
    pub ended: u64,
    /// Commands that have ended with an `Error`.
    pub failed: u64,
    /// The code that its connection was closed with.
    pub closed_with: Option<u16>,
    /// Calls that the session is told of as a follower: how many events of each.
    pub followed: BTreeMap<String, u64>,
    /// Calls of others whose end it was told of.
    pub seen_to_end: u64,
    is_gone: bool,
}

/// How far a command has come.
#[derive(Debug, Default)]
pub struct Progress {
    rank: u8,
    asked: Vec<String>,
    failed: bool,
}

/// The place of an event in its command. Those of one rank may follow each other in any order.
fn rank(event: &str) -> u8 {
    match event {
        "Started" => 0,
        "CallerAnswered" => 1,
        "Transferring" | "CallHolding" | "CallUnholding" => 2,
        "TransferStart" => 3,
        "TransferPending" => 4,
        "CalleeAnswered" | "TransferSuccessful" => 5,
        "CallHoldStart" | "CallUnholdStart" | "CallHoldSuccessful" | "CallUnholdSuccessful" => 6,
        "Reply" => 7,
        concat!("TO", "DO") => 7,
        "CallEnded" => 8,
        "Error" => 9,
        "Ended" => 10,
        other => panic!("no event is called {other:?}"),
    }
}

/// Events that come once in a command, if at all.
fn comes_once(event: &str) -> bool {
    !matches!(
        event,
        "TransferPending" | "CallHoldStart" | "CallUnholdStart" | "CallHoldSuccessful" | "CallUnholdSuccessful"
    )
}

impl Client {
    pub(crate) fn is_gone(&self) -> bool {
        self.is_gone
    }

    /// It is gone, and must not hear another word.
    pub(crate) fn leave(&mut self) {
        self.is_gone = true;
    }

    pub(crate) fn hear(&mut self, at: Time, text: &str) {
        assert!(!self.is_gone, "the front speaks to a session that is gone: {text}");
        let message: Value = serde_json::from_str(text).expect("the front writes JSON");
        let messages = match message {
            Value::Array(batch) => batch,
            one => vec![one],
        };
        for message in messages {
            let heard = Heard { at, message };
            if !heard.event().is_empty() {
                self.follow(&heard, text);
            }
            self.heard.push(heard);
        }
    }

    /// An event of some call: they are counted from 0 without a gap, and nothing comes after the end.
    fn follow_call(&mut self, heard: &Heard, text: &str) {
        let data = heard.data();
        let call = data["call"].as_str().expect("the name of a call").to_owned();
        let seq = data["seq"].as_u64().expect("a count");
        match self.followed.get_mut(&call) {
            Some(told) => {
                assert_eq!(seq, *told, "an event is missing, or told twice: {text}");
                *told += 1;
            }
            // It may have begun before the session did.
            None => drop(self.followed.insert(call.clone(), seq + 1)),
        }
        if heard.event() == "CallEnded" {
            self.followed.remove(&call);
            self.seen_to_end += 1;
        }
    }

    fn follow(&mut self, heard: &Heard, text: &str) {
        let (cmd_id, event) = (heard.cmd_id(), heard.event());
        if heard.message["method"] == "Subscribe" && event != "Ended" {
            return self.follow_call(heard, text);
        }
        if heard.message["result"].is_object() {
            assert_eq!(event, "Started", "only the reply starts a command: {text}");
            let before = self.running.insert(cmd_id.to_owned(), Progress::default());
            assert!(before.is_none(), "{cmd_id} begins twice: {text}");
            return;
        }
        let progress = self.running.get_mut(cmd_id);
        let progress = progress.unwrap_or_else(|| panic!("{cmd_id} does not run: {text}"));
        let rank = rank(event);
        let in_order = if comes_once(event) { rank > progress.rank } else { rank >= progress.rank };
        assert!(in_order, "{event} of {cmd_id} comes too late, or twice: {text}");
        progress.rank = rank;
        let leg = heard.data()["leg"].as_str().unwrap_or_default();
        if event.ends_with("holdStart") || event == "CallHoldStart" {
            assert!(!progress.asked.iter().any(|asked| asked == leg), "twice: {text}");
            progress.asked.push(leg.to_owned());
        }
        if event.ends_with("holdSuccessful") || event == "CallHoldSuccessful" {
            let asked = progress.asked.iter().position(|asked| asked == leg);
            progress.asked.remove(asked.unwrap_or_else(|| panic!("a leg that was not asked: {text}")));
            progress.asked.push(format!("{leg} done"));
        }
        progress.failed |= event == "Error";
        if event == "Ended" {
            self.failed += u64::from(progress.failed);
            self.ended += 1;
            self.running.remove(cmd_id);
        }
    }

    /// The names of a command's events in their order.
    #[must_use]
    pub fn events(&self, cmd_id: &str) -> Vec<&str> {
        self.heard.iter().filter(|heard| heard.cmd_id() == cmd_id).map(Heard::event).collect()
    }

    /// The data of a command's first event of this name; null if there is none.
    #[must_use]
    pub fn data(&self, cmd_id: &str, event: &str) -> &Value {
        self.find(cmd_id, event).map_or(&Value::Null, Heard::data)
    }

    /// The text of a command's `Error`; empty if it had none.
    #[must_use]
    pub fn error(&self, cmd_id: &str) -> &str {
        self.data(cmd_id, "Error").as_str().unwrap_or_default()
    }

    /// The member `reason` of a command's `Error`; null if there is none.
    #[must_use]
    pub fn reason(&self, cmd_id: &str) -> &Value {
        self.find(cmd_id, "Error").map_or(&Value::Null, |heard| &heard.message["params"]["reason"])
    }

    /// A command's first event of this name.
    #[must_use]
    pub fn find(&self, cmd_id: &str, event: &str) -> Option<&Heard> {
        self.heard.iter().find(|heard| heard.cmd_id() == cmd_id && heard.event() == event)
    }
}
