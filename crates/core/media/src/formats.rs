//! The formats of an offer of ours.

use hookswitch_codec::{Codec, comfort_noise, telephone_event_at};
use hookswitch_sdp::{Media, SessionDescription};
use smallvec::SmallVec;

use crate::negotiate::{
    EVENT_PAYLOAD_TYPE, Negotiated, Refusal, event_of, find_event, find_format, find_noise, select_audio,
};

/// Payload types for codecs that have no fixed one.
const DYNAMIC: core::ops::RangeInclusive<u8> = 96..=127;

/// What is known about the other party when we make an offer.
#[derive(Debug, Clone, Copy)]
pub enum Peer<'a> {
    /// Nothing.
    Unknown,
    /// It has made an offer that is not answered yet.
    Offer(&'a SessionDescription),
    /// It has agreed.
    Agreed(&'a Negotiated),
}

/// The formats of an offer of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Formats {
    /// Codecs and their numbers, in order of preference. Never empty.
    pub audio: SmallVec<[(&'static Codec, u8); 4]>,
    /// So many of them, from the first on, are the other party's as well: nothing has to be transcoded.
    pub common: u8,
    /// The numbers of telephone-event, as far as it is offered, by the clocks of [`EVENT_CLOCKS`].
    events: [Option<u8>; EVENT_CLOCKS.len()],
    /// The number of comfort noise, if it is offered.
    pub noise: Option<u8>,
}

/// Clocks of telephone-event, in Hz. Events run on that of the audio beside them (RFC 4733 section 2.1).
pub(crate) const EVENT_CLOCKS: [u32; 3] = [8_000, 16_000, 48_000];

impl Formats {
    /// What to offer: our codecs in our order, first those that the other party can use as well, under its numbers,
    /// then those that we can turn into one of them. `session` is what is in force with the party that is offered
    /// this: its numbers keep their meaning (RFC 3264 section 8.3.2). Where `sounds` are understood, as keys and made of
    /// them, events are of use whether or not the other party has them.
    ///
    /// # Errors
    /// When there is none, or the other party's offer cannot be used at all.
    pub fn to_offer(
        codecs: &[&'static Codec],
        peer: Peer<'_>,
        session: Option<&Negotiated>,
        sounds: bool,
    ) -> Result<Self, Refusal> {
        let ours = || codecs.iter().copied().filter(|codec| codec.is_audio());
        let mut list = List::new(session);
        match peer {
            Peer::Unknown => ours().filter(|codec| codec.has_coder()).for_each(|codec| list.add(codec, None)),
            Peer::Offer(offer) => {
                let (_, media) = select_audio(offer)?;
                let theirs = ours().filter_map(|codec| Some((codec, find_format(media, codec)?)));
                theirs.for_each(|(codec, format)| list.add(codec, Some(format.payload_type)));
            }
            Peer::Agreed(peer) => list.add(peer.codec, Some(peer.send.audio)),
        }
        let common = list.audio.len();
        if common == 0 {
            return Err(Refusal::NoCommonCodec);
        }
        if !matches!(peer, Peer::Unknown) && list.audio.iter().any(|(codec, _)| codec.has_coder()) {
            let present = session.map(|session| session.codec);
            let rest = present.into_iter().chain(ours()).filter(|codec| codec.has_coder());
            rest.for_each(|codec| list.add(codec, None));
        }
        let events = list.events(codecs, peer, sounds);
        let noise = list.noise(codecs, peer);
        // No longer than our own list.
        Ok(Self { audio: list.audio, common: common as u8, events, noise })
    }

    /// Leaves those out that would have to be transcoded.
    pub fn keep_common(&mut self) {
        self.audio.truncate(self.common.into());
        let has_noise = self.audio.iter().any(|(codec, _)| codec.clock_rate == comfort_noise().clock_rate);
        self.noise = self.noise.filter(|_| has_noise);
        for (event, clock_rate) in self.events.iter_mut().zip(EVENT_CLOCKS) {
            *event = event.filter(|_| self.audio.iter().any(|(codec, _)| codec.clock_rate == clock_rate));
        }
    }

    /// What stands behind the codecs: comfort noise and telephone-event, and their numbers.
    pub(crate) fn others(&self) -> impl Iterator<Item = (&'static Codec, u8)> + '_ {
        let numbered = EVENT_CLOCKS.iter().zip(self.events);
        let events = numbered.filter_map(|(clock_rate, number)| telephone_event_at(*clock_rate).zip(number));
        self.noise.map(|number| (comfort_noise(), number)).into_iter().chain(events)
    }

    /// The number of the events beside a codec.
    pub(crate) fn event_beside(&self, codec: &Codec) -> Option<u8> {
        let place = EVENT_CLOCKS.iter().position(|clock_rate| *clock_rate == codec.clock_rate)?;
        self.events[place]
    }
}

/// Formats that are being numbered.
struct List<'a> {
    session: Option<&'a Negotiated>,
    audio: SmallVec<[(&'static Codec, u8); 4]>,
    /// Numbers taken, a bit each.
    taken: u128,
}

impl<'a> List<'a> {
    fn new(session: Option<&'a Negotiated>) -> Self {
        let numbers = session.map(|session| session.receive);
        let numbers = numbers.into_iter().flat_map(|numbers| [Some(numbers.audio), numbers.event, numbers.noise]);
        let taken = numbers.flatten().fold(0, |taken, number| taken | bit(number));
        Self { session, audio: SmallVec::new(), taken }
    }

    /// Adds a codec unless it is there, if possible under that number. One that no number is left for is left out.
    fn add(&mut self, codec: &'static Codec, wanted: Option<u8>) {
        if self.audio.iter().any(|(known, _)| *known == codec) {
            return;
        }
        let kept = self.session.filter(|session| session.codec == codec).map(|session| session.receive.audio);
        if let Some(number) = kept.or_else(|| self.take([wanted, codec.static_payload_type])) {
            self.audio.push((codec, number));
        }
    }

    fn take(&mut self, wanted: [Option<u8>; 2]) -> Option<u8> {
        let dynamic = DYNAMIC.filter(|number| *number != EVENT_PAYLOAD_TYPE);
        let mut numbers = wanted.into_iter().flatten().chain(dynamic);
        let number = numbers.find(|number| self.taken & bit(*number) == 0)?;
        self.taken |= bit(number);
        Some(number)
    }

    /// Events for each clock of the audio, if the other party would understand them.
    fn events(&mut self, codecs: &[&'static Codec], peer: Peer<'_>, sounds: bool) -> [Option<u8>; EVENT_CLOCKS.len()] {
        let mut events = [None; EVENT_CLOCKS.len()];
        let media = match peer {
            Peer::Offer(offer) => select_audio(offer).ok().map(|(_, media)| media),
            Peer::Unknown | Peer::Agreed(_) => None,
        };
        let understands = match peer {
            Peer::Unknown => true,
            Peer::Offer(_) => media.is_some_and(|media| self.have_events(codecs, media, sounds)),
            Peer::Agreed(peer) => peer.send.event.is_some() || (sounds && peer.codec.has_coder()),
        };
        if !understands || !knows_events(codecs) {
            return events;
        }
        for (event, clock_rate) in events.iter_mut().zip(EVENT_CLOCKS) {
            let beside = self.audio.iter().find(|(codec, _)| codec.clock_rate == clock_rate).map(|(codec, _)| *codec);
            let Some(codec) = beside.filter(|_| telephone_event_at(clock_rate).is_some()) else { continue };
            let in_use = self.session.filter(|session| session.codec.clock_rate == clock_rate);
            let theirs = match peer {
                Peer::Agreed(peer) if peer.codec.clock_rate == clock_rate => peer.send.event,
                _ => media.and_then(|media| find_event(media, codec)),
            };
            let kept = in_use.and_then(|session| session.receive.event);
            *event = kept.or_else(|| self.take([theirs, Some(EVENT_PAYLOAD_TYPE)]));
        }
        events
    }

    /// Comfort noise beside audio of its clock, if the other party takes it.
    fn noise(&mut self, codecs: &[&'static Codec], peer: Peer<'_>) -> Option<u8> {
        let row = comfort_noise();
        let mut beside = self.audio.iter().filter(|(codec, _)| codec.clock_rate == row.clock_rate);
        let (codec, _) = beside.next().filter(|_| codecs.contains(&row))?;
        let theirs = match peer {
            Peer::Unknown => row.static_payload_type,
            Peer::Offer(offer) => select_audio(offer).ok().and_then(|(_, media)| find_noise(media, codec)),
            Peer::Agreed(peer) => peer.send.noise,
        };
        let kept = self.session.and_then(|session| session.receive.noise);
        kept.filter(|_| theirs.is_some()).or_else(|| self.take([Some(theirs?), row.static_payload_type]))
    }

    /// Whether the other party has events beside one of its codecs, or one in which keys are heard.
    fn have_events(&self, codecs: &[&'static Codec], media: Media<'_>, sounds: bool) -> bool {
        let mut theirs = self.audio.iter().filter(|(codec, _)| find_format(media, codec).is_some());
        theirs.any(|(codec, _)| event_of(codecs, media, codec).is_some() || (sounds && codec.has_coder()))
    }
}

/// Whether events are to be agreed at all.
pub(crate) fn knows_events(codecs: &[&'static Codec]) -> bool {
    codecs.iter().any(|codec| codec.is_event())
}

fn bit(number: u8) -> u128 {
    // Payload types have seven bits.
    1 << (number & 0x7f)
}
