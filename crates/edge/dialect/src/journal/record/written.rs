//! A call detail record as it is written: a JSON document, or a line of CSV (RFC 4180).

use std::borrow::Cow;
use std::fmt::Display;
use std::time::Duration;

use hookswitch_call::diagnosis::Finding;
use hookswitch_call::{AudioFacts, Cause, Diverting, Party, RecordEnd, Time};
use serde_json::{Value, json};

use super::{CallDetail, Ender, LegDetail, RecordingDetail, TransferDetail};

/// What stands in the columns of [`CallDetail::csv`].
pub const CSV_HEADER: &str = "call,origin,caller,callee,started,ringing,answered,ended,talked_seconds,ended_by,code,text,\
    kind,fault,q850,caller_call_id,callee_call_id,transfers,recordings,\
    caller_codec,caller_received,caller_sent,caller_lost,caller_jitter_ms,caller_round_trip_ms,caller_mos,caller_level,\
    caller_findings,\
    callee_codec,callee_received,callee_sent,callee_lost,callee_jitter_ms,callee_round_trip_ms,callee_mos,callee_level,\
    callee_findings,carrier";

const ENDS: [Party; 2] = [Party::Caller, Party::Callee];

impl Ender {
    /// A name for records and events.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Party(Party::Caller) => "caller",
            Self::Party(Party::Callee) => "callee",
            Self::Application => "application",
            Self::Switch => "switch",
            Self::Unknown => "unknown",
        }
    }
}

impl CallDetail {
    /// The record as a JSON document. Times are RFC 3339 in UTC, durations in seconds unless their names say otherwise.
    #[must_use]
    pub fn json(&self) -> Value {
        let diversions = self.diversions.iter().map(|one| {
            let why = match one.why {
                Diverting::Always => "always",
                Diverting::Busy => "busy",
                Diverting::NoAnswer => "no_answer",
                Diverting::Unreachable => "unreachable",
            };
            json!({ "time": date_time(one.at), "to": one.to, "why": why })
        });
        let replacements = self.replacements.iter();
        let replacements =
            replacements.map(|one| json!({ "time": date_time(one.at), "party": one.party, "by": one.by }));
        json!({
            "call": format!("call_{}", self.call),
            "carrier": self.carrier,
            "origin": self.origin(),
            "caller": self.caller, "callee": self.callee,
            "started": date_time(self.started),
            "ringing": self.ringing.map(date_time),
            "answered": self.answered.map(date_time),
            "ended": date_time(self.ended),
            "talked_seconds": seconds(self.talked),
            "ended_by": self.ended_by.name(),
            "cause": cause_json(&self.cause),
            "legs": self.legs.iter().map(leg_json).collect::<Vec<_>>(),
            "diversions": diversions.collect::<Vec<_>>(),
            "transfers": self.transfers.iter().map(transfer_json).collect::<Vec<_>>(),
            "replacements": replacements.collect::<Vec<_>>(),
            "recordings": self.recordings.iter().map(recording_json).collect::<Vec<_>>(),
            "quality": self.quality(),
            "truncated": self.truncated,
        })
    }

    /// How the audio of both parties was; null where it did not run through the switch.
    #[must_use]
    pub fn quality(&self) -> Value {
        let of = |party| self.audio.as_ref().map(|audio| self.quality_of(audio.of(party), party));
        self.audio.as_ref().map_or(Value::Null, |_| json!({ "caller": of(Party::Caller), "callee": of(Party::Callee) }))
    }

    fn quality_of(&self, facts: &AudioFacts, party: Party) -> Value {
        let quality = &facts.quality;
        json!({
            "codec": facts.codec,
            "packets_received": facts.received, "octets_received": facts.received_octets,
            "packets_sent": facts.sent, "octets_sent": facts.sent_octets,
            "lost": quality.lost, "late": quality.late, "reordered": quality.reordered,
            "duplicated": quality.duplicated, "concealed": quality.concealed,
            "jitter_ms": milliseconds(quality.jitter),
            "round_trip_ms": quality.round_trip.map(milliseconds),
            "mos": quality.opinion.map(mos),
            "level_dbov": quality.sound.and_then(|sound| sound.level),
            "clipped": quality.sound.map(|sound| sound.clipped),
            "lost_as_told": quality.told_lost,
            "jitter_ms_as_told": quality.told_jitter.map(milliseconds),
            "findings": self.findings_of(party).map(Finding::name).collect::<Vec<_>>(),
        })
    }

    fn findings_of(&self, party: Party) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(move |(whose, _)| *whose == party).map(|(_, finding)| finding)
    }

    const fn origin(&self) -> &'static str {
        if self.by_command { "command" } else { "incoming" }
    }

    /// The record as one line of CSV without its end: the columns of [`CSV_HEADER`]. What does not fit into one line, such
    /// as the legs, is left out.
    #[must_use]
    pub fn csv(&self) -> String {
        let wire_id = |party| {
            let mut legs = self.legs.iter().filter(|leg| leg.party == party);
            // Of several attempts at a party the one that answered.
            let answered = legs.clone().find(|leg| leg.answered.is_some());
            answered.or_else(|| legs.next()).and_then(|leg| leg.wire_id.as_deref()).unwrap_or_default()
        };
        let file =
            |one: &RecordingDetail| one.finished.as_ref().map_or_else(|| one.ordered.clone(), |it| it.file.clone());
        let files: Vec<_> = self.recordings.iter().map(file).collect();
        let mut line = Line::default();
        line.plain(format_args!("call_{}", self.call));
        line.plain(self.origin());
        line.text(&self.caller.0);
        line.text(&self.callee.0);
        line.plain(date_time(self.started));
        line.plain(self.ringing.map(date_time).unwrap_or_default());
        line.plain(self.answered.map(date_time).unwrap_or_default());
        line.plain(date_time(self.ended));
        line.plain(seconds(self.talked));
        line.plain(self.ended_by.name());
        line.plain(self.cause.code);
        line.text(&self.cause.text);
        line.plain(word(&self.cause.kind));
        line.plain(word(&self.cause.fault));
        line.maybe(self.cause.q850);
        line.text(wire_id(Party::Caller));
        line.text(wire_id(Party::Callee));
        line.plain(self.transfers.len());
        line.text(&files.join(" "));
        for party in ENDS {
            self.quality_cells(&mut line, party);
        }
        line.plain(self.carrier);
        line.0
    }

    fn quality_cells(&self, line: &mut Line, party: Party) {
        let facts = self.audio.as_ref().map(|audio| audio.of(party));
        line.text(facts.and_then(|facts| facts.codec.as_deref()).unwrap_or_default());
        line.maybe(facts.map(|facts| facts.received));
        line.maybe(facts.map(|facts| facts.sent));
        line.maybe(facts.map(|facts| facts.quality.lost));
        line.maybe(facts.map(|facts| milliseconds(facts.quality.jitter)));
        line.maybe(facts.and_then(|facts| facts.quality.round_trip).map(milliseconds));
        line.maybe(facts.and_then(|facts| facts.quality.opinion).map(mos));
        line.maybe(facts.and_then(|facts| facts.quality.sound?.level));
        line.plain(self.findings_of(party).map(Finding::name).collect::<Vec<_>>().join(" "));
    }
}

fn leg_json(leg: &LegDetail) -> Value {
    json!({
        "leg": leg.leg.0, "party": leg.party, "call_id": leg.wire_id, "to": leg.to,
        "started": date_time(leg.started), "answered": leg.answered.map(date_time),
        "ended": leg.ended.map(date_time), "cause": leg.cause.as_ref().map(cause_json),
    })
}

fn transfer_json(one: &TransferDetail) -> Value {
    let (result, cause) = match &one.result {
        None => (None, None),
        Some(Ok(())) => (Some("done"), None),
        Some(Err(cause)) => (Some("failed"), Some(cause_json(cause))),
    };
    json!({ "time": date_time(one.at), "party": one.party, "to": one.to, "result": result, "cause": cause })
}

fn recording_json(one: &RecordingDetail) -> Value {
    let Some(finished) = &one.finished else {
        return json!({ "recording": one.recording.0, "file": one.ordered, "reason": null });
    };
    let failed = match &finished.reason {
        RecordEnd::Failed(why) => Some(why),
        RecordEnd::Requested
        | RecordEnd::Timeout
        | RecordEnd::BelowPower
        | RecordEnd::Closed
        | RecordEnd::Interrupted => None,
    };
    json!({
        "recording": one.recording.0, "file": finished.file, "seconds": seconds(finished.duration),
        "lost_seconds": seconds(finished.lost), "size": finished.size, "reason": finished.reason.name(),
        "failed": failed, "mailbox": finished.mailbox,
    })
}

fn cause_json(cause: &Cause) -> Value {
    json!({ "kind": cause.kind, "code": cause.code, "text": cause.text, "fault": cause.fault, "q850": cause.q850 })
}

/// What a word is called in JSON.
fn word(word: &impl serde::Serialize) -> String {
    serde_json::to_value(word).ok().and_then(|word| Some(word.as_str()?.to_owned())).unwrap_or_default()
}

fn seconds(time: Duration) -> f64 {
    time.as_millis() as f64 / 1_000.0
}

fn milliseconds(time: Duration) -> f64 {
    time.as_micros() as f64 / 1_000.0
}

fn mos(hundredths: u16) -> f64 {
    f64::from(hundredths) / 100.0
}

/// A moment as RFC 3339 writes it, in UTC and with milliseconds: `2026-11-22T16:49:46.123Z`.
#[must_use]
pub fn date_time(at: Time) -> String {
    let (days, second) = (at.as_secs() / 86_400, at.as_secs() % 86_400);
    let (year, month, day) = date(days);
    let (hour, minute, second, millis) = (second / 3_600, second / 60 % 60, second % 60, at.subsec_millis());
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

/// The date of a day since the epoch, in the Gregorian calendar: of years that begin in March, so that the odd day is
/// the last one.
const fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let date = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (400 * era + year + next, month, date)
}

/// One line of CSV.
#[derive(Default)]
struct Line(String);

impl Line {
    /// A cell that is a number, a time or a word of ours.
    fn plain(&mut self, cell: impl Display) {
        use std::fmt::Write;
        if !self.0.is_empty() {
            self.0.push(',');
        }
        // Writing to a string does not fail.
        let _ = write!(self.0, "{cell}");
    }

    fn maybe(&mut self, cell: Option<impl Display>) {
        match cell {
            Some(cell) => self.plain(cell),
            None => self.plain(""),
        }
    }

    /// A cell that somebody else has written. Control characters become spaces, and what a spreadsheet would take for a
    /// formula gets an apostrophe before it.
    fn text(&mut self, cell: &str) {
        let cell: Cow<'_, str> = match cell.contains(char::is_control) {
            true => cell.replace(char::is_control, " ").into(),
            false => cell.into(),
        };
        let formula = if cell.starts_with(['=', '+', '-', '@']) { "'" } else { "" };
        if cell.contains([',', '"', ' ']) {
            self.plain(format_args!("\"{formula}{}\"", cell.replace('"', "\"\"")));
        } else {
            self.plain(format_args!("{formula}{cell}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_after_rfc_3339() {
        for (millis, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_001, "2000-02-29T00:00:00.001Z"),
            (1_795_366_186_123, "2026-11-22T16:49:46.123Z"),
            (4_107_542_399_999, "2100-02-28T23:59:59.999Z"),
        ] {
            assert_eq!(date_time(Duration::from_millis(millis)), expected);
        }
    }

    #[test]
    fn what_strangers_write_neither_breaks_a_line_nor_becomes_a_formula() {
        let mut line = Line::default();
        for cell in ["=1+1", "a,b", "say \"x\"", "two\r\nlines", "+49", "plain"] {
            line.text(cell);
        }
        assert_eq!(line.0, "'=1+1,\"a,b\",\"say \"\"x\"\"\",\"two  lines\",'+49,plain");
    }
}
