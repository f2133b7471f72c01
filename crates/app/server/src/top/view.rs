//! What of a reading is shown, and the keys that change it.

use std::cmp::Ordering;

use clap::ValueEnum;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::reading::{Call, Reading, Registration};

/// Longest name of a domain (RFC 1035 section 2.3.4).
const MAX_DOMAIN: usize = 255;

/// What is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Page {
    /// Live calls
    Calls,
    /// Registered contacts
    Registrations,
}

/// By what the list is sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Sort {
    /// The youngest first
    Age,
    /// By state: of calls, and whether a phone can be reached
    State,
    /// By caller, or by user
    Caller,
    /// By callee, or by where the phone is
    Callee,
}

/// What becomes of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Done {
    /// It is time to go.
    Ended,
    /// Another picture of the same reading.
    Shown,
    /// Another reading is needed.
    Asked,
}

/// What is shown and how.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) page: Page,
    pub(super) sort: Sort,
    pub(super) reversed: bool,
    pub(super) domain: Option<String>,
    /// A domain that is being written.
    pub(super) typing: Option<String>,
    pub(super) paused: bool,
    pub(super) helps: bool,
    /// The first entry that is shown.
    pub(super) first: usize,
    /// Entries that fit on the screen.
    pub(super) rows: usize,
}

impl View {
    pub(super) const fn new(page: Page, sort: Sort, domain: Option<String>) -> Self {
        Self { page, sort, reversed: false, domain, typing: None, paused: false, helps: false, first: 0, rows: 0 }
    }

    /// Obeys a key.
    pub(super) fn press(&mut self, key: KeyEvent) -> Done {
        if key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL) {
            return Done::Ended;
        }
        if self.typing.is_some() {
            return self.type_domain(key.code);
        }
        match key.code {
            KeyCode::Char('q') | KeyCode::Esc if !self.helps => return Done::Ended,
            KeyCode::Tab => {
                self.page = match self.page {
                    Page::Calls => Page::Registrations,
                    Page::Registrations => Page::Calls,
                };
                self.first = 0;
                return Done::Asked;
            }
            KeyCode::Char('s') => {
                self.sort = match self.sort {
                    Sort::Age => Sort::State,
                    Sort::State => Sort::Caller,
                    Sort::Caller => Sort::Callee,
                    Sort::Callee => Sort::Age,
                }
            }
            KeyCode::Char('r') => self.reversed = !self.reversed,
            KeyCode::Char('d') => self.typing = Some(self.domain.clone().unwrap_or_default()),
            KeyCode::Char('p') => {
                self.paused = !self.paused;
                return if self.paused { Done::Shown } else { Done::Asked };
            }
            KeyCode::Char(' ') if !self.paused => return Done::Asked,
            KeyCode::Up | KeyCode::Char('k') => self.first = self.first.saturating_sub(1),
            KeyCode::Down | KeyCode::Char('j') => self.first += 1,
            KeyCode::PageUp => self.first = self.first.saturating_sub(self.rows.max(1)),
            KeyCode::PageDown => self.first += self.rows.max(1),
            KeyCode::Home => self.first = 0,
            KeyCode::End => self.first = usize::MAX / 2,
            KeyCode::Char('?' | 'h') => self.helps = !self.helps,
            _ => self.helps = false,
        }
        Done::Shown
    }

    fn type_domain(&mut self, key: KeyCode) -> Done {
        let Some(text) = &mut self.typing else { return Done::Shown };
        match key {
            KeyCode::Enter => {
                self.domain = self.typing.take().filter(|text| !text.is_empty());
                self.first = 0;
                return Done::Asked;
            }
            KeyCode::Esc => self.typing = None,
            KeyCode::Backspace => {
                text.pop();
            }
            KeyCode::Char(letter) if text.len() < MAX_DOMAIN && letter.is_ascii_graphic() => text.push(letter),
            _ => {}
        }
        Done::Shown
    }

    /// No further down than there is something to see.
    pub(super) fn keep_within(&mut self, reading: &Reading) {
        let all = match self.page {
            Page::Calls => reading.calls.len(),
            Page::Registrations => reading.registrations.len(),
        };
        self.first = self.first.min(all.saturating_sub(self.rows));
    }

    /// The calls in the order in which they are shown.
    pub(super) fn calls<'r>(&self, reading: &'r Reading) -> Vec<&'r Call> {
        let mut calls: Vec<&Call> = reading.calls.iter().collect();
        calls.sort_by(|one, other| {
            let young = other.began.cmp(&one.began);
            self.turned(match self.sort {
                Sort::Age => young,
                Sort::State => one.state.cmp(&other.state).then(young),
                Sort::Caller => one.caller.cmp(&other.caller).then(young),
                Sort::Callee => one.callee.cmp(&other.callee).then(young),
            })
        });
        calls
    }

    /// The registrations in the order in which they are shown.
    pub(super) fn registrations<'r>(&self, reading: &'r Reading) -> Vec<&'r Registration> {
        let mut all: Vec<&Registration> = reading.registrations.iter().collect();
        all.sort_by(|one, other| {
            let name = (&one.domain, &one.user).cmp(&(&other.domain, &other.user));
            self.turned(match self.sort {
                Sort::Age => other.registered.cmp(&one.registered).then(name),
                Sort::State => other.stale_since.is_some().cmp(&one.stale_since.is_some()).then(name),
                Sort::Caller => name,
                Sort::Callee => one.source.cmp(&other.source).then(name),
            })
        });
        all
    }

    fn turned(&self, order: Ordering) -> Ordering {
        if self.reversed { order.reverse() } else { order }
    }
}
