//! What applications speak: Call API, the pushed directory, the native REST, call flows.
//!
//! A dialect turns what an application wrote into a [`Command`](hookswitch_call::Command) and what
//! the switch tells into what the application reads. It sees no socket and no clock, it does not
//! know what carries a call, and no dialect knows another: [`DIALECTS`], who may do what ([`access`]) and the events that all of
//! them tell ([`journal`]) are what they share.

#![forbid(unsafe_code)]

pub mod access;
mod address;
pub mod call_api;
pub mod flow;
pub mod journal;
pub mod mediaswitch;
pub mod pace;
pub mod rest;
pub mod webhook;

/// One dialect, as far as listeners, `--help` and the documents need to know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialect {
    /// Its name in the configuration and in the documents.
    pub name: &'static str,
    /// What carries it.
    pub transport: Transport,
    /// Where it listens unless the configuration says otherwise.
    pub listen: &'static str,
    /// The paths it answers on.
    pub paths: &'static [&'static str],
    /// What it is for, in one line.
    pub about: &'static str,
    /// Its page.
    pub document: &'static str,
}

/// What carries a dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// One session per WebSocket connection, one JSON text per message.
    WebSocket,
    /// One request, one response.
    Http,
}

/// Every dialect. A new one adds its row here and its page under `docs/dialects/`.
pub const DIALECTS: &[Dialect] = &[
    Dialect {
        name: "call_api",
        transport: Transport::WebSocket,
        listen: "localhost:5059",
        paths: &["/call-api"],
        about: "start, watch and end calls with JSON-RPC commands",
        document: "docs/dialects/call-api.md",
    },
    Dialect {
        name: "mediaswitch",
        transport: Transport::Http,
        listen: "127.0.0.1:9000",
        paths: &["/dir", "/reg"],
        about: "push domains and users in, ask who is registered",
        document: "docs/dialects/mediaswitch-directory.md",
    },
    Dialect {
        name: "rest",
        transport: Transport::Http,
        listen: "127.0.0.1:9001",
        paths: &["/v1"],
        about: "calls, registrations, the directory and all else as resources",
        document: "docs/dialects/rest.md",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_places_are_unique() {
        for (index, one) in DIALECTS.iter().enumerate() {
            for other in &DIALECTS[index + 1..] {
                assert_ne!(one.name, other.name);
                assert_ne!(one.listen, other.listen);
                assert_ne!(one.document, other.document);
            }
        }
    }
}
