//! What is known of calls, for whoever wants to know why somebody is not heard or not reached: `/calls`, and the
//! log.
//!
//! ```text
//!   GET /calls/ID ──▶ MediaOp::Inspect ──▶ MediaReport::Audio (Asked) ──▶ the page
//!                                          MediaReport::Audio (Quiet, Back, Closed) ──▶ Output::Audio: the log
//!   Report::Ended: nobody answers there ──▶ Output::Unreached: the log, and the page
//! ```
//!
//! Of calls that are over the last [`ENDED_KEPT`] are remembered.

use std::collections::VecDeque;
use std::time::Duration;

use ahash::{AHashMap, AHashSet};
use hookswitch_b2bua::trunk::{Missed, TrunkEvent, TrunkNews};
use hookswitch_call::diagnosis::{Finding, Silence, findings, is_private};
use hookswitch_call::machine::{Call, LegState, State};
use hookswitch_call::{
    Address, AudioFacts, AudioNews, AudioQuality, CallAudio, CallId, Cause, Event, Kind, LegId, MediaOp, Party,
    RecordEnd, Recorded, Report, Time, Told,
};
use hookswitch_dialect::rest::CallView;
use serde_json::{Value, json};

use crate::{HttpId, Output, Shard};

/// Ended calls that are remembered; the oldest is forgotten first.
pub const ENDED_KEPT: usize = 256;

/// Calls that `/calls` lists at most, the newest.
pub const CALLS_LISTED: usize = 1_000;

/// Places that could not be reached which are remembered of one call.
pub const UNREACHED_KEPT: usize = 16;

/// Recordings that are remembered of one call.
pub const RECORDINGS_KEPT: usize = 16;

const ENDS: [Party; 2] = [Party::Caller, Party::Callee];

/// What has become known of a call's audio.
#[derive(Clone, PartialEq, Debug)]
pub struct AudioReport {
    /// Which call.
    pub call: CallId,
    /// Why it is told; never because somebody asked.
    pub news: AudioNews,
    /// What is known.
    pub audio: Box<CallAudio>,
    /// What that means.
    pub findings: Vec<(Party, Finding)>,
}

/// A place where a party was called, or had been on the line, and that does not answer.
#[derive(Clone, PartialEq, Debug)]
pub struct Unreached {
    /// Which call.
    pub call: CallId,
    /// Which leg.
    pub leg: LegId,
    /// Which end of the call it is.
    pub party: Party,
    /// The place. None is a party that had called in.
    pub to: Option<Address>,
    /// Why it ended.
    pub cause: Cause,
}

impl Unreached {
    /// Of a leg that ends: whether that is because nobody was there.
    fn of(call: &Call, leg: LegId, cause: &Cause) -> Option<Self> {
        if !matches!(cause.kind, Kind::NoAnswer | Kind::Unreachable | Kind::Expired) {
            return None;
        }
        // What we end ourselves ends with a cause of another leg.
        let waits = [LegState::AwaitAnswer, LegState::AwaitConfirm, LegState::Up];
        let known = call.leg(leg).filter(|leg| waits.contains(&leg.state))?;
        let to = known.target.as_ref().map(|target| target.address.clone());
        Some(Self { call: call.id, leg, party: known.party, to, cause: cause.clone() })
    }

    /// What is so, without naming the place.
    #[must_use]
    pub fn text(&self) -> &'static str {
        match self.cause.kind {
            Kind::NoAnswer => "no final answer came from there in time",
            Kind::Expired => "nobody there refreshed the session",
            _ => "there is no way there: its registration or connection is gone, or the network refuses",
        }
    }

    /// What to do.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        let host = self.to.as_ref().and_then(|to| host_of(&to.0));
        match host.and_then(|host| host.parse().ok()).map(is_private) {
            Some(true) => {
                "its contact is a private address: if there is a NAT in between, it has forgotten the phone; \
                 sip.options_ping of 20 to 30 keeps it open"
            }
            _ => "see whether the phone has its network; sip.options_ping finds out before a call does",
        }
    }
}

/// The host of a SIP URI.
pub(crate) fn host_of(address: &str) -> Option<&str> {
    let rest = address.split_once(':')?.1;
    let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
    match rest.strip_prefix('[') {
        Some(v6) => v6.split(']').next(),
        None => rest.split([':', ';', '?', '>']).next(),
    }
}

/// A call that is over.
struct Ended {
    call: CallId,
    at: Time,
    cause: Cause,
    talked: Duration,
    unreached: Vec<Unreached>,
    missed: Vec<Missed>,
    audio: Option<Box<CallAudio>>,
    findings: Vec<(Party, Finding)>,
    recorded: Vec<Recorded>,
}

/// What is asked and remembered.
#[derive(Default)]
pub(crate) struct Inquiry {
    asked: Vec<(HttpId, CallId)>,
    /// Parties of which it was told that nothing comes from them.
    silent: AHashSet<(CallId, Party)>,
    unreached: AHashMap<CallId, Vec<Unreached>>,
    /// Hosts of trunks that have not taken a call.
    missed: AHashMap<CallId, Vec<Missed>>,
    /// Recordings that were over before the call.
    recorded: AHashMap<CallId, Vec<Recorded>>,
    ended: VecDeque<Ended>,
}

impl Inquiry {
    /// Whether it holds anything for calls that there are.
    pub(crate) fn is_idle(&self) -> bool {
        let noted = [self.unreached.is_empty(), self.missed.is_empty(), self.recorded.is_empty()];
        self.asked.is_empty() && self.silent.is_empty() && noted.iter().all(|empty| *empty)
    }
}

impl Shard {
    pub(crate) fn audio_told(&mut self, now: Time, call: CallId, news: AudioNews, audio: Option<Box<CallAudio>>) {
        if news == AudioNews::Asked {
            self.rest_inspected(now, call, audio.as_deref());
            self.last_audio(call, audio.as_deref());
            return self.answer_inquiries(call, audio.as_deref());
        }
        let Some(audio) = audio else { return };
        let findings = match news {
            AudioNews::Quiet(party) => {
                // Before the answer a phone may be silent, and after the end.
                if self.board.call(call).is_none_or(|call| call.state != State::Talking) {
                    return;
                }
                self.inquiry.silent.insert((call, party));
                let found = findings(&audio, party).into_iter();
                found.filter(Finding::is_trouble).map(|finding| (party, finding)).collect()
            }
            AudioNews::Back(party) => {
                if !self.inquiry.silent.remove(&(call, party)) {
                    return;
                }
                Vec::new()
            }
            AudioNews::Closed => {
                self.rest.audio(call, &audio);
                let found = self.last_findings(call, &audio);
                if let Some(ended) = self.inquiry.ended.iter_mut().rev().find(|ended| ended.call == call) {
                    ended.audio = Some(audio.clone());
                    ended.findings.clone_from(&found);
                }
                self.records.audio(call, Some(&audio), &found);
                found
            }
            AudioNews::Asked => return,
        };
        self.out.push_back(Output::Audio(AudioReport { call, news, audio, findings }));
    }

    /// What is to be said of a call that is over. Between the first BYE and the end of the last leg there may be half a
    /// minute of rightful silence, so a silence counts that was told during the call.
    pub(crate) fn last_findings(&mut self, call: CallId, audio: &CallAudio) -> Vec<(Party, Finding)> {
        let mut found = Vec::new();
        for party in ENDS {
            let was_silent = self.inquiry.silent.remove(&(call, party));
            let all = findings(audio, party).into_iter();
            found.extend(all.filter(|finding| was_silent || !finding.is_trouble()).map(|finding| (party, finding)));
        }
        found
    }

    /// Looks at what the backend tells, before the switchboard forgets who it was about.
    pub(crate) fn note_unreached(&mut self, report: &Report) {
        let Report::Ended { call, leg, cause } = report else { return };
        let known = self.board.call(*call).and_then(|call| Unreached::of(call, *leg, cause));
        let Some(unreached) = known else { return };
        let noted = self.inquiry.unreached.entry(*call).or_default();
        if noted.len() < UNREACHED_KEPT {
            noted.push(unreached.clone());
        }
        self.out.push_back(Output::Unreached(unreached));
    }

    /// Keeps what a trunk has made of a call.
    pub(crate) fn note_missed(&mut self, news: &TrunkNews) {
        let TrunkEvent::Missed(missed) = &news.what else { return };
        let noted = if self.board.call(missed.call).is_some() {
            self.inquiry.missed.entry(missed.call).or_default()
        } else {
            // The last host is told of when the call is over already.
            let ended = self.inquiry.ended.iter_mut().rev().find(|ended| ended.call == missed.call);
            let Some(ended) = ended else { return };
            &mut ended.missed
        };
        if noted.len() < UNREACHED_KEPT {
            noted.push((**missed).clone());
        }
    }

    /// Keeps what has become of a recording.
    pub(crate) fn note_recorded(&mut self, call: CallId, recorded: &Recorded) {
        let noted = if self.board.call(call).is_some() {
            self.inquiry.recorded.entry(call).or_default()
        } else {
            // The file is complete when the call is over already.
            let ended = self.inquiry.ended.iter_mut().rev().find(|ended| ended.call == call);
            let Some(ended) = ended else { return };
            &mut ended.recorded
        };
        if noted.len() < RECORDINGS_KEPT {
            noted.push(recorded.clone());
        }
    }

    /// Remembers a call that is over.
    pub(crate) fn note_end(&mut self, told: &Told) {
        let Event::Ended { cause, talked } = &told.event else { return };
        if self.inquiry.ended.len() == ENDED_KEPT {
            self.inquiry.ended.pop_front();
        }
        self.inquiry.ended.push_back(Ended {
            call: told.call,
            at: told.at,
            cause: cause.clone(),
            talked: *talked,
            unreached: self.inquiry.unreached.remove(&told.call).unwrap_or_default(),
            missed: self.inquiry.missed.remove(&told.call).unwrap_or_default(),
            audio: None,
            findings: Vec::new(),
            recorded: self.inquiry.recorded.remove(&told.call).unwrap_or_default(),
        });
    }

    /// `GET /calls` and `GET /calls/ID`, where the ID is a call's number or a leg's Call-ID.
    pub(crate) fn calls_page(&mut self, now: Time, id: HttpId, path: &str) {
        let name = path.trim_start_matches('/').trim_end_matches('/');
        if name.is_empty() {
            let page = self.list();
            return self.page(id, 200, &page);
        }
        let call = u64::from_str_radix(name, 16).ok().map(CallId);
        let live = call.filter(|call| self.board.call(*call).is_some()).or_else(|| self.board.by_wire(name));
        if let Some(call) = live {
            self.inquiry.asked.push((id, call));
            return self.perform_media(now, MediaOp::Inspect { call });
        }
        match self.inquiry.ended.iter().rev().find(|ended| Some(ended.call) == call) {
            Some(ended) => {
                let page = ended_page(ended);
                self.page(id, 200, &page);
            }
            None => self.page(id, 404, &json!({ "error": "there is no such call, and none of late" })),
        }
    }

    fn list(&self) -> Value {
        let mut calls: Vec<&Call> = self.board.calls().collect();
        let count = calls.len();
        calls.sort_unstable_by_key(|call| std::cmp::Reverse(call.id));
        calls.truncate(CALLS_LISTED);
        let ended: Vec<_> = self.inquiry.ended.iter().rev().map(|ended| ended.call.to_string()).collect();
        json!({ "count": count, "calls": calls.into_iter().map(heading).collect::<Vec<_>>(), "ended": ended })
    }

    fn answer_inquiries(&mut self, call: CallId, audio: Option<&CallAudio>) {
        let (mine, others) = std::mem::take(&mut self.inquiry.asked).into_iter().partition(|(_, asked)| *asked == call);
        self.inquiry.asked = others;
        let mine: Vec<(HttpId, CallId)> = mine;
        for (id, _) in mine {
            let ended = self.inquiry.ended.iter().rev().find(|ended| ended.call == call);
            let page = match (self.board.call(call), ended) {
                (Some(call), _) => self.live_page(call, audio),
                (None, Some(ended)) => ended_page(ended),
                (None, None) => json!({ "call": call.to_string(), "state": "ended" }),
            };
            self.page(id, 200, &page);
        }
    }

    fn live_page(&self, call: &Call, audio: Option<&CallAudio>) -> Value {
        let legs = call.legs.iter().map(|leg| {
            json!({
                "leg": leg.id.0, "party": leg.party, "state": leg.state, "call_id": leg.wire_id,
                "target": leg.target.as_ref().map(|target| &target.address),
            })
        });
        let mut page = heading(call);
        page["legs"] = legs.collect();
        page["unreached"] = unreached_list(self.inquiry.unreached.get(&call.id).map_or(&[], Vec::as_slice));
        page["missed"] = missed_list(self.inquiry.missed.get(&call.id).map_or(&[], Vec::as_slice));
        page["recordings"] = recorded_list(self.inquiry.recorded.get(&call.id).map_or(&[], Vec::as_slice));
        if let Some(audio) = audio {
            let all =
                ENDS.into_iter().flat_map(|party| findings(audio, party).into_iter().map(move |one| (party, one)));
            page["audio"] = audio_page(audio, &all.collect::<Vec<_>>());
        }
        page
    }

    fn page(&mut self, id: HttpId, status: u16, body: &Value) {
        let body = body.to_string();
        self.out.push_back(Output::Http { id, status, content_type: "application/json", allow: None, body });
    }
}

fn heading(call: &Call) -> Value {
    json!({
        "call": call.id.to_string(), "state": CallView::of(call).state, "from": call.caller, "to": call.callee,
        "anchored": call.anchored, "created": epoch(Some(call.created)), "answered": epoch(call.joined),
    })
}

fn ended_page(ended: &Ended) -> Value {
    let mut page = json!({
        "call": ended.call.to_string(), "state": "ended", "ended": epoch(Some(ended.at)),
        "talked": ended.talked.as_secs_f64(), "cause": { "code": ended.cause.code, "text": ended.cause.text },
        "unreached": unreached_list(&ended.unreached), "missed": missed_list(&ended.missed),
        "recordings": recorded_list(&ended.recorded),
    });
    if let Some(audio) = &ended.audio {
        page["audio"] = audio_page(audio, &ended.findings);
    }
    page
}

fn unreached_list(unreached: &[Unreached]) -> Value {
    let one = |place: &Unreached| {
        json!({
            "leg": place.leg.0, "party": place.party, "to": place.to, "code": place.cause.code,
            "text": place.text(), "advice": place.advice(),
        })
    };
    unreached.iter().map(one).collect()
}

fn missed_list(missed: &[Missed]) -> Value {
    let one = |host: &Missed| json!({ "leg": host.leg.0, "trunk": host.trunk, "host": host.host, "code": host.code, "why": host.why });
    missed.iter().map(one).collect()
}

fn recorded_list(recorded: &[Recorded]) -> Value {
    let one = |recorded: &Recorded| {
        let failed = match &recorded.reason {
            RecordEnd::Failed(why) => Some(why),
            RecordEnd::Requested
            | RecordEnd::Timeout
            | RecordEnd::BelowPower
            | RecordEnd::Closed
            | RecordEnd::Interrupted => None,
        };
        json!({
            "file": recorded.file, "duration": recorded.duration.as_secs_f64(), "lost": recorded.lost.as_secs_f64(),
            "size": recorded.size, "reason": recorded.reason.name(), "failed": failed,
            "undecoded": recorded.undecoded,
        })
    };
    recorded.iter().map(one).collect()
}

fn audio_page(audio: &CallAudio, findings: &[(Party, Finding)]) -> Value {
    let of = |party| {
        let mine = findings.iter().filter(|(whose, _)| *whose == party);
        let mut page = facts_page(audio.of(party));
        page["findings"] = mine.map(|(_, finding)| finding_page(finding, audio, party)).collect();
        page
    };
    json!({ "at": epoch(Some(audio.at)), "caller": of(Party::Caller), "callee": of(Party::Callee) })
}

fn finding_page(finding: &Finding, audio: &CallAudio, party: Party) -> Value {
    let (since, why) = match finding {
        Finding::Silent { since, why, .. } => (Some(*since), Some(Silence::name(*why))),
        Finding::Mute { since, .. } => (Some(*since), None),
        Finding::BehindNat { .. } | Finding::OtherPort { .. } | Finding::Moved { .. } | Finding::Unreached { .. } => {
            (None, None)
        }
    };
    json!({
        "finding": finding.name(), "why": why, "since": epoch(since), "trouble": finding.is_trouble(),
        "text": finding.text(audio, party, true), "advice": finding.advice(),
    })
}

fn facts_page(facts: &AudioFacts) -> Value {
    let refused = facts.refused_last.map(|(_, source)| source);
    let strange = facts.strange_last.map(|(_, kind)| kind);
    json!({
        "leg": facts.leg.map(|leg| leg.0), "codec": facts.codec,
        "sdp": facts.said, "our_sdp": facts.ours, "source": facts.source, "moves": facts.moves,
        "sends": facts.sends, "listens": facts.listens, "held": facts.held,
        "agreed": epoch(facts.agreed), "first_packet": epoch(facts.first), "last_packet": epoch(facts.last),
        "last_rtcp": epoch(facts.last_report),
        "received": { "packets": facts.received, "octets": facts.received_octets },
        "sent": { "packets": facts.sent, "octets": facts.sent_octets },
        "refused": { "packets": facts.refused, "source": refused },
        "strange": { "packets": facts.strange, "kind": strange },
        "quality": quality_page(&facts.quality),
    })
}

/// Times in milliseconds.
fn quality_page(quality: &AudioQuality) -> Value {
    let milliseconds = |time: Duration| time.as_micros() as f64 / 1_000.0;
    let sound = quality.sound.map(|sound| {
        json!({
            "looked_at": sound.looked_at, "clipped": sound.clipped, "level": sound.level,
            "silent_since": epoch(sound.silent_since),
        })
    });
    json!({
        "lost": quality.lost, "reordered": quality.reordered, "duplicated": quality.duplicated, "late": quality.late,
        "concealed": quality.concealed, "sound": sound,
        "jitter": milliseconds(quality.jitter), "round_trip": quality.round_trip.map(milliseconds),
        "mos": quality.opinion.map(|hundredths| f64::from(hundredths) / 100.0),
        "told_lost": quality.told_lost, "told_jitter": quality.told_jitter.map(milliseconds),
    })
}

/// Seconds since the epoch, to the millisecond.
fn epoch(at: Option<Time>) -> Option<f64> {
    at.map(|at| at.as_millis() as f64 / 1_000.0)
}

#[cfg(test)]
mod tests {
    use hookswitch_call::AudioSound;

    use super::*;

    #[test]
    fn how_a_party_is_heard_is_shown_in_milliseconds_and_as_a_score() {
        let quality = AudioQuality {
            lost: 4,
            reordered: 3,
            duplicated: 2,
            late: 1,
            concealed: 5,
            jitter: Duration::from_micros(2_500),
            round_trip: Some(Duration::from_millis(80)),
            opinion: Some(441),
            told_lost: Some(7),
            told_jitter: Some(Duration::from_millis(5)),
            sound: Some(AudioSound {
                looked_at: 9,
                clipped: 2,
                level: Some(-23),
                silent_since: Some(Duration::from_millis(1_500)),
            }),
        };
        let shown = facts_page(&AudioFacts { quality, ..AudioFacts::default() });
        let expected = json!({
            "lost": 4, "reordered": 3, "duplicated": 2, "late": 1, "jitter": 2.5, "round_trip": 80.0, "mos": 4.41,
            "told_lost": 7, "told_jitter": 5.0, "concealed": 5,
            "sound": { "looked_at": 9, "clipped": 2, "level": -23, "silent_since": 1.5 },
        });
        assert_eq!(shown["quality"], expected);
        let unknown = facts_page(&AudioFacts::default());
        assert!(unknown["quality"]["sound"].is_null());
        assert!(unknown["quality"]["mos"].is_null() && unknown["quality"]["round_trip"].is_null(), "{unknown}");
    }
}
