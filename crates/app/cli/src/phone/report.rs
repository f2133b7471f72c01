//! What `hookswitch phone` prints while it runs.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use hookswitch_phone::ladder::Style;
use hookswitch_phone::{Event, Heard, Ladder, MediaStats};
use serde_json::{Value, json};

use crate::line::Seen;

/// The same sound is told again after so many blocks: once a second.
const REPEAT_BLOCKS: u32 = 5;

/// Differences below these are the same sound.
const SAME_HZ: f32 = 10.0;
const SAME_DB: f32 = 3.0;

/// Prints events and messages, as text or as JSON.
pub(super) struct Report {
    json: bool,
    ladder: Option<Ladder>,
    start: Duration,
    last: Option<Heard>,
    repeated: u32,
}

/// Whether standard output takes colours: it is a terminal and nobody asked for none (<https://no-color.org>).
pub(crate) fn colour() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

impl Report {
    pub(super) fn new(now: Duration, json: bool, ladder: bool) -> Report {
        let ladder = ladder.then(|| Ladder::new(Style { colour: colour() && !json }));
        Report { json, ladder, start: now, last: None, repeated: 0 }
    }

    /// Names the parties of the ladder.
    pub(super) fn ladder_mut(&mut self) -> Option<&mut Ladder> {
        self.ladder.as_mut()
    }

    pub(super) fn seen(&mut self, seen: &Seen) {
        let Some(ladder) = &mut self.ladder else {
            return;
        };
        if self.json {
            let text = String::from_utf8_lossy(&seen.bytes);
            let object = json!({ "from": seen.from.to_string(), "to": seen.to.to_string(), "message": text });
            self.object(seen.at, "Sip", object);
        } else {
            print(&ladder.message(seen.at, seen.from, seen.to, &seen.bytes));
        }
    }

    pub(super) fn event(&mut self, at: Duration, event: &Event) {
        if let Event::Heard(heard) = event
            && !self.json
            && !self.is_news(heard)
        {
            return;
        }
        let (name, text, object) = describe(event);
        if self.json {
            self.object(at, name, object);
        } else {
            self.say(at, &text);
        }
    }

    /// A line of text in the ladder or on its own; nothing in JSON.
    pub(super) fn say(&mut self, at: Duration, text: &str) {
        if self.json {
            return;
        }
        match &mut self.ladder {
            Some(ladder) => print(&ladder.note(at, text)),
            None => print(&format!("{text}\n")),
        }
    }

    /// The last line.
    pub(super) fn verdict(&mut self, at: Duration, code: u8, text: &str) {
        if self.json {
            self.object(at, "Verdict", json!({ "code": code, "text": text }));
        } else {
            self.say(at, text);
        }
    }

    fn object(&self, at: Duration, name: &str, mut object: Value) {
        if let Some(object) = object.as_object_mut() {
            object.insert("event".into(), name.into());
            object.insert("at_ms".into(), millis(at.saturating_sub(self.start)).into());
        }
        print(&format!("{object}\n"));
    }

    fn is_news(&mut self, heard: &Heard) -> bool {
        let same = self.last.is_some_and(|last| {
            let near = match (last.frequency, heard.frequency) {
                (Some(a), Some(b)) => (a - b).abs() < SAME_HZ,
                (None, None) => true,
                (Some(_), None) | (None, Some(_)) => false,
            };
            near && (last.level_dbfs - heard.level_dbfs).abs() < SAME_DB
        });
        self.repeated = if same { self.repeated + 1 } else { 0 };
        self.last = Some(*heard);
        self.repeated.is_multiple_of(REPEAT_BLOCKS)
    }
}

/// A pipe that was closed behind us ends the output, not the call.
fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes());
    let _ = out.flush();
}

fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e4).round() / 10.0
}

fn tenths(value: f32) -> f64 {
    (f64::from(value) * 10.0).round() / 10.0
}

fn describe(event: &Event) -> (&'static str, String, Value) {
    match event {
        Event::Registered { expires, bindings } => (
            "Registered",
            format!("registered for {} s, {bindings} in all", expires.as_secs()),
            json!({ "expires_s": expires.as_secs(), "bindings": bindings }),
        ),
        Event::RegisterFailed { status, reason } => (
            "RegisterFailed",
            format!("not registered: {status} {reason}"),
            json!({ "status": status, "reason": reason.as_str() }),
        ),
        Event::Unregistered => ("Unregistered", "registration removed".into(), json!({})),
        Event::Incoming { from, call_id } => {
            ("Incoming", format!("{from} calls"), json!({ "from": from.as_str(), "call_id": call_id.as_str() }))
        }
        Event::Ringing { status, early_media } => (
            "Ringing",
            format!("ringing ({status}{})", if *early_media { ", with early media" } else { "" }),
            json!({ "status": status, "early_media": early_media }),
        ),
        Event::Answered { codec, call_id } => {
            ("Answered", format!("the call stands, {codec}"), json!({ "codec": codec, "call_id": call_id.as_str() }))
        }
        Event::Changed { sends, receives } => (
            "Changed",
            format!("session changed: {}", directions(*sends, *receives)),
            json!({ "sends": sends, "receives": receives }),
        ),
        Event::ChangeFailed { status } => {
            ("ChangeFailed", format!("change refused: {status}"), json!({ "status": status }))
        }
        Event::Ended { cause, stats } => (
            "Ended",
            format!("{cause}; {}", counts(stats)),
            json!({ "cause": cause.to_string(), "sent": stats.sent, "received": stats.received, "lost": stats.lost,
                "jitter_ms": millis(stats.jitter) }),
        ),
        Event::Heard(heard) => (
            "Heard",
            match heard.frequency {
                Some(hz) => format!("hears {hz:.0} Hz at {:.1} dBFS", heard.level_dbfs),
                None => "hears silence".into(),
            },
            json!({ "hz": heard.frequency.map(tenths), "level_dbfs": tenths(heard.level_dbfs), "purity": heard.purity }),
        ),
        Event::Played => ("Played", "all is played".into(), json!({})),
        Event::Digit { digit, by: _ } => ("Digit", format!("key {digit}"), json!({ "digit": digit })),
        Event::Text { text } => ("Text", format!("text: {text}"), json!({ "text": text.as_str() })),
        Event::Delivered { status } => ("Delivered", format!("delivered: {status}"), json!({ "status": status })),
        Event::ReferAsked { to, accepted } => (
            "ReferAsked",
            format!("asked to call {to}: {}", if *accepted { "accepted" } else { "refused" }),
            json!({ "to": to.as_str(), "accepted": accepted }),
        ),
        Event::ReferAnswered { status } => {
            ("ReferAnswered", format!("transfer answered: {status}"), json!({ "status": status }))
        }
        Event::ReferProgress { status, is_last } => {
            ("ReferProgress", format!("transfer: {status}"), json!({ "status": status, "is_last": is_last }))
        }
    }
}

fn directions(sends: bool, receives: bool) -> &'static str {
    match (sends, receives) {
        (true, true) => "both ways",
        (true, false) => "we send only",
        (false, true) => "we listen only",
        (false, false) => "on hold",
    }
}

fn counts(stats: &MediaStats) -> String {
    format!(
        "{} packets sent, {} received, {} lost, jitter {:.1} ms",
        stats.sent,
        stats.received,
        stats.lost,
        millis(stats.jitter)
    )
}
