//! The phones and calls of the recordings, so that the simulated OpenSIPS can be set up as the real one was.

use std::time::Duration;

use hookswitch_call::Time;
use hookswitch_opensips_sim::{Answer, Behaviour, Oddities, Reaction, Sim, SimConfig};
use serde_json::Value;

use crate::millis;

/// Phones of the recordings that run baresip, with their contacts.
const BARESIP: [(&str, &str); 3] = [
    ("alice", "sip:alice-0x560b6157bcc0@127.0.0.11:5060"),
    ("bob", "sip:bob-0x557b570f2cc0@127.0.0.12:5060"),
    ("cindy", "sip:cindy-0x555a5a7edcc0@127.0.0.13:5060"),
];

/// Phones of the recordings that play a script, with their hosts.
const SCRIPTED: [(&str, &str); 5] = [
    ("dave", "127.0.0.21:5060"),
    ("erin", "127.0.0.22:5060"),
    ("frank", "127.0.0.23:5060"),
    ("grace", "127.0.0.24:5060"),
    ("heidi", "127.0.0.25:5060"),
];

/// A scripted phone of the recordings, as it behaves unless told otherwise.
///
/// # Panics
/// If the recordings have no such phone.
#[must_use]
pub fn scripted(user: &str) -> Behaviour {
    let (user, host) = SCRIPTED.into_iter().find(|(name, _)| *name == user).expect("a scripted phone");
    Behaviour::scripted(user, host)
}

/// How a recording's stage was set.
#[derive(Debug, Clone, Copy, Default)]
pub struct Scene {
    /// Calls that stand before it begins: Call-ID, caller, callee.
    pub calls: &'static [(&'static str, &'static str, &'static str)],
    /// Phones that do not behave as usual.
    pub phones: &'static [(&'static str, Manner)],
    /// Whether the first NOTIFY after a REFER came too early.
    pub early_notify: bool,
}

/// What a phone does otherwise than usual.
#[derive(Debug, Clone, Copy)]
pub enum Manner {
    /// It takes calls like this.
    Takes(Answer),
    /// It refuses REFER.
    RefusesRefer,
    /// It refuses a re-INVITE.
    RefusesReinvite,
}

const BUSY: Manner = Manner::Takes(Answer::Refuses(486, Duration::ZERO));
const RINGS: Manner = Manner::Takes(Answer::Rings);

const NOTHING: Scene = Scene { calls: &[], phones: &[], early_notify: false };

const SCENES: &[(&str, Scene)] = &[
    (
        "attended-consult-ok",
        Scene {
            calls: &[("1a01c2d0894f@127.0.0.21", "dave", "erin"), ("ab42875bfe31@127.0.0.22", "erin", "frank")],
            ..NOTHING
        },
    ),
    (
        "attended-ok",
        Scene {
            calls: &[("85c39abca1f3@127.0.0.21", "dave", "erin"), ("080c62018dc8@127.0.0.23", "frank", "grace")],
            ..NOTHING
        },
    ),
    ("blind-bad-leg", Scene { calls: &[("f87beefe86c4@127.0.0.21", "dave", "erin")], ..NOTHING }),
    ("blind-dest-unregistered", Scene { calls: &[("29bf3391ea96@127.0.0.21", "dave", "erin")], ..NOTHING }),
    (
        "blind-ok-scripted",
        Scene {
            calls: &[("0222c163a2d5@127.0.0.21", "dave", "erin")],
            phones: &[("frank", Manner::Takes(Answer::After(millis(2_500))))],
            ..NOTHING
        },
    ),
    ("blind-ok", Scene { calls: &[("56a8a8271756b56f", "alice", "bob")], ..NOTHING }),
    (
        "blind-refer-rejected",
        Scene {
            calls: &[("195f735d88ff@127.0.0.21", "dave", "erin")],
            phones: &[("erin", Manner::RefusesRefer)],
            ..NOTHING
        },
    ),
    ("callend-ok", Scene { calls: &[("a31ca0b27563e93c", "alice", "bob")], ..NOTHING }),
    ("callhold-twice", Scene { calls: &[("6e56b824f0ef@127.0.0.21", "dave", "erin")], ..NOTHING }),
    ("callhold-unhold-ok", Scene { calls: &[("7587acc423538ffd", "alice", "bob")], ..NOTHING }),
    ("callhold-unhold-scripted", Scene { calls: &[("bc4983ae57cf@127.0.0.21", "dave", "erin")], ..NOTHING }),
    (
        "subscription-expiry-no-refresh",
        Scene {
            calls: &[("59bce1bdcc88@127.0.0.21", "dave", "erin"), ("3a3fb3b379cf@127.0.0.23", "frank", "grace")],
            phones: &[("erin", Manner::RefusesReinvite)],
            ..NOTHING
        },
    ),
    ("callstart-callee-busy", Scene { phones: &[("erin", BUSY)], ..NOTHING }),
    ("callstart-callee-busy-baresip", Scene { phones: &[("erin", BUSY)], ..NOTHING }),
    ("callstart-callee-noanswer", Scene { phones: &[("erin", RINGS)], ..NOTHING }),
    ("callstart-callee-unregistered", Scene { early_notify: true, ..NOTHING }),
    ("callstart-caller-busy", Scene { phones: &[("dave", BUSY)], ..NOTHING }),
    ("callstart-caller-noanswer", Scene { phones: &[("dave", RINGS)], ..NOTHING }),
    (
        "callstart-client-disconnect",
        Scene { phones: &[("erin", Manner::Takes(Answer::After(millis(3_000))))], ..NOTHING },
    ),
    ("callstart-refer-rejected", Scene { phones: &[("dave", Manner::RefusesRefer)], ..NOTHING }),
];

impl Scene {
    /// The stage of a recording; most need none.
    #[must_use]
    pub fn of(recording: &str) -> Self {
        SCENES.iter().find(|(name, _)| *name == recording).map_or(NOTHING, |(_, scene)| *scene)
    }

    /// An OpenSIPS with this stage. Its processes keep their order unless `spread` lets them differ.
    #[must_use]
    pub fn set(&self, now: Time, spread: Duration, seed: [u8; 32]) -> Sim {
        let early_notify = if self.early_notify { 100 } else { 0 };
        let oddities = Oddities { early_notify, ..Oddities::default() };
        let mut sim = Sim::new(SimConfig { spread, oddities, ..SimConfig::default() }, seed);
        enter(&mut sim);
        let begin = now.saturating_sub(crate::seconds(1));
        for (callid, caller, callee) in self.calls {
            sim.call(begin, callid, caller, callee);
        }
        sim.handle_timeout(now);
        for (user, manner) in self.phones {
            let phone = scripted(user);
            sim.phone(
                user,
                match manner {
                    Manner::Takes(answer) => phone.answering(*answer),
                    Manner::RefusesRefer => phone.referred(Reaction::Refuses(603)),
                    Manner::RefusesReinvite => phone.reinvited(Reaction::Refuses(488)),
                },
            );
        }
        sim
    }
}

/// All phones of the recordings register.
pub fn enter(sim: &mut Sim) {
    for (user, contact) in BARESIP {
        sim.phone(user, Behaviour { contact: contact.into(), ..Behaviour::baresip(user, "") });
    }
    for (user, _) in SCRIPTED {
        sim.phone(user, scripted(user));
    }
}

/// One line of a recording.
#[derive(Debug, Clone)]
pub struct Line {
    /// When, since the epoch.
    pub at: Time,
    /// `ws`, `mi`, `evi` or `http`; empty in `mi-extras`.
    pub channel: String,
    /// Who spoke.
    pub from: String,
    /// To whom.
    pub to: String,
    /// The client's connection: its TCP port.
    pub connection: Option<u64>,
    /// The daemon's MI or event socket in this line.
    pub socket: String,
    /// What was said, byte for byte where it was recorded so.
    pub text: String,
    /// The same as JSON; null if it is none.
    pub payload: Value,
}

/// The names of all recordings.
///
/// # Panics
/// If the folder of recordings cannot be read.
#[must_use]
pub fn recordings() -> Vec<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/opensips");
    let files = std::fs::read_dir(folder).expect("the recordings are there");
    let name = |file: std::fs::DirEntry| file.file_name().into_string().ok()?.strip_suffix(".jsonl").map(str::to_owned);
    let mut names: Vec<String> = files.filter_map(|file| name(file.expect("a file"))).collect();
    names.sort();
    names
}

/// A recording.
///
/// # Panics
/// If there is none of this name, or it is damaged.
#[must_use]
pub fn recording(name: &str) -> Vec<Line> {
    let path = format!("{}/tests/fixtures/opensips/{name}.jsonl", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).expect("a recording");
    text.lines().map(|line| parse(&serde_json::from_str(line).expect("JSON"))).collect()
}

fn parse(line: &Value) -> Line {
    let text = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
    let payload = line["payload"].clone();
    let said = match (line["raw"].as_str(), &payload) {
        (Some(raw), _) => raw.to_owned(),
        (None, Value::String(words)) => words.clone(),
        (None, other) => other.to_string(),
    };
    let socket = [text("src"), text("dst")].concat();
    Line {
        at: Duration::from_secs_f64(line["t"].as_f64().expect("a time")),
        channel: text("chan"),
        from: text("from"),
        to: text("to"),
        connection: line["conn"].as_u64(),
        socket,
        text: said,
        payload,
    }
}
