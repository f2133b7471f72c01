//! Sessions without a socket: a program that speaks the Call API to the front inside itself.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use hookswitch_dialect::call_api::{LogOrder, Tag};
use hookswitch_shard::SessionId;

use super::Message;
use crate::inbox::Inbox;
use crate::web::{MAX_OUTBOX, MAX_UNHANDLED, Outboxes};

/// Numbers of sessions without a socket begin here; the web counts from 1.
const FIRST: u64 = 1 << 63;

/// The name of the session with this number.
pub(super) const fn name(number: u64) -> SessionId {
    SessionId(FIRST | number)
}

/// A session without a socket. Dropping it ends it, as if its connection were closed.
pub struct LocalSession {
    session: SessionId,
    inbox: Arc<Inbox<Message>>,
    texts: Receiver<String>,
    /// One for each text that the front has not handled.
    unhandled: SyncSender<()>,
}

/// The front's end of a session without a socket.
pub(super) struct LocalEnd {
    texts: SyncSender<String>,
    unhandled: Receiver<()>,
}

impl LocalSession {
    /// A session, and the end of it that the loop holds.
    pub(super) fn new(session: SessionId, inbox: &Arc<Inbox<Message>>) -> (Self, LocalEnd) {
        let (says, texts) = sync_channel(MAX_OUTBOX);
        let (unhandled, handled) = sync_channel(MAX_UNHANDLED);
        let ours = Self { session, inbox: Arc::clone(inbox), texts, unhandled };
        (ours, LocalEnd { texts: says, unhandled: handled })
    }

    /// Says something: one JSON text, as in a WebSocket message. Waits while [`MAX_UNHANDLED`] of them are not handled
    /// yet; says nothing to a front that has closed the session.
    pub fn send(&self, text: impl Into<String>) {
        if self.unhandled.send(()).is_err() {
            return;
        }
        self.inbox.push_always(Message::LocalText { session: self.session, text: text.into() });
    }

    /// The next text for this session, waited for at most so long. `None` also when the front has closed the session;
    /// whoever leaves [`MAX_OUTBOX`] texts waiting loses it.
    #[must_use]
    pub fn recv_timeout(&self, patience: Duration) -> Option<String> {
        self.texts.recv_timeout(patience).ok()
    }
}

impl Drop for LocalSession {
    fn drop(&mut self) {
        self.inbox.push_always(Message::LocalClosed(self.session));
    }
}

/// All sessions of a front.
#[derive(Default)]
pub(super) struct Sessions {
    pub(super) web: Outboxes,
    local: HashMap<SessionId, LocalEnd>,
}

impl Sessions {
    pub(super) fn open_local(&mut self, session: SessionId, end: LocalEnd) {
        self.local.insert(session, end);
    }

    /// A text of a session without a socket was handled, which makes room for another.
    pub(super) fn handled_local(&mut self, session: SessionId) {
        if let Some(end) = self.local.get(&session) {
            // There is one for each text, and it was put there first.
            let _ = end.unhandled.try_recv();
        }
    }

    pub(super) fn closed_local(&mut self, session: SessionId) {
        self.local.remove(&session);
    }

    /// Says something to an application. Whoever does not read loses its session.
    pub(super) fn say(&mut self, session: SessionId, text: String) {
        if session.0 < FIRST {
            return self.web.say(session, text);
        }
        let full = self.local.get(&session).map(|end| end.texts.try_send(text));
        if let Some(Err(TrySendError::Full(_))) = full {
            tracing::warn!("a session inside the program does not read and is closed");
            self.local.remove(&session);
        }
    }

    /// Has an application told of the log of events, or no longer. One without a socket has no log; the order is given back by
    /// its tag.
    pub(super) fn log(&mut self, session: SessionId, order: LogOrder) -> Option<Tag> {
        match order {
            LogOrder::Follow { tag, .. } if session.0 >= FIRST => Some(tag),
            order => {
                self.web.log(session, order);
                None
            }
        }
    }

    /// Closes a session after what was said before.
    pub(super) fn dismiss(&mut self, session: SessionId, code: u16) {
        if session.0 < FIRST {
            self.web.dismiss(session, code);
        } else {
            self.local.remove(&session);
        }
    }
}
