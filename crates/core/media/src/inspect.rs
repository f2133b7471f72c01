//! What is known of the way that audio takes, for whoever wants to know why somebody is not heard.
//!
//! Nothing here is asked per packet but what is dropped anyway: the rest is read off the channels.

use std::net::SocketAddr;
use std::time::Duration;

use hookswitch_call::diagnosis::MUTE_AFTER;
use hookswitch_call::{AudioFacts, AudioNews, AudioQuality, CallAudio, CallId, MediaReport, Party, Strange, Time};
use hookswitch_rtp::Packet;

use crate::channel::{Call, Channel};
use crate::config::{AddressPolicy, DEFAULT_QUIET_AFTER};
use crate::engine::Engine;
use crate::spare::LOCKS_PER_CHANNEL;
use crate::stats::DropReason;

/// Silence is told after the time configured, twice that, four times, and so on up to this many times.
pub(crate) const MAX_TOLD: u8 = 8;

/// What came last that was not to be believed, or not agreed. Every channel has one, so it is small.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Odd {
    /// When, in seconds since the epoch, begun ones included.
    at: u32,
    what: OddOne,
    /// How many of its sort came since one of the other sort did.
    count: u32,
}

#[derive(Debug, Clone, Copy, Default)]
enum OddOne {
    #[default]
    Nothing,
    Refused(SocketAddr),
    Strange(Strange),
}

impl Odd {
    fn note(&mut self, now: Time, what: OddOne) {
        let goes_on = std::mem::discriminant(&self.what) == std::mem::discriminant(&what);
        let count = if goes_on { self.count.saturating_add(1) } else { 1 };
        let at = now.as_secs() + u64::from(now.subsec_nanos() > 0);
        *self = Self { at: u32::try_from(at).unwrap_or(u32::MAX), what, count };
    }
}

impl Channel {
    /// Notes an RTP packet that went nowhere by its own fault.
    #[cold]
    pub(crate) fn note_odd(&mut self, now: Time, reason: DropReason, rtcp: bool, from: SocketAddr, packet: &[u8]) {
        // What the other end has no number for was agreed with this one, and came.
        let strange = reason != DropReason::Source;
        if rtcp || (strange && self.is_agreed(packet)) {
            return;
        }
        self.odd.note(now, if strange { OddOne::Strange(kind_of(packet)) } else { OddOne::Refused(from) });
    }

    fn is_agreed(&self, packet: &[u8]) -> bool {
        let number = Packet::parse(packet).ok().map(|rtp| rtp.payload_type());
        number.is_some_and(|number| self.session.is_some_and(|session| session.content(number).is_some()))
    }

    /// How the party's packets come.
    pub(crate) fn summary(&self) -> AudioQuality {
        self.quality.summary(self.session.map(|session| session.codec), &self.counters)
    }

    fn facts(&self, address: AddressPolicy) -> AudioFacts {
        let (at, count) = (Duration::from_secs(self.odd.at.into()), self.odd.count);
        let (refused, strange) = match self.odd.what {
            OddOne::Nothing => (None, None),
            OddOne::Refused(source) => (Some((at, source)), None),
            OddOne::Strange(kind) => (None, Some((at, kind))),
        };
        let counters = &self.counters;
        let ours = address.address(self.near);
        let direction = self.session.map(|session| session.direction);
        AudioFacts {
            leg: self.agreed_leg,
            codec: self.session.map(|session| session.codec.label.into()),
            said: self.latch.advertised(),
            ours: self.sockets.get(ours.is_ipv6()).map(|pair| SocketAddr::new(ours, pair.port)),
            source: self.latch.source(),
            // The first is where it is, and no move.
            moves: (self.latch.locks() % LOCKS_PER_CHANNEL).saturating_sub(1),
            sends: direction.is_some_and(|direction| direction.sends()),
            listens: direction.is_some_and(|direction| direction.receives()),
            held: self.held,
            agreed: self.session.map(|_| self.agreed_at),
            first: counters.first_rtp_at,
            last: counters.last_rtp_at,
            last_report: counters.last_rtcp_at,
            received: counters.received_packets,
            received_octets: counters.received_octets,
            sent: counters.sent_packets,
            sent_octets: counters.sent_octets,
            refused: refused.map_or(0, |_| count),
            refused_last: refused,
            strange: strange.map_or(0, |_| count),
            strange_last: strange,
            quality: self.summary(),
        }
    }
}

/// What something is that is not what was agreed (RFC 7983 section 7).
fn kind_of(packet: &[u8]) -> Strange {
    match packet.first() {
        Some(0..=3) => Strange::Stun,
        Some(20..=63) => Strange::Dtls,
        _ => Packet::parse(packet).map_or(Strange::Other, |rtp| Strange::PayloadType(rtp.payload_type())),
    }
}

impl Engine {
    /// What is known of a call's audio.
    #[must_use]
    pub fn audio(&self, now: Time, call: CallId) -> Option<CallAudio> {
        self.call(call).map(|call| self.audio_of(now, call))
    }

    fn audio_of(&self, now: Time, call: &Call) -> CallAudio {
        let facts = |party| call.end(party).facts(self.config.address);
        let patience = match self.config.quiet_after {
            Duration::ZERO => DEFAULT_QUIET_AFTER,
            patience => patience,
        };
        CallAudio { at: now, patience, caller: facts(Party::Caller), callee: facts(Party::Callee) }
    }

    pub(crate) fn inspect(&mut self, now: Time, call: CallId) {
        let audio = self.audio(now, call).map(Box::new);
        self.reports.push_back(MediaReport::Audio { call, news: AudioNews::Asked, audio });
    }

    /// What is to be kept of a call that is closed, if there ever was a session.
    pub(crate) fn last_word(&self, now: Time, index: u32) -> Option<Box<CallAudio>> {
        let call = self.calls.get(index as usize)?;
        let agreed = [Party::Caller, Party::Callee].iter().any(|party| call.end(*party).session.is_some());
        agreed.then(|| Box::new(self.audio_of(now, call)))
    }

    /// Tells of every party that two are to hear each other and nothing has come from for
    /// [`EngineConfig::quiet_after`](crate::EngineConfig::quiet_after), or nothing but silence for
    /// [`MUTE_AFTER`] since the call began, and of those that are back, as
    /// [`MediaReport::Audio`]. Looks at every call: for calling every second or so.
    pub fn report_quiet(&mut self, now: Time) {
        let patience = self.config.quiet_after;
        if patience.is_zero() {
            return;
        }
        let mut news = Vec::new();
        for (index, call) in &mut self.calls {
            for party in [Party::Caller, Party::Callee] {
                let (end, other) = call.both_mut(party);
                let told = end.told_quiet;
                end.told_quiet = look(now, patience, end, other);
                match (told, end.told_quiet) {
                    (before, after) if after > before => news.push((index, AudioNews::Quiet(party))),
                    (1.., 0) if end.heard_within(now, patience) => news.push((index, AudioNews::Back(party))),
                    _ => {}
                }
            }
        }
        for (index, news) in news {
            let Some(call) = self.calls.get(index) else { continue };
            let audio = Some(Box::new(self.audio_of(now, call)));
            self.reports.push_back(MediaReport::Audio { call: call.id, news, audio });
        }
    }
}

/// How often the silence of a party is to have been told by now.
fn look(now: Time, patience: Duration, end: &Channel, other: &Channel) -> u8 {
    // Before the answer many phones are silent, and whoever hears something else is not in a talk.
    let talk = end.listens_to_peer() && other.listens_to_peer() && other.session.is_some();
    let speaks = end.session.is_some_and(|session| session.direction.sends() && !end.held);
    let since = end.counters.last_rtp_at.map_or(end.agreed_at, |last| last.max(end.agreed_at));
    let (mut silent, mut patience) = (now.saturating_sub(since), patience);
    let impression = &end.quality.impression;
    if silent < patience
        && let Some(since) = impression.silent_since().filter(|_| !impression.is_heard())
    {
        (silent, patience) = (now.saturating_sub(since.max(end.agreed_at)), MUTE_AFTER);
    }
    if !talk || !speaks || silent < patience {
        return 0;
    }
    if end.told_quiet < MAX_TOLD && silent >= patience * (1 << end.told_quiet) {
        end.told_quiet + 1
    } else {
        end.told_quiet
    }
}

impl Channel {
    fn heard_within(&self, now: Time, patience: Duration) -> bool {
        self.counters.last_rtp_at.is_some_and(|last| now.saturating_sub(last) < patience)
    }
}
