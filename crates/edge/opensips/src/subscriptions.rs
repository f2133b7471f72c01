//! Our subscriptions: one per kind of event for the whole process, whatever commands run.
//!
//! ```text
//!  Idle ──► Asked ─── OK ──► Accepted ──┐ repeated well before it expires
//!             │ error          │    ◄───┘
//!             ▼                └── no longer listed: asked for again at once
//!          Refused ── tried again when it would have been repeated
//! ```

use compact_str::{CompactString, format_compact};
use serde_json::Value;

use crate::evi::Topic;

/// Deepest that a list of subscribers is looked into.
const MAX_DEPTH: u8 = 6;

/// All of them.
#[derive(Debug)]
pub(crate) struct Subscriptions {
    topics: Vec<(Topic, Standing)>,
    /// Whether OpenSIPS has listed us since the last time it was asked to send events. Unless it has, being absent
    /// from its list means nothing: it may write our socket in another way.
    listed: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Standing {
    Idle,
    Asked,
    Accepted,
    Refused(CompactString),
}

impl Subscriptions {
    pub(crate) fn new(dialogs: bool) -> Self {
        let wanted = Topic::ALL.into_iter().filter(|topic| dialogs || *topic != Topic::Dialog);
        Self { topics: wanted.map(|topic| (topic, Standing::Idle)).collect(), listed: false }
    }

    pub(crate) fn topics(&self) -> Vec<Topic> {
        self.topics.iter().map(|(topic, _)| *topic).collect()
    }

    fn get(&mut self, wanted: Topic) -> Option<&mut Standing> {
        self.topics.iter_mut().find(|(topic, _)| *topic == wanted).map(|(_, standing)| standing)
    }

    /// A request for these events is on its way; what was said of the one before holds until this is answered.
    pub(crate) fn asked(&mut self, topic: Topic) {
        if let Some(standing) = self.get(topic)
            && *standing == Standing::Idle
        {
            *standing = Standing::Asked;
        }
    }

    pub(crate) fn accepted(&mut self, topic: Topic) {
        if let Some(standing) = self.get(topic) {
            *standing = Standing::Accepted;
        }
    }

    pub(crate) fn refused(&mut self, topic: Topic, code: i32, text: &str) {
        if let Some(standing) = self.get(topic) {
            *standing = Standing::Refused(format_compact!("{}: {code} {text}", topic.name()));
        }
    }

    /// No reply came; one that stood may stand all the same.
    pub(crate) fn lost(&mut self, topic: Topic) {
        if let Some(standing) = self.get(topic)
            && *standing != Standing::Accepted
        {
            *standing = Standing::Refused(format_compact!("{}: no answer", topic.name()));
        }
    }

    /// OpenSIPS is gone, and our subscriptions with it, for all we know.
    pub(crate) fn forget(&mut self) {
        self.listed = false;
        for (_, standing) in &mut self.topics {
            *standing = Standing::Idle;
        }
    }

    /// Whether every request has been answered, one way or the other.
    pub(crate) fn are_settled(&self) -> bool {
        self.topics.iter().all(|(_, standing)| matches!(standing, Standing::Accepted | Standing::Refused(_)))
    }

    pub(crate) fn stands(&self, wanted: Topic) -> bool {
        self.topics.iter().any(|(topic, standing)| *topic == wanted && *standing == Standing::Accepted)
    }

    /// Why commands that need these events cannot be carried out.
    pub(crate) fn refusal(&self, wanted: Topic) -> Option<&CompactString> {
        self.topics.iter().find_map(|(topic, standing)| match standing {
            Standing::Refused(why) if *topic == wanted => Some(why),
            Standing::Refused(_) | Standing::Idle | Standing::Asked | Standing::Accepted => None,
        })
    }

    /// Why some command cannot be carried out. States of dialogs are a convenience.
    pub(crate) fn any_refusal(&self) -> Option<&CompactString> {
        [Topic::Transfer, Topic::Hold].into_iter().find_map(|topic| self.refusal(topic))
    }

    /// Takes in OpenSIPS's list of subscribers; says whether it has lost us.
    pub(crate) fn listed(&mut self, list: &Value, socket: &str) -> bool {
        let is_there = lists(list, socket, MAX_DEPTH);
        std::mem::replace(&mut self.listed, is_there) && !is_there
    }
}

/// Whether our socket stands somewhere in the list and has not expired.
fn lists(list: &Value, socket: &str, depth: u8) -> bool {
    if depth == 0 {
        return false;
    }
    match list {
        Value::Array(items) => items.iter().any(|item| lists(item, socket, depth - 1)),
        Value::Object(members) => {
            let is_ours = members.get("socket").and_then(Value::as_str) == Some(socket);
            let is_over = members.get("ttl").and_then(Value::as_str) == Some("expired");
            (is_ours && !is_over) || members.values().any(|value| lists(value, socket, depth - 1))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = r#"{"Event":{"name":"E_CALL_HOLD","id":7,"Subscribers":[
        {"socket":"tcp:127.0.0.1:60059","expire":60,"ttl":53},
        {"socket":"udp:127.0.0.1:40945","expire":120,"ttl":"expired"},
        {"socket":"route:E_CALL_HOLD","expire":"never"}]}}"#;

    #[test]
    fn a_list_shows_who_is_subscribed_and_not_expired() {
        let list = serde_json::from_str(LIST).unwrap();
        assert!(lists(&list, "tcp:127.0.0.1:60059", MAX_DEPTH));
        assert!(lists(&list, "route:E_CALL_HOLD", MAX_DEPTH));
        assert!(!lists(&list, "udp:127.0.0.1:40945", MAX_DEPTH));
        assert!(!lists(&list, "udp:127.0.0.1:1", MAX_DEPTH));
    }

    #[test]
    fn being_absent_means_something_only_after_having_been_there() {
        let mut ours = Subscriptions::new(true);
        let list: Value = serde_json::from_str(LIST).unwrap();
        let empty = serde_json::json!({"Event": {}});
        assert!(!ours.listed(&empty, "tcp:127.0.0.1:60059"));
        assert!(!ours.listed(&list, "tcp:127.0.0.1:60059"));
        assert!(ours.listed(&empty, "tcp:127.0.0.1:60059"));
        assert!(!ours.listed(&empty, "tcp:127.0.0.1:60059"), "said once");
    }

    #[test]
    fn a_standing_subscription_stands_while_it_is_repeated() {
        let mut ours = Subscriptions::new(false);
        assert_eq!(ours.topics(), [Topic::Transfer, Topic::Hold]);
        for topic in ours.topics() {
            ours.asked(topic);
        }
        assert!(!ours.are_settled());
        ours.accepted(Topic::Transfer);
        ours.refused(Topic::Hold, 400, "Bad parameter value");
        assert!(ours.are_settled());
        ours.asked(Topic::Transfer);
        ours.lost(Topic::Transfer);
        assert!(ours.stands(Topic::Transfer) && !ours.stands(Topic::Hold));
        assert_eq!(ours.any_refusal().unwrap(), "E_CALL_HOLD: 400 Bad parameter value");
    }
}
