//! One sound of a soup on its way: the samples that have come of it, and those that are still to come.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use compact_str::CompactString;
use hookswitch_call::{Form, Sound, SoundKind};
use hookswitch_codec::{Codec, Tone, ToneGenerator};

use crate::files::{FileError, FileId, FileOrder};

/// Orders that there is room for when there are none.
const USUAL: usize = 4;

/// Orders for files, and the next name.
#[derive(Debug, Default)]
pub(crate) struct FileOrders {
    waiting: VecDeque<FileOrder>,
    serial: u32,
}

impl FileOrders {
    pub fn push(&mut self, order: FileOrder) {
        self.waiting.push_back(order);
    }

    pub fn pop(&mut self) -> Option<FileOrder> {
        let order = self.waiting.pop_front();
        if order.is_none() {
            // After a moment in which the machine stood still there were thousands.
            self.waiting.shrink_to(USUAL);
        }
        order
    }

    /// A name for a file of this owner.
    pub fn name(&mut self, owner: u32) -> FileId {
        self.serial = self.serial.wrapping_add(1);
        FileId { owner, serial: self.serial }
    }
}

/// What a track gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    /// There is more.
    Goes,
    /// There will be more, once it has been read.
    Waits,
    /// It was all.
    Over,
    /// There is no more, and why.
    Failed(FileError),
}

/// A sound that is being played, or is about to be.
#[derive(Debug)]
pub(crate) struct Track {
    from: From,
    /// Samples until it is to stop.
    left: Option<u64>,
    /// Where in the sound the next sample is, in samples.
    at: u64,
    /// Whether any has been taken.
    given: bool,
    /// It was told to go on at this place: nothing beyond it is its end, and no failure.
    sought: bool,
    /// Which of its forms this is, the best being 0.
    pub form: usize,
}

#[derive(Debug)]
enum From {
    Tone(Box<ToneGenerator>),
    File(Fetch),
    Nothing(FileError),
}

/// A file that is read a second ahead.
#[derive(Debug)]
struct Fetch {
    file: FileId,
    /// What has come, and how much of the first is used up.
    chunks: VecDeque<Arc<[i16]>>,
    used: usize,
    /// Some is under way.
    asked: bool,
    /// Nothing more will come, and why where that is no good end.
    end: Option<Result<(), FileError>>,
}

impl Track {
    /// Begins a sound at a place, in one of its forms: the one that so many others suit the codec better than. Whether it
    /// goes on there, or begins.
    pub fn begin(
        sound: &Sound,
        (form, from, sought): (usize, Duration, bool),
        codec: &Codec,
        owner: u32,
        orders: &mut FileOrders,
    ) -> Self {
        let rate = codec.sample_rate;
        let samples = |time: Duration| samples_in(time, rate);
        let chosen = forms_for(codec, &sound.forms).nth(form);
        let mut stop = sound.stop;
        let from_where = match chosen.map(|form| (form.kind, &form.name)) {
            None => From::Nothing(FileError::NotFound),
            Some((SoundKind::Tone, text)) => match Tone::parse(text) {
                Ok(tone) => {
                    stop = stop.or_else(|| Some(Duration::from_millis(tone.period_ms().into())));
                    let period = u64::from(rate) * u64::from(tone.period_ms()) / 1_000;
                    let mut tone = ToneGenerator::new(tone, rate);
                    pass(&mut tone, samples(from).checked_rem(period).unwrap_or(0));
                    From::Tone(Box::new(tone))
                }
                Err(error) => From::Nothing(FileError::Format(error.to_string().into())),
            },
            Some((kind, name)) => {
                let (file, name) = (orders.name(owner), name.clone());
                // Where nothing of it is wanted it is not opened.
                let asked = stop.is_none_or(|stop| samples(stop) > samples(from));
                if asked {
                    orders.push(FileOrder::OpenSound { file, kind, name, rate, from });
                }
                From::File(Fetch { file, chunks: VecDeque::new(), used: 0, asked, end: (!asked).then_some(Ok(())) })
            }
        };
        let left = stop.map(|stop| samples(stop).saturating_sub(samples(from)));
        Self { from: from_where, left, at: samples(from), given: false, sought, form }
    }

    /// Takes the next samples, as many as there are and as fit, and says how many; what is read ahead is asked for.
    pub fn take(&mut self, out: &mut [i16], orders: &mut FileOrders) -> usize {
        let most = self.left.map_or(out.len(), |left| usize::try_from(left).unwrap_or(usize::MAX).min(out.len()));
        let Some(out) = out.get_mut(..most) else { return 0 };
        let count = match &mut self.from {
            From::Tone(tone) => {
                tone.fill(out);
                most
            }
            From::File(fetch) => fetch.take(out, orders),
            From::Nothing(_) => 0,
        };
        self.at += count as u64;
        self.given |= count > 0;
        if let Some(left) = &mut self.left {
            *left -= count as u64;
        }
        count
    }

    pub fn standing(&self) -> Standing {
        let at_end = if self.is_under_way() { Standing::Over } else { Standing::Failed(FileError::Empty) };
        match &self.from {
            From::Nothing(why) => Standing::Failed(why.clone()),
            From::Tone(_) | From::File(_) if self.left == Some(0) => at_end,
            From::Tone(_) => Standing::Goes,
            From::File(fetch) if fetch.chunks.is_empty() => match &fetch.end {
                None => Standing::Waits,
                Some(Ok(())) => at_end,
                Some(Err(why)) => Standing::Failed(why.clone()),
            },
            From::File(_) => Standing::Goes,
        }
    }

    /// Whether it has not just begun: some of it has been played, or was to be passed over.
    pub fn is_under_way(&self) -> bool {
        self.given || self.sought
    }

    /// All that will be played of it has come: it is time to begin the next one.
    pub fn is_all_here(&self) -> bool {
        match &self.from {
            From::Tone(_) | From::Nothing(_) => true,
            From::File(fetch) => fetch.end.is_some() || self.left.is_some_and(|left| left <= fetch.ready() as u64),
        }
    }

    pub fn has_given(&self) -> bool {
        self.given
    }

    /// Where in the sound the next sample is.
    pub fn place(&self, rate: u32) -> Duration {
        time_of(self.at, rate)
    }

    /// What has come of its file; false if that is not this one.
    pub fn came(&mut self, file: FileId, result: &Result<(Arc<[i16]>, bool), FileError>) -> bool {
        let From::File(fetch) = &mut self.from else { return false };
        if fetch.file != file {
            return false;
        }
        fetch.asked = false;
        match result {
            Ok((samples, last)) => {
                if !samples.is_empty() {
                    fetch.chunks.push_back(Arc::clone(samples));
                }
                fetch.end = last.then_some(Ok(()));
            }
            Err(why) => fetch.end = Some(Err(why.clone())),
        }
        true
    }

    /// It has not come in time.
    pub fn give_up(&mut self, orders: &mut FileOrders) {
        self.close(orders);
        self.from = From::Nothing(FileError::Stalled);
    }

    /// It is not needed any more.
    pub fn close(&self, orders: &mut FileOrders) {
        if let From::File(fetch) = &self.from
            && fetch.end.is_none()
        {
            orders.push(FileOrder::CloseSound { file: fetch.file });
        }
    }
}

impl Fetch {
    fn take(&mut self, out: &mut [i16], orders: &mut FileOrders) -> usize {
        let mut count = 0;
        while let (Some(chunk), Some(room)) = (self.chunks.front(), out.get_mut(count..))
            && !room.is_empty()
        {
            let rest = chunk.get(self.used..).unwrap_or_default();
            let some = rest.len().min(room.len());
            room[..some].copy_from_slice(&rest[..some]);
            count += some;
            self.used += some;
            if some == rest.len() {
                self.chunks.pop_front();
                self.used = 0;
            }
        }
        if self.chunks.len() < 2 && !self.asked && self.end.is_none() {
            self.asked = true;
            orders.push(FileOrder::ReadSound { file: self.file });
        }
        count
    }

    fn ready(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.len()).sum::<usize>().saturating_sub(self.used)
    }
}

/// Lets so much of a tone pass, of which nobody hears anything.
fn pass(tone: &mut ToneGenerator, mut samples: u64) {
    let mut unheard = [0; 960];
    while samples > 0 {
        let some = samples.min(unheard.len() as u64);
        tone.fill(&mut unheard[..some as usize]);
        samples -= some;
    }
}

pub(crate) fn samples_in(time: Duration, rate: u32) -> u64 {
    u64::try_from(time.as_micros().saturating_mul(rate.into()) / 1_000_000).unwrap_or(u64::MAX)
}

pub(crate) fn time_of(samples: u64, rate: u32) -> Duration {
    let micros = u128::from(samples) * 1_000_000;
    Duration::from_micros(micros.checked_div(rate.into()).unwrap_or(0) as u64)
}

/// The name by which a sound is told.
pub(crate) fn name_of(sound: &Sound) -> CompactString {
    sound.forms.first().map(|form| form.name.clone()).unwrap_or_default()
}

use SoundKind::{G722, Ilbc, L168k, L1616k, Pcma, Pcmu, Tone as AsTone, Wav};

/// What suits a codec best, best first: what needs no change, then what loses nothing by it.
const FOR_PCMU: [SoundKind; 8] = [Pcmu, Pcma, L168k, L1616k, G722, Wav, AsTone, Ilbc];
const FOR_PCMA: [SoundKind; 8] = [Pcma, Pcmu, L168k, L1616k, G722, Wav, AsTone, Ilbc];
const FOR_G722: [SoundKind; 8] = [G722, L1616k, L168k, Pcma, Pcmu, Wav, AsTone, Ilbc];
const FOR_NARROW: [SoundKind; 8] = [L168k, Pcma, Pcmu, L1616k, G722, Wav, AsTone, Ilbc];
/// As for G.722, but that what has been through a codec already comes later.
const FOR_WIDE: [SoundKind; 8] = [L1616k, G722, L168k, Pcma, Pcmu, Wav, AsTone, Ilbc];

/// The forms of a sound, the one that suits a codec best first. iLBC cannot be decoded here, so it is the last.
fn forms_for<'f>(codec: &Codec, forms: &'f [Form]) -> impl Iterator<Item = &'f Form> {
    let order = match codec.name {
        "PCMU" => &FOR_PCMU,
        "PCMA" => &FOR_PCMA,
        "G722" => &FOR_G722,
        _ if codec.sample_rate > 8_000 => &FOR_WIDE,
        _ => &FOR_NARROW,
    };
    order.iter().flat_map(move |kind| forms.iter().filter(move |form| form.kind == *kind))
}
