//! What waits for one application: bounded, so that one that does not read costs nobody else.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hookswitch_dialect::call_api::LogOrder;
use tokio::sync::{mpsc, oneshot};

/// Messages that may wait for one application.
pub const MAX_OUTBOX: usize = 8_192;

/// Bytes that may wait for one application.
pub const MAX_OUTBOX_BYTES: usize = 4 * 1024 * 1024;

/// Something for an application.
pub(super) enum Say {
    Text(String),
    /// Tell of the log of events, or no longer, after everything before.
    Log(LogOrder),
    /// Close with this code, after everything before.
    Close(u16),
}

/// The shard's end.
pub(crate) struct Outbox {
    queue: mpsc::Sender<Say>,
    bytes: Arc<AtomicUsize>,
    abort: oneshot::Sender<u16>,
}

/// The connection's end.
pub(super) struct Waiting {
    queue: mpsc::Receiver<Say>,
    bytes: Arc<AtomicUsize>,
}

/// The connection's end of [`Outbox::abort`].
pub(super) struct Abort(Option<oneshot::Receiver<u16>>);

/// The application does not read.
pub(crate) struct SlowReader;

pub(super) fn outbox() -> (Outbox, Waiting, Abort) {
    let (queue, queued) = mpsc::channel(MAX_OUTBOX);
    let (abort, aborted) = oneshot::channel();
    let bytes = Arc::new(AtomicUsize::new(0));
    let ours = Outbox { queue, bytes: Arc::clone(&bytes), abort };
    (ours, Waiting { queue: queued, bytes }, Abort(Some(aborted)))
}

impl Outbox {
    /// Adds a message.
    pub(crate) fn push(&self, text: String) -> Result<(), SlowReader> {
        let len = text.len();
        if self.bytes.fetch_add(len, Ordering::Relaxed) + len > MAX_OUTBOX_BYTES {
            return Err(SlowReader);
        }
        match self.queue.try_send(Say::Text(text)) {
            // A connection that has gone says so by itself.
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => Ok(()),
            Err(mpsc::error::TrySendError::Full(_)) => Err(SlowReader),
        }
    }

    /// Has the log told, or no longer, after what waits.
    pub(crate) fn log(&self, order: LogOrder) -> Result<(), SlowReader> {
        match self.queue.try_send(Say::Log(order)) {
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => Ok(()),
            Err(mpsc::error::TrySendError::Full(_)) => Err(SlowReader),
        }
    }

    /// Closes after what waits.
    pub(crate) fn close(self, code: u16) {
        if self.queue.try_send(Say::Close(code)).is_err() {
            self.abort(code);
        }
    }

    /// Closes without it.
    pub(crate) fn abort(self, code: u16) {
        let _ = self.abort.send(code);
    }
}

impl Waiting {
    /// The next thing to say; `None` when the shard is gone.
    pub(super) async fn next(&mut self) -> Option<Say> {
        let say = self.queue.recv().await;
        if let Some(Say::Text(text)) = &say {
            self.bytes.fetch_sub(text.len(), Ordering::Relaxed);
        }
        say
    }

    /// The next thing to say, if there is one already.
    pub(super) fn next_now(&mut self) -> Option<Say> {
        let say = self.queue.try_recv().ok();
        if let Some(Say::Text(text)) = &say {
            self.bytes.fetch_sub(text.len(), Ordering::Relaxed);
        }
        say
    }
}

impl Abort {
    /// Waits until the connection is to be closed at once, perhaps for ever. May be dropped and called again.
    pub(super) async fn requested(&mut self) -> u16 {
        if let Some(requested) = &mut self.0 {
            if let Ok(code) = requested.await {
                return code;
            }
            // The shard has let go; what it has said before is still to be sent.
            self.0 = None;
        }
        pending().await
    }
}
