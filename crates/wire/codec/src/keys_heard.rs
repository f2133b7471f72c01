//! Keys in the sound: the pairs of frequencies of ITU-T Q.23, found within the limits of Q.24.
//!
//! The sound is looked at in blocks of 12.75 ms, at the eight frequencies (Goertzel's recurrence). Two blocks
//! in a row that have the same key are a key, three without it are its end: sounds of 40 ms are
//! heard, those of less than 19 ms are not, and breaks of 10 ms are passed over. Between two blocks
//! the phase of each frequency tells how far it is off, which a block alone is too short for.

use crate::DBM0_AT_FULL_SCALE;

/// The frequencies of Q.23, in Hz.
const LOW: [f32; 4] = [697.0, 770.0, 852.0, 941.0];
const HIGH: [f32; 4] = [1209.0, 1336.0, 1477.0, 1633.0];

/// Which key has which two.
const KEYS: [[char; 4]; 4] = [['1', '2', '3', 'A'], ['4', '5', '6', 'B'], ['7', '8', '9', 'C'], ['*', '0', '#', 'D']];

/// Samples of a block at 8 kHz. With this length neighbours within a group hardly disturb each other.
const BLOCK: u32 = 102;

/// The softest frequency that counts, in dBm0; Q.24 wants -25 to be heard.
const SOFTEST_DBM0: f32 = -29.0;

/// How much the higher frequency may be louder, and softer, in dB. Q.24 wants 4 and 8.
const HIGH_LOUDER: f32 = 5.0;
const HIGH_SOFTER: f32 = 9.0;

/// By how much the two have to be above the others of their group, in dB.
const ABOVE_OTHERS: f32 = 8.0;

/// Which part of all power they have to be.
const PART_OF_ALL: f32 = 0.75;

/// How far a frequency may be off: Q.24 wants 1.5 % to be heard, and 3.5 % not to be.
const OFF: f32 = 0.022;

/// Blocks in a row that make a key, and that end it.
const BLOCKS_ON: u8 = 2;
const BLOCKS_OFF: u8 = 3;

/// A key that was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeySound {
    /// It is down. Told 25 to 38 ms after it began.
    Began {
        /// Which key: `0` to `9`, `*`, `#`, `A` to `D`.
        key: char,
    },
    /// It is up. Told up to 51 ms after it ended.
    Ended {
        /// Which key.
        key: char,
        /// How long it was down, in milliseconds, to about 13.
        ms: u32,
    },
}

/// Listens for keys in one stream of samples.
#[derive(Debug, Clone)]
pub struct KeyListener {
    rate: u32,
    /// Samples of a block.
    length: u32,
    /// Of the present block.
    count: u32,
    power: f32,
    filters: [Filter; 8],
    /// What the last block was.
    last: Option<Block>,
    /// The key that is down, and blocks since it is.
    down: Option<(char, u32)>,
    /// Blocks in a row without it.
    missing: u8,
}

/// Goertzel's recurrence for one frequency.
#[derive(Debug, Clone, Copy, Default)]
struct Filter {
    coefficient: f32,
    last: f32,
    before: f32,
}

impl Filter {
    fn power(&self) -> f32 {
        self.last * self.last + self.before * self.before - self.coefficient * self.last * self.before
    }

    fn phase(&self, turn: f32) -> f32 {
        (self.before * turn.sin()).atan2(self.last - self.before * turn.cos())
    }
}

/// A block that has the two frequencies of a key.
#[derive(Debug, Clone, Copy)]
struct Block {
    key: char,
    hz: [f32; 2],
    phases: [f32; 2],
    /// So many in a row have this key.
    row: u8,
}

impl KeyListener {
    /// For a stream of which nothing has come. The rate is in Hz; below 8000 it is taken for 8000.
    #[must_use]
    pub fn new(sample_rate: u32) -> Self {
        let rate = sample_rate.max(8_000);
        let length = (u64::from(rate) * u64::from(BLOCK) / 8_000) as u32;
        let filter = |n: usize| {
            let hz = if n < 4 { LOW[n] } else { HIGH[n - 4] };
            Filter { coefficient: 2.0 * turn(hz, rate).cos(), ..Filter::default() }
        };
        let filters = std::array::from_fn(filter);
        Self { rate, length, count: 0, power: 0.0, filters, last: None, down: None, missing: 0 }
    }

    /// Listens to more of the stream, and tells what was heard.
    pub fn listen(&mut self, mut samples: &[i16], heard: &mut dyn FnMut(KeySound)) {
        while !samples.is_empty() {
            let left = (self.length - self.count) as usize;
            let (now, later) = samples.split_at(left.min(samples.len()));
            for sample in now {
                let sample = f32::from(*sample) / 32_768.0;
                self.power += sample * sample;
                for filter in &mut self.filters {
                    let next = sample + filter.coefficient * filter.last - filter.before;
                    (filter.before, filter.last) = (filter.last, next);
                }
            }
            // No more than the block has left.
            self.count += now.len() as u32;
            samples = later;
            if self.count == self.length {
                self.end_block(heard);
            }
        }
    }

    fn end_block(&mut self, heard: &mut dyn FnMut(KeySound)) {
        let block = self.block();
        self.last = match (block, self.last) {
            (Some(block), Some(last)) if block.key == last.key && self.fits(&last, &block) => {
                Some(Block { row: last.row.saturating_add(1), ..block })
            }
            (block, _) => block,
        };
        (self.count, self.power) = (0, 0.0);
        for filter in &mut self.filters {
            (filter.last, filter.before) = (0.0, 0.0);
        }
        let key = self.last.filter(|block| block.row >= BLOCKS_ON).map(|block| block.key);
        if let Some((down, blocks)) = &mut self.down {
            *blocks = blocks.saturating_add(1);
            // One block of it is enough to go on.
            let goes_on = self.last.is_some_and(|block| block.key == *down);
            self.missing = if goes_on { 0 } else { self.missing + 1 };
            let other = key.is_some_and(|key| key != *down);
            if self.missing < BLOCKS_OFF && !other {
                return;
            }
            let blocks = *blocks - u32::from(self.missing);
            let ms = (u64::from(blocks) * u64::from(self.length) * 1_000 / u64::from(self.rate)) as u32;
            heard(KeySound::Ended { key: *down, ms });
            self.down = None;
        }
        if let Some(key) = key {
            self.down = Some((key, BLOCKS_ON.into()));
            self.missing = 0;
            heard(KeySound::Began { key });
        }
    }

    /// What the block that is complete has.
    fn block(&self) -> Option<Block> {
        let powers = self.filters.map(|filter| filter.power());
        let (low, high) = powers.split_at(4);
        let (row, column) = (loudest(low), loudest(high));
        let (low_power, high_power) = (low[row], high[column]);
        // A sine of amplitude A in N samples comes to (AN/2)², and all power to NA²/2.
        let block = self.length as f32;
        let softest = 10f32.powf((SOFTEST_DBM0 - DBM0_AT_FULL_SCALE) / 10.0) * (block / 2.0).powi(2);
        let twist = 10.0 * (high_power / low_power.max(f32::MIN_POSITIVE)).log10();
        let alone = |powers: &[f32], best: usize| {
            let above = 10f32.powf(ABOVE_OTHERS / 10.0);
            powers.iter().enumerate().all(|(n, power)| n == best || power * above < powers[best])
        };
        let is_key = low_power >= softest
            && high_power >= softest
            && (-HIGH_SOFTER..=HIGH_LOUDER).contains(&twist)
            && alone(low, row)
            && alone(high, column)
            && (low_power + high_power) * 2.0 / block >= PART_OF_ALL * self.power;
        is_key.then(|| {
            let hz = [LOW[row], HIGH[column]];
            let phase = |filter: usize, hz| self.filters[filter].phase(turn(hz, self.rate));
            let phases = [phase(row, hz[0]), phase(4 + column, hz[1])];
            Block { key: KEYS[row][column], hz, phases, row: 1 }
        })
    }

    /// Whether both frequencies are near enough to theirs.
    fn fits(&self, last: &Block, now: &Block) -> bool {
        let tau = std::f32::consts::TAU;
        let seconds = self.length as f32 / self.rate as f32;
        now.hz.iter().zip(last.phases.iter().zip(&now.phases)).all(|(hz, (before, after))| {
            let turns = (after - before) / tau - hz * seconds;
            let off = (turns - turns.round()) / seconds;
            off.abs() <= hz * OFF
        })
    }
}

fn turn(hz: f32, rate: u32) -> f32 {
    std::f32::consts::TAU * hz / rate as f32
}

fn loudest(powers: &[f32]) -> usize {
    (0..powers.len()).reduce(|a, b| if powers[b] > powers[a] { b } else { a }).unwrap_or(0)
}
