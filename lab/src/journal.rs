//! What was said, kept until a test fails and somebody wants to read it.

use std::collections::VecDeque;
use std::net::SocketAddr;

use bytes::Bytes;
use hookswitch_call::Time;
use hookswitch_phone::Ladder;

/// Most lines kept; the oldest go first.
const MAX_LINES: usize = 1_500;

#[derive(Debug)]
enum Line {
    Message { from: SocketAddr, to: SocketAddr, bytes: Bytes, fate: Fate },
    Note(String),
}

/// What becomes of a message, as far as that is known when it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Sent,
    Lost,
}

/// What becomes of the ladder when a run fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Telling {
    /// It is printed.
    Print,
    /// It is kept for whoever plays many runs: [`take_ladder`].
    Keep,
    /// Nobody wants it.
    Forget,
}

thread_local! {
    static KEPT: core::cell::RefCell<String> = const { core::cell::RefCell::new(String::new()) };
}

pub(crate) fn keep_ladder(ladder: String) {
    KEPT.with(|kept| *kept.borrow_mut() = ladder);
}

/// The ladder of the last run of this thread that failed and was to be kept.
pub(crate) fn take_ladder() -> String {
    KEPT.with(|kept| core::mem::take(&mut *kept.borrow_mut()))
}

/// The record of one run.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    lines: VecDeque<(Time, Line)>,
    names: Vec<(String, SocketAddr)>,
}

impl Journal {
    pub(crate) fn name(&mut self, name: &str, address: SocketAddr) {
        self.names.push((name.into(), address));
    }

    pub(crate) fn message(&mut self, at: Time, from: SocketAddr, to: SocketAddr, bytes: &Bytes, fate: Fate) {
        self.push(at, Line::Message { from, to, bytes: bytes.clone(), fate });
    }

    pub(crate) fn note(&mut self, at: Time, text: impl Into<String>) {
        self.push(at, Line::Note(text.into()));
    }

    pub(crate) fn clear(&mut self) {
        self.lines.clear();
    }

    fn push(&mut self, at: Time, line: Line) {
        if self.lines.len() == MAX_LINES {
            self.lines.pop_front();
        }
        self.lines.push_back((at, line));
    }

    /// Everything as a ladder.
    pub(crate) fn draw(&self) -> String {
        let mut ladder = Ladder::default();
        for (name, address) in &self.names {
            ladder.party(name, *address);
        }
        let mut text = String::new();
        for (at, line) in &self.lines {
            match line {
                Line::Message { from, to, bytes, fate } => {
                    let drawn = ladder.message(*at, *from, *to, bytes);
                    text += drawn.trim_end_matches('\n');
                    text += if *fate == Fate::Lost { "   ✗ lost\n" } else { "\n" };
                }
                Line::Note(note) => text += &ladder.note(*at, note),
            }
        }
        text
    }
}
