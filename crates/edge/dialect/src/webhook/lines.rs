//! The letters that are to be delivered: a line per call, and who is next.

use std::collections::{BTreeSet, HashMap, VecDeque};

use hookswitch_call::{CallId, Time};

use super::Letter;

/// Whose letters stand in one line: those of a call, or all that are about no call.
pub(super) type LineOf = Option<CallId>;

/// What the first letter of a line waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Head {
    /// A free attempt.
    Ready,
    /// The end of an attempt.
    UnderWay,
    /// This time.
    Pausing(Time),
}

/// A letter in a line.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) letter: Letter,
    /// It is kept on its own: the cursor need not wait for it.
    pub(super) stored: bool,
}

#[derive(Debug)]
pub(super) struct Line {
    pub(super) head: Head,
    /// Never empty.
    pub(super) letters: VecDeque<Waiting>,
}

/// All lines of an endpoint.
#[derive(Debug, Default)]
pub(super) struct Lines {
    lines: HashMap<LineOf, Line, ahash::RandomState>,
    /// Ready lines of which the first letter was never tried, and those of which it was.
    fresh: VecDeque<LineOf>,
    again: VecDeque<LineOf>,
    pauses: BTreeSet<(Time, LineOf)>,
    letters: usize,
    turn: u8,
}

impl Lines {
    /// How many letters wait.
    pub(super) fn len(&self) -> usize {
        self.letters
    }

    pub(super) fn get(&self, of: LineOf) -> Option<&Line> {
        self.lines.get(&of)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Waiting, Option<Head>)> {
        self.lines.values().flat_map(|line| {
            let head = std::iter::once(Some(line.head)).chain(std::iter::repeat(None));
            line.letters.iter().zip(head)
        })
    }

    /// A letter at the end of its line.
    pub(super) fn push(&mut self, waiting: Waiting) {
        let of = waiting.letter.call;
        self.letters += 1;
        match self.lines.get_mut(&of) {
            Some(line) => line.letters.push_back(waiting),
            None => {
                self.lines.insert(of, Line { head: Head::Ready, letters: VecDeque::from([waiting]) });
                self.make_ready(of);
            }
        }
    }

    /// The next line of which the first letter may go, and whether it goes again; it is under way then.
    pub(super) fn start(&mut self, may_retry: bool) -> Option<(&mut Letter, bool)> {
        self.turn = self.turn.wrapping_add(1);
        // What was never tried goes first, as long as what failed does not have to wait for ever.
        let fresh_first = self.again.is_empty() || !may_retry || !self.turn.is_multiple_of(4);
        let (of, again) = match fresh_first && !self.fresh.is_empty() {
            true => (self.fresh.pop_front()?, false),
            false if may_retry => (self.again.pop_front()?, true),
            false => return None,
        };
        let line = self.lines.get_mut(&of).expect("a line that is ready has letters");
        line.head = Head::UnderWay;
        let waiting = line.letters.front_mut().expect("a line is never empty");
        Some((&mut waiting.letter, again))
    }

    /// The line goes nowhere after all.
    pub(super) fn put_back(&mut self, of: LineOf, again: bool) {
        if let Some(line) = self.lines.get_mut(&of) {
            line.head = Head::Ready;
            if again { self.again.push_front(of) } else { self.fresh.push_front(of) }
        }
    }

    /// The first letter of a line is done with; the next one is ready.
    pub(super) fn pop(&mut self, of: LineOf) -> Option<Waiting> {
        let line = self.lines.get_mut(&of)?;
        let waiting = line.letters.pop_front()?;
        self.letters -= 1;
        if line.letters.is_empty() {
            self.lines.remove(&of);
        } else {
            line.head = Head::Ready;
            self.make_ready(of);
        }
        Some(waiting)
    }

    /// The first letter of a line has failed: the line rests until then. All its letters are given, for what has to be
    /// done to them.
    pub(super) fn pause(&mut self, of: LineOf, until: Time) -> impl Iterator<Item = &mut Waiting> {
        let line = self.lines.get_mut(&of);
        let line = line.map(|line| {
            line.head = Head::Pausing(until);
            self.pauses.insert((until, of));
            line.letters.iter_mut()
        });
        line.into_iter().flatten()
    }

    /// When the next pause is over.
    pub(super) fn next_pause(&self) -> Option<Time> {
        self.pauses.first().map(|(until, _)| *until)
    }

    /// Lines whose pauses are over are ready.
    pub(super) fn wake(&mut self, now: Time) {
        while let Some((until, of)) = self.pauses.first().copied().filter(|(until, _)| *until <= now) {
            self.pauses.remove(&(until, of));
            if let Some(line) = self.lines.get_mut(&of) {
                line.head = Head::Ready;
                self.again.push_back(of);
            }
        }
    }

    /// Whether a line could go if it were allowed to.
    pub(super) fn any_ready(&self) -> bool {
        !self.fresh.is_empty() || !self.again.is_empty()
    }

    fn make_ready(&mut self, of: LineOf) {
        let tried = self.lines.get(&of).and_then(|line| line.letters.front()).is_some_and(|it| it.letter.attempts > 0);
        if tried { self.again.push_back(of) } else { self.fresh.push_back(of) }
    }
}
