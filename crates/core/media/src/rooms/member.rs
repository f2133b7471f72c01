//! One member of a room: what it says, and what it is sent.

use hookswitch_call::{CallId, Party, Role, Time};
use hookswitch_codec::Codec;
use hookswitch_rtp::Header;
use hookswitch_sdp::SessionDescription;

use super::{MAX_PAYLOAD, MAX_SAMPLES, is_here};
use crate::channel::Channel;
use crate::config::FRAME_MS;
use crate::generate::Random;
use crate::hearing::{Heard, Hearing};
use crate::mixer::{Gain, Speech, add, power, ramp};
use crate::saying::Saying;
use crate::stats::DropReason;
use crate::transcode::parameters_of;

/// What a member says of its losses is looked at after so many frames: 5 s.
const LOOK_EVERY: u16 = 250;

/// Most frames of a sound for all that wait for their beat: as many as are made up for at once, and some.
const MAX_ANNOUNCED: usize = 8;

pub(super) struct Member {
    /// Where its channel is.
    pub index: u32,
    pub call: CallId,
    pub party: Party,
    pub room: u32,
    pub part: hookswitch_call::Part,
    pub hearing: Hearing,
    speech: Speech,
    /// What it says at this beat.
    pub sound: Vec<i16>,
    /// So many of its packets that came too late are counted with its channel.
    late: u64,
    /// It was heard at the beat before.
    pub audible: bool,
    /// There is something in what it says.
    pub sounds: bool,
    pub gain: Gain,
    pub saying: Option<Saying>,
    /// It was sent what all were sent who said nothing.
    pub shares: bool,
    /// Its entry among the players, while it has sounds played to the whole room.
    pub player: Option<u32>,
    /// What of them is to be heard next, at the room's rate.
    announced: Vec<i16>,
    /// What it has said that it lost, of how many packets, when that was last looked at; frames since then.
    told: (u32, u64),
    since: u16,
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    marker: bool,
}

impl Member {
    pub fn new(
        index: u32,
        (call, party): (CallId, Party),
        (room, rate): (u32, u32),
        part: hookswitch_call::Part,
        random: &Random,
    ) -> Self {
        Self {
            index,
            call,
            party,
            room,
            part,
            hearing: Hearing::new(rate),
            speech: Speech::default(),
            sound: Vec::with_capacity(MAX_SAMPLES),
            late: 0,
            audible: false,
            sounds: false,
            gain: Gain::new(),
            saying: None,
            shares: false,
            player: None,
            announced: Vec::new(),
            told: (0, 0),
            since: 0,
            ssrc: random.ssrc,
            // The upper bit clear, as A.1 of RFC 3550 advises against an early wrap.
            sequence: random.sequence & 0x7fff,
            timestamp: random.timestamp,
            marker: true,
        }
    }

    /// Everything is at another rate from now on.
    pub fn set_rate(&mut self, rate: u32) {
        self.hearing.set_rate(rate);
        self.saying = None;
        self.announced.clear();
    }

    /// Hears what it says at this beat. Tells when it begins to speak, or ends.
    pub fn listen(&mut self, at: Time, samples: usize, crowded: bool, channel: Option<&mut Channel>) -> Option<bool> {
        self.sound.resize(samples, 0);
        let heard = self.hearing.frame(at, &mut self.sound);
        let late = self.newly_late();
        let is_here = channel.is_some_and(|channel| {
            channel.note_heard(at, heard, &self.sound);
            channel.counters.drop_some(DropReason::Late, late);
            is_here(channel)
        });
        let says = is_here && !self.part.muted && self.part.role != Role::Listen;
        let loudness = if heard == Heard::Silence { 0 } else { power(&self.sound) };
        let news = self.speech.listen(if says && self.part.role == Role::Talk { loudness } else { 0 });
        let audible = says && !(crowded && self.speech.is_faint());
        let was = std::mem::replace(&mut self.audible, audible);
        if was != audible {
            ramp(&mut self.sound, audible);
        } else if !audible {
            self.sound.fill(0);
        }
        self.sounds = (was || audible) && heard != Heard::Silence;
        news
    }

    /// How many of its packets have come too late to be heard since this was asked last.
    pub fn newly_late(&mut self) -> u64 {
        let late = self.hearing.packets().too_late();
        late - std::mem::replace(&mut self.late, late)
    }

    pub fn is_in_sum(&self) -> bool {
        self.sounds && !matches!(self.part.role, Role::Whisper(_))
    }

    /// Takes a frame of what it has played to all.
    pub fn announce(&mut self, frame: &[i16]) {
        if self.announced.len() < MAX_ANNOUNCED * frame.len() {
            self.announced.extend_from_slice(frame);
        }
    }

    /// Adds what is to be heard of that at this beat.
    pub fn add_announced(&mut self, sum: &mut [i32]) {
        if !self.announced.is_empty() {
            let count = self.announced.len().min(sum.len());
            add(sum, &self.announced[..count]);
            self.announced.drain(..count);
        }
    }

    /// Lets so many frames pass without sending them.
    pub fn pass(&mut self, frames: u32, channel: &Channel) {
        if let Some(session) = channel.session.filter(|_| frames > 0) {
            self.timestamp = self.timestamp.wrapping_add(session.codec.ticks_in(FRAME_MS).wrapping_mul(frames));
            self.marker = true;
        }
    }

    pub fn next_header(&mut self, payload_type: u8, codec: &Codec) -> Header {
        let header = Header {
            marker: std::mem::take(&mut self.marker),
            payload_type,
            sequence: self.sequence,
            timestamp: self.timestamp,
            ssrc: self.ssrc,
        };
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(codec.ticks_in(FRAME_MS));
        header
    }

    /// Makes the payload of what it alone hears; how many bytes that is.
    pub fn say(
        &mut self,
        (codec, channel): (&'static Codec, &Channel),
        rate: u32,
        (before, sound): (&[i16], &[i16]),
        payload: &mut [u8],
    ) -> usize {
        let known = self.saying.take().filter(|saying| saying.is_for(codec, rate) && !self.shares);
        let is_known = known.is_some();
        self.saying = known.or_else(|| saying_to(channel, codec, rate));
        self.heed_losses(channel, !is_known);
        let Some(saying) = self.saying.as_mut() else { return 0 };
        if !is_known && self.shares && before.len() == sound.len() {
            // It goes on from what it has shared so far.
            saying.say(before, payload);
        }
        self.shares = false;
        saying.say(sound, payload)
    }

    /// Whoever loses packets is sent everything twice, if its codec can and it has asked for that.
    fn heed_losses(&mut self, channel: &Channel, anew: bool) {
        self.since += 1;
        if self.since < LOOK_EVERY && !anew {
            return;
        }
        self.since = 0;
        let lost = channel.summary().told_lost.unwrap_or_default();
        let (lost_before, sent_before) = std::mem::replace(&mut self.told, (lost, channel.counters.sent_packets));
        let sent = channel.counters.sent_packets.saturating_sub(sent_before).max(1);
        let percent = u64::from(lost.saturating_sub(lost_before)) * 100 / sent;
        if let Some(saying) = &mut self.saying {
            // At most a hundred.
            saying.expect_loss(percent.min(100) as u8);
        }
    }
}

/// The way to a member's codec, which does as its description asks.
fn saying_to(channel: &Channel, codec: &'static Codec, rate: u32) -> Option<Saying> {
    let remote = channel.remote.as_ref().and_then(|sdp| SessionDescription::parse(sdp.0.as_bytes()).ok());
    Saying::with(codec, rate, remote.as_ref().and_then(|sdp| parameters_of(sdp, codec)))
}

/// What is encoded once for all of a codec.
pub(super) struct Shared {
    codec: &'static Codec,
    saying: Saying,
    /// The payload made at this beat, and whether there is one.
    payload: Vec<u8>,
    pub is_made: bool,
}

/// Makes the payload of what all hear who say nothing, unless that has been done at this beat; how many bytes that is.
pub(super) fn say_to_all(
    shared: &mut Vec<Shared>,
    codec: &'static Codec,
    (rate, sound): (u32, &[i16]),
    payload: &mut [u8],
) -> usize {
    let known = shared.iter().position(|shared| shared.codec == codec);
    let Some(place) = known.or_else(|| {
        let saying = Saying::new(codec, rate)?;
        shared.push(Shared { codec, saying, payload: Vec::new(), is_made: false });
        Some(shared.len() - 1)
    }) else {
        return 0;
    };
    let Some(shared) = shared.get_mut(place) else { return 0 };
    if !shared.is_made {
        shared.is_made = true;
        shared.payload.resize(MAX_PAYLOAD, 0);
        let length = shared.saying.say(sound, &mut shared.payload);
        shared.payload.truncate(length);
    }
    let length = shared.payload.len().min(payload.len());
    payload[..length].copy_from_slice(&shared.payload[..length]);
    length
}
