//! A dialog is ended. Asked by a controller, or left over by a command that is over itself: then it is not given up
//! until OpenSIPS has said that it is done, or no longer knows the dialog.
//!
//! ```text
//!  (Cancel ──►) Reply ─── OK, or 404 ──► done
//!                 │ lost: look up ─── gone ──► done
//!                 └──◄─ still there ─────┘
//! ```

use std::time::Duration;

use compact_str::CompactString;
use hookswitch_call::{Stage, Time};
use serde::{Deserialize, Serialize};

use super::{Cx, News, failure};
use crate::evi::state;
use crate::mi::Matter;
use crate::mi::reply::{Answer, Truth};
use crate::mi::request::Ask;

/// How often a dialog that still exists is ended for a controller.
const MAX_TRIES: u8 = 3;

/// How often for nobody: with the pauses between, for more than half an hour.
const MAX_LEFTOVER_TRIES: u8 = 14;

/// How long until a leftover is tried again; doubles each time.
const AGAIN_AFTER: Duration = Duration::from_secs(5);

/// Most doublings of that.
const MAX_DOUBLINGS: u8 = 6;

/// The end of a dialog.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct End {
    /// Its Call-ID, or OpenSIPS's name for it.
    dialog: CompactString,
    headers: Option<String>,
    /// A leftover; whether it may still be ringing.
    leftover: Option<bool>,
    tries: u8,
    /// When a leftover is tried again.
    again_at: Option<Time>,
    /// OpenSIPS is down: it is tried again when that is over.
    parked: bool,
}

impl End {
    pub(crate) const fn commanded(dialog: CompactString, headers: Option<String>) -> Self {
        Self { dialog, headers, leftover: None, tries: 0, again_at: None, parked: false }
    }

    pub(crate) const fn leftover(dialog: CompactString, ringing: bool) -> Self {
        Self { dialog, headers: None, leftover: Some(ringing), tries: 0, again_at: None, parked: false }
    }

    pub(crate) const fn deadline(&self) -> Option<Time> {
        self.again_at
    }

    pub(crate) fn hear(&mut self, cx: &mut Cx<'_>, news: News<'_>) {
        match news {
            News::Begin => {
                self.parked = false;
                self.tries = 0;
                self.again_at = None;
                self.begin(cx);
            }
            News::Due => {
                self.again_at = None;
                self.begin(cx);
            }
            News::Answer(Matter::Cancel, _) => self.ask(cx),
            News::Answer(Matter::End, answer) => self.replied(cx, answer),
            News::Answer(Matter::Dialog, answer) => self.looked_up(cx, answer.truth()),
            // The reply says it too, unless it is lost.
            News::Dialog(sign) if sign.state == state::DELETED && (self.tries > 1 || self.again_at.is_some()) => {
                cx.finish(Ok(()));
            }
            News::Park => {
                self.parked = true;
                self.again_at = None;
            }
            News::Abandon(failure) => cx.fail(failure.clone()),
            News::Answer(..) | News::Transfer(_) | News::Hold(_) | News::Dialog(_) | News::Restarted | News::GiveUp => {
            }
        }
    }

    fn begin(&mut self, cx: &mut Cx<'_>) {
        if self.leftover == Some(true) {
            cx.ask(Matter::Cancel, Ask::Cancel { callid: self.dialog.clone() });
        } else {
            self.ask(cx);
        }
    }

    fn ask(&mut self, cx: &mut Cx<'_>) {
        self.tries += 1;
        cx.ask(Matter::End, Ask::End { dialog: self.dialog.clone(), headers: self.headers.clone() });
    }

    fn replied(&mut self, cx: &mut Cx<'_>, answer: &Answer) {
        match answer {
            Answer::Result(_) => cx.finish(Ok(())),
            // It was there when it was asked for the second time; the first attempt has had its effect after all.
            Answer::Error { code: 404, .. } if self.tries > 1 || self.leftover.is_some() => cx.finish(Ok(())),
            Answer::Error { code, text } => {
                if !self.later(cx) {
                    cx.fail(failure::refused(Stage::End, *code, text));
                }
            }
            Answer::Lost => cx.ask(Matter::Dialog, Ask::Dialog { callid: self.dialog.clone() }),
        }
    }

    fn looked_up(&mut self, cx: &mut Cx<'_>, truth: Truth) {
        match truth {
            Truth::Gone | Truth::There(state::DELETED) => cx.finish(Ok(())),
            Truth::There(_) if self.tries < MAX_TRIES => self.ask(cx),
            Truth::There(_) | Truth::Unknown if self.later(cx) => {}
            Truth::There(_) => cx.fail(failure::backend("OpenSIPS did not reply, and the call goes on")),
            Truth::Unknown => cx.fail(failure::backend("OpenSIPS did not reply")),
        }
    }

    /// Whether it is tried again later, which only a leftover can wait for.
    fn later(&mut self, cx: &Cx<'_>) -> bool {
        let is_worth_it = self.leftover.is_some() && self.tries < MAX_LEFTOVER_TRIES;
        if is_worth_it {
            let doublings = self.tries.saturating_sub(1).min(MAX_DOUBLINGS);
            self.again_at = Some(cx.now + AGAIN_AFTER * (1 << doublings));
        }
        is_worth_it
    }
}
