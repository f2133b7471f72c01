//! What must be true at the end of every run, and of what was heard in between.

use std::net::SocketAddr;
use std::time::Duration;

use hookswitch_call::{CallId, Event as CallEvent, Time, Told};
use hookswitch_codec::SILENCE_DBFS;
use hookswitch_phone::{Event, Heard};
use hookswitch_shard::Counts;

use crate::journal::Telling;
use crate::lab::{Audio, Fortune, Lab, PhoneId};
use crate::mail::Place;
use crate::sound::{Ear, LEVEL_DBFS};
use crate::switch::Talk;
use crate::weather::Weather;

/// Calls that ended must be over for everybody after this time.
const AFTERMATH: Duration = Duration::from_secs(45);

/// Longer than any timer of a call: a party that rings unheard gives up after five minutes.
const LAST_TIMER: Duration = Duration::from_secs(360);

/// Parties that were joined for so long behind the lead-in must have heard each other.
const LONG_ENOUGH: Duration = Duration::from_millis(900);

/// Within which audio must come once two parties are joined.
const LEAD_IN: Duration = Duration::from_millis(600);

/// The same where messages are lost and repeated.
const LEAD_IN_LOSSY: Duration = Duration::from_millis(4_000);

/// How much quieter than sent a tone may be in clear weather, in dB.
const TOLERANCE_DB: f32 = 1.0;

/// Whether this is the tone, whole or with holes: half of the packets may be missing.
fn is_tone(heard: &Heard, hz: f32) -> bool {
    let near = heard.frequency.is_some_and(|found| (found - hz).abs() <= (hz * 0.02).max(8.0));
    near && heard.level_dbfs >= LEVEL_DBFS - 8.0 && heard.level_dbfs <= LEVEL_DBFS + TOLERANCE_DB
}

fn is_clear_tone(heard: &Heard, hz: f32) -> bool {
    heard.is_tone(hz, LEVEL_DBFS - TOLERANCE_DB) && heard.level_dbfs <= LEVEL_DBFS + TOLERANCE_DB
}

/// What was heard.
impl Lab {
    /// The clock.
    #[must_use]
    pub fn now(&self) -> Time {
        self.now
    }

    /// The seed of this run.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// What a phone heard between two moments, 200 ms at a time.
    #[must_use]
    pub fn heard(&self, phone: PhoneId, from: Time, until: Time) -> Vec<Heard> {
        self.heard_by_index(phone.0, from, until)
    }

    fn heard_by_index(&self, phone: usize, from: Time, until: Time) -> Vec<Heard> {
        if self.audio == Audio::Heard {
            let events = self.phones[phone].events.iter().filter(|(at, _)| (from..=until).contains(at));
            let heard = events.filter_map(|(_, event)| match event {
                Event::Heard(heard) => Some(*heard),
                _ => None,
            });
            return heard.collect();
        }
        let blocks = self.phone_ear(phone).map(|ear| ear.blocks(from, until)).unwrap_or_default();
        let heard = blocks.into_iter().map(|block| Heard {
            frequency: block.dominant_hz,
            level_dbfs: block.level_dbfs,
            purity: block.purity,
        });
        heard.collect()
    }

    fn phone_ear(&self, phone: usize) -> Option<&Ear> {
        self.ears.get(&self.phones[phone].phone.config().rtp)
    }

    /// The phone has heard the other's tone, whole and as loud as it was sent, for the last half second.
    #[track_caller]
    pub fn assert_hears(&self, phone: PhoneId, other: PhoneId) {
        let hz = self.phones[other.0].hz.expect("the other plays a tone");
        self.assert_hears_tone(phone, hz);
    }

    /// The same for any tone at the usual level.
    #[track_caller]
    pub fn assert_hears_tone(&self, phone: PhoneId, hz: f32) {
        let from = self.now.saturating_sub(Duration::from_millis(650));
        let heard = self.heard(phone, from, self.now);
        let is_right = |heard: &Heard| {
            if self.weather == Weather::CLEAR { is_clear_tone(heard, hz) } else { is_tone(heard, hz) }
        };
        let enough = heard.len() >= 2 && heard.iter().all(is_right);
        assert!(enough, "{} should hear {hz} Hz and heard {heard:?}", self.phones[phone.0].phone.config().user);
    }

    /// Two phones hear each other.
    #[track_caller]
    pub fn assert_talking(&self, one: PhoneId, other: PhoneId) {
        self.assert_hears(one, other);
        self.assert_hears(other, one);
    }

    /// The phone has heard nothing for so long.
    #[track_caller]
    pub fn assert_hears_nothing(&self, phone: PhoneId, time: Duration) {
        let from = self.now.saturating_sub(time);
        let heard = self.heard(phone, from, self.now);
        let arrived = self.phone_ear(phone.0).map_or(0, |ear| ear.packets_since(from));
        assert!(heard.is_empty() && arrived == 0, "{} heard {heard:?}", self.phones[phone.0].phone.config().user);
    }

    /// The phone has never heard such a tone.
    #[track_caller]
    pub fn assert_never_heard(&self, phone: PhoneId, hz: f32) {
        let is_heard = match self.audio {
            Audio::Heard => self.heard(phone, Time::ZERO, self.now).iter().any(|heard| is_tone(heard, hz)),
            // So little is what the other tone leaks.
            _ => self.phone_ear(phone.0).is_some_and(|ear| ear.loudest(hz, Time::ZERO, self.now) > -40.0),
        };
        assert!(!is_heard, "{hz} Hz was heard");
    }
}

/// What the switch told.
impl Lab {
    /// Everything told about calls so far.
    #[must_use]
    pub fn told(&self) -> &[Told] {
        &self.switch.told
    }

    /// The causes with which calls ended.
    #[must_use]
    pub fn endings(&self) -> Vec<&hookswitch_call::Cause> {
        let ended = self.switch.told.iter().filter_map(|told| {
            let CallEvent::Ended { cause, .. } = &told.event else { return None };
            Some(cause)
        });
        ended.collect()
    }

    /// How much the switch holds.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.switch.shard.counts()
    }

    /// Names of the calls that there are.
    #[must_use]
    pub fn calls(&self) -> Vec<CallId> {
        let mut calls: Vec<CallId> = self.switch.shard.calls().collect();
        calls.sort_unstable();
        calls
    }

    /// The media engine.
    #[must_use]
    pub fn engine(&self) -> &hookswitch_media::Engine {
        &self.switch.engine
    }

    /// Port pairs that calls have.
    #[must_use]
    pub fn ports_in_use(&self) -> usize {
        self.switch.bank.in_use()
    }

    /// Our end of a session description that was sent to a user agent.
    ///
    /// # Panics
    /// The message has no usable description.
    #[must_use]
    pub fn media_of(&self, body: &[u8]) -> SocketAddr {
        let text = String::from_utf8_lossy(body);
        let after = |start: &str| text.lines().find_map(|line| line.strip_prefix(start)).map(str::to_owned);
        let ip = after("c=IN IP4 ").and_then(|ip| ip.trim().parse().ok()).expect("an address");
        let port = after("m=audio ").and_then(|rest| rest.split(' ').next()?.parse().ok()).expect("a port");
        SocketAddr::new(ip, port)
    }

    /// With [`Lab::keep_records`]: the record of every call has a written form at every moment.
    pub(crate) fn try_records(&self) {
        if !self.keeps_records {
            return;
        }
        for call in self.switch.shard.calls() {
            let record = self.switch.shard.record(call).expect("every call has a record");
            let text = serde_json::to_string(&record).expect("a record is plain data");
            assert!(text.len() < 64 * 1024, "a record of {} bytes", text.len());
            if let Some(media) = self.switch.engine.record(call) {
                let text = serde_json::to_string(&media).expect("a media record is plain data");
                let read: hookswitch_media::MediaRecord = serde_json::from_str(&text).expect("and can be read");
                assert_eq!(read, media);
            }
        }
    }
}

/// The end.
impl Lab {
    /// Lets every timer run out, then insists:
    ///
    /// * every call has ended and was told of without a gap, its end last;
    /// * every command of every application that is still there has ended;
    /// * the switch holds nothing but bindings and open connections, the media engine nothing, all
    ///   media ports are back;
    /// * no phone has a call or a dialog;
    /// * what a phone was sent in one call was one RTP stream, whoever it was that it heard;
    /// * whoever was joined with another phone for long enough has heard its tone, in both directions.
    #[track_caller]
    pub fn finish(mut self) {
        self.mouths.iter_mut().for_each(|mouth| mouth.next = None);
        self.pass(AFTERMATH);
        self.assert_calls_over();
        self.pass(LAST_TIMER);
        self.assert_nothing_left();
        self.assert_told();
        if !self.has_strays {
            self.assert_one_stream_each();
        }
        if matches!(self.audio, Audio::Probed | Audio::Heard) {
            let talks = self.switch.talks.clone();
            talks.iter().for_each(|talk| self.assert_heard(talk));
        }
    }

    #[track_caller]
    fn assert_calls_over(&self) {
        for (index, handset) in self.phones.iter().enumerate() {
            if self.fortune(Place::Phone(index)) == Fortune::Alive {
                assert!(!handset.phone.in_call(), "{} still has a call", handset.phone.config().user);
            }
        }
    }

    #[track_caller]
    fn assert_nothing_left(&mut self) {
        let counts = self.counts();
        let connections = self.streams.count(Place::Switch);
        let expected = Counts { bindings: counts.bindings, connections, ..Counts::default() };
        assert_eq!(counts, expected, "the switch holds on to something");
        assert!(self.switch.shard.has_no_inquiries(), "the switch keeps notes of calls that are over");
        assert_eq!(self.switch.shard.open_records(), 0, "records of calls that are over are not complete");
        let media = self.switch.engine.totals();
        assert_eq!((media.calls, media.port_pairs, media.generators), (0, 0, 0), "the media engine holds on");
        assert_eq!(self.ports_in_use(), 0, "media ports have not come back");
        assert_eq!(self.switch.engine.next_tick(), None, "the media engine ticks for nobody");
        for index in 0..self.phones.len() {
            let place = Place::Phone(index);
            if self.fortune(place) != Fortune::Alive {
                continue;
            }
            self.assert_drained(place);
            let handset = &self.phones[index];
            let left = handset.phone.counts();
            assert_eq!((left.transactions, left.dialogs), (0, 0), "{} holds on", handset.phone.config().user);
        }
        for agent in &self.agents {
            let left = agent.endpoint.counts();
            assert_eq!((left.transactions, left.dialogs), (0, 0), "{} holds on", agent.user);
        }
        self.assert_drained(Place::Switch);
    }

    #[track_caller]
    fn assert_told(&self) {
        let unfinished = self.switch.unfinished();
        assert!(unfinished.is_empty(), "calls of which no end was told: {unfinished:?}");
        let unrecorded = self.switch.unrecorded();
        assert!(unrecorded.is_empty(), "calls without a record, or with one too early: {unrecorded:?}");
        for app in self.apps.iter().filter(|app| app.is_open) {
            assert!(app.running().is_empty(), "commands that never ended: {:?}", app.running());
        }
    }

    /// Many phones cannot follow a stream that changes its source in the middle.
    #[track_caller]
    fn assert_one_stream_each(&self) {
        for (index, handset) in self.phones.iter().enumerate() {
            let Some(ear) = self.phone_ear(index) else { continue };
            let mut began = None;
            // Of a life before this one, no end was told.
            let events = handset.events.iter().filter(|(at, _)| handset.revived.is_none_or(|revived| *at >= revived));
            for (at, event) in events {
                match event {
                    Event::Incoming { .. } | Event::Ringing { .. } | Event::Answered { .. } => {
                        began.get_or_insert(*at);
                    }
                    Event::Ended { .. } => {
                        let Some(from) = began.take() else { continue };
                        let (who, streams) = (&handset.phone.config().user, ear.streams(from, *at));
                        assert!(streams.len() <= 1, "{who} was sent several streams in one call: {streams:x?}");
                        let is_smooth = !self.was_always_clear || ear.is_in_order(from, *at);
                        assert!(is_smooth, "what {who} was sent went back in time");
                    }
                    _ => {}
                }
            }
        }
    }

    #[track_caller]
    fn assert_heard(&self, talk: &Talk) {
        let phone_of = |leg: usize| {
            let (_, wire_id) = talk.legs[leg].as_ref()?;
            let wire_id = wire_id.as_ref()?;
            let has = |(_, event): &(Time, Event)| match event {
                Event::Answered { call_id, .. } => call_id.as_str() == wire_id,
                _ => false,
            };
            self.phones.iter().position(|handset| handset.events.iter().any(has))
        };
        let (Some(caller), Some(callee)) = (phone_of(0), phone_of(1)) else { return };
        let lead_in = if self.weather.loss > 0 { LEAD_IN_LOSSY } else { LEAD_IN };
        let from = talk.from + lead_in;
        // Who hangs up says no more, even if it takes some time until the switch hears of it.
        let hung_up = [caller, callee].into_iter().flat_map(|phone| self.phones[phone].hung_up.iter().copied());
        let hung_up = hung_up.filter(|at| *at >= talk.from).min();
        let until = talk.until.into_iter().chain(hung_up).min().unwrap_or(self.now);
        if until < from + LONG_ENOUGH {
            return;
        }
        for (listener, speaker) in [(caller, callee), (callee, caller)] {
            if let Some(hz) = self.phones[speaker].hz {
                self.assert_has_heard(listener, hz, from, until);
            }
        }
    }

    #[track_caller]
    fn assert_has_heard(&self, listener: usize, hz: f32, from: Time, until: Time) {
        let who = &self.phones[listener].phone.config().user;
        if self.audio == Audio::Heard {
            let heard = self.heard_by_index(listener, from, until);
            let right = heard.iter().filter(|heard| is_tone(heard, hz)).count();
            let wrong = heard.len() - right;
            assert!(right > 0 && wrong * 4 <= right, "{who} did not hear {hz} Hz: {heard:?}");
            return;
        }
        let loudest = self.phone_ear(listener).map_or(SILENCE_DBFS, |ear| ear.loudest(hz, from, until));
        let lowest = if self.weather == Weather::CLEAR { LEVEL_DBFS - TOLERANCE_DB } else { LEVEL_DBFS - 12.0 };
        let is_right = (lowest..=LEVEL_DBFS + TOLERANCE_DB).contains(&loudest);
        assert!(is_right, "{who} should have heard {hz} Hz between {from:?} and {until:?}: {loudest}");
    }
}

impl Drop for Lab {
    /// A failed test shows what was said.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        match self.telling {
            Telling::Print => {}
            Telling::Keep => return crate::journal::keep_ladder(self.journal.draw()),
            Telling::Forget => return,
        }
        let (seed, weather) = (self.seed, self.weather.name);
        eprintln!("{}", self.journal.draw());
        eprintln!("seed {seed}, {weather} weather; again with {}={seed}", crate::SEED_VARIABLE);
    }
}
