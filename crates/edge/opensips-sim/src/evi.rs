//! The Event Interface: who is subscribed to what, and until when.

use compact_str::CompactString;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::mi::{Params, Reply};
use crate::{Sim, SimOutput, Step, Time};

/// The events that are raised here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EventName {
    Transfer,
    Hold,
    DialogState,
}

impl EventName {
    const fn name(self) -> &'static str {
        match self {
            Self::Transfer => "E_CALL_TRANSFER",
            Self::Hold => "E_CALL_HOLD",
            Self::DialogState => "E_DLG_STATE_CHANGED",
        }
    }
}

/// The events that can be subscribed to; an event's place is its id.
const EVENTS: [&str; 19] = [
    "E_CORE_SR_STATUS_CHANGED",
    "E_CORE_THRESHOLD",
    "E_CORE_SHM_THRESHOLD",
    "E_CORE_PKG_THRESHOLD",
    "E_CORE_PROC_AUTO_SCALE",
    "E_CORE_TCP_DISCONNECT",
    "E_CALL_TRANSFER",
    "E_CALL_HOLD",
    "E_PROFILING_SCRIPT",
    "E_PROFILING_PROC",
    "E_UL_AOR_INSERT",
    "E_UL_AOR_DELETE",
    "E_UL_CONTACT_INSERT",
    "E_UL_CONTACT_UPDATE",
    "E_UL_CONTACT_DELETE",
    "E_UL_CONTACT_REFRESH",
    "E_UL_LATENCY_UPDATE",
    "E_DLG_STATE_CHANGED",
    "E_CORE_LOG",
];

/// Seconds that a subscription lasts when the subscriber does not say.
const EXPIRE: u64 = 3_600;

/// One subscription.
#[derive(Clone, Debug)]
pub(crate) struct Subscription {
    event: &'static str,
    socket: CompactString,
    /// In seconds, as asked.
    expire: u64,
    /// The second in which it was asked for.
    since: u64,
}

impl Subscription {
    /// Seconds left; a subscription that was ended lives until its second is over.
    fn left(&self, now: Time) -> Option<u64> {
        (self.since + self.expire).checked_sub(now.as_secs())
    }
}

#[derive(Serialize)]
struct Notification<'a> {
    jsonrpc: &'a str,
    method: &'a str,
    params: &'a RawValue,
}

#[derive(Serialize)]
struct Subscriber<'a> {
    socket: &'a str,
    expire: u64,
    ttl: serde_json::Value,
}

#[derive(Serialize)]
struct Subscribers<'a> {
    name: &'a str,
    id: usize,
    #[serde(rename = "Subscribers")]
    subscribers: Vec<Subscriber<'a>>,
}

/// Nothing is said of an event without subscribers.
#[derive(Serialize)]
struct NoSubscribers {}

#[derive(Serialize)]
struct OneSubscriber<'a> {
    name: &'a str,
    id: usize,
    #[serde(rename = "Subscriber")]
    subscriber: Subscriber<'a>,
}

#[derive(Serialize)]
struct OneEvent<T> {
    #[serde(rename = "Event")]
    event: T,
}

#[derive(Serialize)]
struct AllEvents<T> {
    #[serde(rename = "Events")]
    events: Vec<T>,
}

#[derive(Serialize)]
struct EventRow {
    name: &'static str,
    id: usize,
}

impl Sim {
    /// A process of OpenSIPS raises an event, when its turn comes.
    pub(crate) fn raise(&mut self, now: Time, event: EventName, params: Box<RawValue>) {
        let at = now + self.chance.within(self.config.spread);
        self.agenda.put(at, Step::Raise(event, params));
    }

    /// The event goes out to those who are subscribed now.
    pub(crate) fn send_event(&mut self, now: Time, event: EventName, params: &RawValue) {
        let text = Notification { jsonrpc: "2.0", method: event.name(), params };
        let bytes = bytes::Bytes::from(serde_json::to_vec(&text).expect("plain data"));
        for subscription in &self.subscriptions {
            if subscription.event == event.name() && subscription.left(now).is_some() {
                self.out.push_back(SimOutput::Event { socket: subscription.socket.clone(), bytes: bytes.clone() });
            }
        }
    }

    /// `event_subscribe`
    pub(crate) fn subscribe(&mut self, now: Time, params: &Params) -> Reply {
        let event = params.text("event");
        let event = EVENTS.into_iter().find(|name| *name == event);
        let socket = params.text("socket");
        let expire = if params.has("expire") { params.number("expire") } else { Some(EXPIRE) };
        let (Some(event), Some(expire), true) = (event, expire, is_socket(&socket)) else {
            return Reply::error(400, "Bad parameter value");
        };
        let since = now.as_secs();
        let known = self.subscriptions.iter_mut().find(|known| known.event == event && known.socket == socket);
        match known {
            Some(known) => (known.expire, known.since) = (expire, since),
            None => self.subscriptions.push(Subscription { event, socket, expire, since }),
        }
        // OpenSIPS keeps those that have run out in its list until it next looks at them.
        self.subscriptions.retain(|one| since < one.since + one.expire + EXPIRE);
        Reply::result(&"OK")
    }

    /// `subscribers_list`
    pub(crate) fn subscribers(&mut self, now: Time, params: &Params) -> Reply {
        if !params.has("event") {
            let events = EVENTS.into_iter().map(|name| self.subscribers_of(now, name)).collect();
            return Reply::result(&AllEvents { events });
        }
        let event = params.text("event");
        let Some(name) = EVENTS.into_iter().find(|name| *name == event) else {
            return Reply::error(404, "Event not published");
        };
        let all = self.subscribers_of(now, name);
        if !params.has("socket") {
            return if all.subscribers.is_empty() {
                Reply::result(&OneEvent { event: NoSubscribers {} })
            } else {
                Reply::result(&OneEvent { event: all })
            };
        }
        let (id, socket) = (all.id, params.text("socket"));
        match all.subscribers.into_iter().find(|one| one.socket == socket) {
            Some(subscriber) => Reply::result(&OneEvent { event: OneSubscriber { name, id, subscriber } }),
            None => Reply::error(404, "Subscriber does not exist"),
        }
    }

    fn subscribers_of<'a>(&'a self, now: Time, name: &'a str) -> Subscribers<'a> {
        let of = self.subscriptions.iter().filter(|one| one.event == name);
        let subscribers = of.map(|one| Subscriber {
            socket: &one.socket,
            expire: one.expire,
            ttl: one.left(now).map_or_else(|| "expired".into(), Into::into),
        });
        let id = EVENTS.iter().position(|event| *event == name).unwrap_or_default();
        Subscribers { name, id, subscribers: subscribers.collect() }
    }

    /// `events_list`
    pub(crate) fn events(&mut self, _now: Time, _params: &Params) -> Reply {
        let events = EVENTS.into_iter().enumerate().map(|(id, name)| EventRow { name, id }).collect();
        Reply::result(&AllEvents { events })
    }

    /// How many subscriptions are alive.
    #[must_use]
    pub fn live_subscriptions(&self, now: Time) -> usize {
        self.subscriptions.iter().filter(|one| one.left(now).is_some_and(|left| left > 0)).count()
    }
}

/// Whether an event socket can be had: datagrams over IPv4, UNIX datagrams, streams.
fn is_socket(text: &str) -> bool {
    match text.split_once(':') {
        Some(("udp", address)) => address.parse::<std::net::SocketAddrV4>().is_ok(),
        Some(("unix", path)) => path.starts_with('/'),
        Some(("tcp", rest)) => rest.split('/').next().is_some_and(|address| address.rsplit_once(':').is_some()),
        _ => false,
    }
}
