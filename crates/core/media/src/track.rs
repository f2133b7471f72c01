//! One direction of a channel on its way into a recording: packets in any order, samples in the order of time.
//!
//! ```text
//!   packet ──▶ its place: where its timestamp says, ──▶ wait [`PATIENCE`], ──▶ decoded, at the rate of the file,
//!              seen from when its source began          sorted by place         what is lost made up for,
//!                                                                               with silence in a pause, or with
//!                                                                               the background that was told of
//! ```
//!
//! Sequence numbers tell a loss from a pause. A loss longer than the wait is seen too late, and is silence.
//!
//! Places count samples of the file since the recording began, on the wall clock: both directions have the same, so
//! they stay together however long one of them is silent, and whatever clock a phone has. One that runs faster or
//! slower than ours is followed by a sample a packet.

use std::collections::VecDeque;
use std::time::Duration;

use hookswitch_call::Time;
use hookswitch_codec::{Codec, Concealer, Decoder, MAX_FRAME_SAMPLES, Noise, NoiseGenerator, Resampler, comfort_noise};
use hookswitch_rtp::Packet;

/// How long a packet that has not come is waited for.
pub const PATIENCE: Duration = Duration::from_millis(200);

/// Samples per second of what comfort noise tells the colour of; at other rates only its level counts.
const NOISE_RATE: u32 = 8_000;

/// Furthest into the future that a packet is placed, by its timestamp.
const MAX_AHEAD: Duration = Duration::from_secs(1);

/// Most packets that wait for their turn; more is a flood, and not recorded.
pub const MAX_WAITING: usize = 256;

/// Most bytes of theirs.
pub const MAX_WAITING_BYTES: usize = 256 * 1024;

/// Room for waiting packets that a track keeps: a second of them, and it is asked each second.
const WAITING_ROOM: usize = 64;

/// Packets in a row whose timestamps lead nowhere near the present, after which the source is taken to count anew.
const STRAYS: u8 = 3;

/// Packets among which the one is looked for that has come soonest after its time.
const WINDOW: u16 = 100;

/// How far that one may be from its place before places are moved.
const SLACK: Duration = Duration::from_millis(5);

/// Gaps of so many samples are those of a clock that is followed, and filled with the sample before.
const MAX_STRETCH: i64 = 2;

/// One direction.
#[derive(Debug)]
pub(crate) struct Track {
    /// Of the file, in Hz.
    rate: u32,
    /// When its first sample is due.
    began: Time,
    source: Option<Source>,
    /// By their places.
    waiting: VecDeque<Waiting>,
    /// Their payloads.
    bytes: Vec<u8>,
    voice: Option<Voice>,
    /// Makes up for what is lost, since the last pause.
    concealer: Option<Box<Concealer>>,
    /// What the present pause sounds like, as its party says.
    background: Option<Noise>,
    /// Makes that, since the first such pause.
    noise: Option<Box<NoiseGenerator>>,
    /// How often a source has begun, and which packet of it was decoded last.
    streams: u16,
    last: Option<(u16, u16)>,
    /// A codec of it that cannot be decoded.
    undecoded: Option<&'static Codec>,
    /// Samples that are ready.
    samples: Vec<i16>,
    /// The place of the first of them.
    from: i64,
    /// The place of the last packet that was decoded.
    decoded: i64,
}

/// Where the stream that feeds the track stands.
#[derive(Debug)]
struct Source {
    ssrc: u32,
    clock: u32,
    /// A timestamp, and its place.
    timestamp: u32,
    place: i64,
    strays: Option<Strays>,
    /// How many packets were compared, and how far after its arrival the soonest of them is placed.
    compared: u16,
    soonest: i64,
    /// Places are to be moved by so many samples.
    slew: i64,
}

/// Packets in a row that are nowhere near the present.
#[derive(Debug)]
struct Strays {
    /// Where the first of them would be placed, and where the present was then.
    place: i64,
    here: i64,
    count: u8,
}

#[derive(Debug)]
struct Waiting {
    place: i64,
    /// Of which beginning of a source.
    stream: u16,
    sequence: u16,
    codec: &'static Codec,
    at: usize,
    len: usize,
}

/// What makes samples of payloads.
#[derive(Debug)]
struct Voice {
    codec: &'static Codec,
    decoder: Decoder,
    resampler: Resampler,
}

impl Voice {
    fn new(codec: &'static Codec, rate: u32) -> Option<Self> {
        let own = codec.coding_rate(rate);
        let resampler = Resampler::new(own, rate).ok()?;
        Some(Self { codec, decoder: codec.decoder_at(own)?, resampler })
    }
}

impl Track {
    pub fn new(began: Time, rate: u32) -> Self {
        Self {
            rate,
            began,
            source: None,
            waiting: VecDeque::new(),
            bytes: Vec::new(),
            voice: None,
            concealer: None,
            background: None,
            noise: None,
            streams: 0,
            last: None,
            undecoded: None,
            samples: Vec::new(),
            from: 0,
            decoded: -1,
        }
    }

    /// The sample that is due at this moment.
    pub fn place_at(&self, now: Time) -> i64 {
        (now.saturating_sub(self.began).as_micros() as i64).saturating_mul(i64::from(self.rate)) / 1_000_000
    }

    fn samples_in(&self, time: Duration) -> i64 {
        time.as_millis() as i64 * i64::from(self.rate) / 1_000
    }

    /// Takes a packet of audio, or of comfort noise, as it comes or goes. One that is there already, or too late, is nothing.
    pub fn put(&mut self, now: Time, codec: &'static Codec, packet: &[u8]) {
        let Ok(rtp) = Packet::parse(packet) else { return };
        let Some(place) = self.place(now, codec, &rtp) else { return };
        let (payload, sequence) = (rtp.payload(), rtp.sequence());
        let full = self.waiting.len() >= MAX_WAITING || self.bytes.len() + payload.len() > MAX_WAITING_BYTES;
        if place <= self.decoded || full {
            return;
        }
        // Nearly always the last.
        let index = self.waiting.iter().rposition(|other| other.place <= place).map_or(0, |before| before + 1);
        let is_same = |other: Option<&Waiting>| {
            other.is_some_and(|other| other.sequence == sequence && (other.place - place).abs() <= MAX_STRETCH)
        };
        if is_same(self.waiting.get(index)) || is_same(index.checked_sub(1).and_then(|at| self.waiting.get(at))) {
            return;
        }
        let at = self.bytes.len();
        self.bytes.extend_from_slice(payload);
        self.waiting.insert(index, Waiting { place, stream: self.streams, sequence, codec, at, len: payload.len() });
    }

    /// Where a packet belongs.
    fn place(&mut self, now: Time, codec: &Codec, rtp: &Packet<'_>) -> Option<i64> {
        let here = self.place_at(now);
        let (latest, furthest) = (self.samples_in(PATIENCE), self.samples_in(MAX_AHEAD));
        let slack = self.samples_in(SLACK);
        let same = self.source.as_mut().filter(|known| known.ssrc == rtp.ssrc() && known.clock == codec.clock_rate);
        let Some(source) = same else {
            self.begin(here, codec, rtp);
            return Some(here);
        };
        let ticks = i64::from(rtp.timestamp().wrapping_sub(source.timestamp).cast_signed());
        let place = source.place + ticks * i64::from(self.rate) / i64::from(source.clock.max(1));
        let ahead = place - here;
        // Late, but not for what has not been written yet, as after a moment in which the machine stood still.
        let is_late = ahead < -latest;
        if (is_late && place < self.from) || ahead > furthest {
            if !source.has_strayed(place, here, latest) {
                return None;
            }
            self.begin(here, codec, rtp);
            return Some(here);
        }
        source.strays = None;
        Some(source.follow(place, (!is_late).then_some(ahead), ticks > 0, (slack, rtp.timestamp())))
    }

    fn begin(&mut self, here: i64, codec: &Codec, rtp: &Packet<'_>) {
        self.streams = self.streams.wrapping_add(1);
        self.source = Some(Source {
            ssrc: rtp.ssrc(),
            clock: codec.clock_rate,
            timestamp: rtp.timestamp(),
            place: here,
            strays: None,
            compared: 0,
            soonest: i64::MIN,
            slew: 0,
        });
    }

    /// Whether all is said up to this place.
    pub fn from(&self) -> i64 {
        self.from
    }

    /// Makes samples up to this place of what has come.
    pub fn render(&mut self, limit: i64) {
        let mut block = [0; MAX_FRAME_SAMPLES];
        while self.waiting.front().is_some_and(|first| first.place < limit) {
            let Some(next) = self.waiting.pop_front() else { break };
            self.decoded = next.place;
            self.decode(&next, &mut block);
        }
        let lost = self.waiting.front().is_some_and(|next| self.is_loss_before(next));
        self.fill(limit, lost);
        self.tidy();
    }

    /// Whether packets are missing between the last that was decoded and this one.
    fn is_loss_before(&self, next: &Waiting) -> bool {
        self.last.is_some_and(|(stream, sequence)| {
            stream == next.stream && next.sequence.wrapping_sub(sequence).cast_signed() > 1
        })
    }

    /// Fills the time up to a place: what was lost is made up for, and a pause is silence or what it is said to be.
    fn fill(&mut self, place: i64, lost: bool) {
        let Some(count) = usize::try_from(place - self.end()).ok().filter(|count| *count > 0) else { return };
        let before = self.samples.len();
        self.samples.resize(before + count, 0);
        self.concealer = self.concealer.take().filter(|_| lost);
        let gap = self.samples.get_mut(before..).unwrap_or_default();
        if let Some(concealer) = &mut self.concealer {
            concealer.lost(gap);
        } else if let Some(background) = &self.background {
            // Any seed will do: it is another noise for each beginning of a source.
            let noise = self.noise.get_or_insert_with(|| Box::new(NoiseGenerator::new(self.streams.into())));
            // A new level is reached within a frame of 20 ms.
            gap.chunks_mut(self.rate as usize / 50).for_each(|frame| noise.fill(background, frame));
        }
    }

    /// The place after the last sample.
    fn end(&self) -> i64 {
        self.from + self.samples.len() as i64
    }

    /// A pause begins, or sounds otherwise from here on.
    fn pause(&mut self, next: &Waiting) {
        self.fill(next.place, self.is_loss_before(next));
        self.last = Some((next.stream, next.sequence));
        self.concealer = None;
        let said = self.bytes.get(next.at..next.at + next.len).and_then(Noise::parse);
        let is_coloured = self.rate == NOISE_RATE;
        self.background = said.map(|noise| if is_coloured { noise } else { Noise::white(noise.level()) });
    }

    fn decode(&mut self, next: &Waiting, block: &mut [i16]) {
        if next.codec == comfort_noise() {
            return self.pause(next);
        }
        let same = self.voice.take().filter(|voice| voice.codec == next.codec);
        let Some(mut voice) = same.or_else(|| Voice::new(next.codec, self.rate)) else {
            self.undecoded = Some(next.codec);
            return;
        };
        let payload = self.bytes.get(next.at..next.at + next.len).unwrap_or_default();
        let count = voice.decoder.decode(payload, block);
        let gap = next.place - self.end();
        let lost = self.is_loss_before(next);
        self.last = Some((next.stream, next.sequence));
        if (1..=MAX_STRETCH).contains(&gap) {
            let like = self.samples.last().copied().unwrap_or(0);
            self.samples.resize(self.samples.len() + gap as usize, like);
        } else {
            self.fill(next.place, lost);
        }
        self.background = None;
        let before = self.samples.len();
        voice.resampler.process(block.get(..count).unwrap_or_default(), &mut self.samples);
        if gap < 0 {
            // That time is taken: by what came before, or by silence because it came too late.
            let made = self.samples.len() - before;
            let too_much = usize::try_from(-gap).unwrap_or(usize::MAX).min(made);
            self.samples.drain(before..before + too_much);
        }
        let concealer = self.concealer.get_or_insert_with(|| Box::new(Concealer::new(self.rate)));
        concealer.good(self.samples.get_mut(before..).unwrap_or_default());
        self.voice = Some(voice);
    }

    /// Forgets the payloads that have been decoded, and the room that a burst has taken: what comes until the next time is
    /// as much as what has come since the last one.
    fn tidy(&mut self) {
        let room = self.bytes.len();
        let mut kept = Vec::with_capacity(room);
        for waiting in &mut self.waiting {
            let payload = self.bytes.get(waiting.at..waiting.at + waiting.len).unwrap_or_default();
            waiting.at = kept.len();
            kept.extend_from_slice(payload);
        }
        self.bytes = kept;
        self.waiting.shrink_to(WAITING_ROOM);
    }

    /// Takes samples that are ready, up to this place.
    pub fn take(&mut self, limit: i64) -> Vec<i16> {
        let count = usize::try_from(limit - self.from).unwrap_or(0).min(self.samples.len());
        let rest = self.samples.split_off(count);
        self.from += count as i64;
        std::mem::replace(&mut self.samples, rest)
    }

    /// A codec in which something was said that is silence here.
    pub fn undecoded(&self) -> Option<&'static Codec> {
        self.undecoded
    }

    /// Leaves out everything before this moment, and begins with whatever comes then.
    pub fn skip_to(&mut self, now: Time) {
        self.from = self.place_at(now);
        self.decoded = self.from - 1;
        self.source = None;
        self.concealer = None;
        self.background = None;
        self.waiting.clear();
        self.bytes.clear();
        self.samples.clear();
    }
}

impl Source {
    /// Takes note of a packet that is nowhere near the present: whether its source counts anew. Packets that were held back, by
    /// the network or because the machine stood still, come faster than they were said, and are merely too late: after so many samples
    /// too much it is looked afresh.
    fn has_strayed(&mut self, place: i64, here: i64, most: i64) -> bool {
        let strays = self.strays.get_or_insert(Strays { place, here, count: 0 });
        let (told_of, passed) = (place - strays.place, here - strays.here);
        if told_of - 2 * passed > most {
            *strays = Strays { place, here, count: 0 };
        }
        strays.count = strays.count.saturating_add(1);
        strays.count >= STRAYS && passed > 0 && told_of <= 2 * passed
    }

    /// Remembers where a packet belongs and moves what follows, if the clock of its phone is not ours. `ahead`
    /// says how far after its arrival the packet is placed, where that says something of its clock.
    fn follow(&mut self, place: i64, ahead: Option<i64>, is_newest: bool, (slack, timestamp): (i64, u32)) -> i64 {
        if let Some(ahead) = ahead {
            self.soonest = self.soonest.max(ahead);
            self.compared += 1;
        }
        if self.compared >= WINDOW {
            self.slew = if self.soonest.abs() > slack { -self.soonest } else { 0 };
            (self.compared, self.soonest) = (0, i64::MIN);
        }
        if !is_newest {
            return place;
        }
        let step = self.slew.signum();
        self.slew -= step;
        self.soonest = self.soonest.saturating_add(step);
        (self.timestamp, self.place) = (timestamp, place + step);
        self.place
    }
}

#[cfg(test)]
mod tests;
