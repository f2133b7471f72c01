//! Pages of events from the disk, for readers that are far behind: read by a thread that may wait for it.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use hookswitch_dialect::journal::{EventId, Logged};
use hookswitch_store::{EventLog, StoreError};
use tokio::sync::{mpsc, oneshot};

/// Events of one page.
const PAGE: usize = 1_024;

/// Bytes of one page, or one event.
const PAGE_BYTES: usize = 1024 * 1024;

/// Pages that may be asked for at once; whoever asks for more waits.
const MAX_ASKED: usize = 64;

/// Events that stand in the log one after the other.
pub(super) struct Page {
    pub(super) events: Vec<Arc<Logged>>,
    /// The number to go on with.
    pub(super) next: u64,
}

type Read = Result<Page, StoreError>;

enum Request {
    Page { after: u64, reply: oneshot::Sender<Read> },
    Stop,
}

/// The way to the thread.
pub(super) struct Pages {
    requests: mpsc::Sender<Request>,
}

impl Pages {
    pub(super) fn start(log: Arc<EventLog>) -> io::Result<(Self, JoinHandle<()>)> {
        let (requests, asked) = mpsc::channel(MAX_ASKED);
        let thread = thread::Builder::new().name("event-pages".to_owned()).spawn(move || serve(&log, asked))?;
        Ok((Self { requests }, thread))
    }

    /// The events after this one, as many as a page has; none when the thread has ended.
    pub(super) async fn read(&self, after: u64) -> Option<Read> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(Request::Page { after, reply }).await.ok()?;
        answer.await.ok()
    }

    pub(super) fn stop(&self) {
        // If there is no room somebody has asked, and the thread finds out that its askers are gone.
        if self.requests.try_send(Request::Stop).is_err() {
            tracing::debug!("pages of events are still being asked for at the end");
        }
    }
}

fn serve(log: &EventLog, mut asked: mpsc::Receiver<Request>) {
    while let Some(Request::Page { after, reply }) = asked.blocking_recv() {
        if !reply.is_closed() {
            // Whoever asked may have given up meanwhile.
            let _ = reply.send(page(log, after));
        }
    }
}

fn page(log: &EventLog, after: u64) -> Read {
    // Asked first: what comes while the page is read is not on it.
    let end = log.extent().next;
    let entries = log.read(after, PAGE, PAGE_BYTES)?;
    // A page that is empty is the end of what is on the disk.
    let next = entries.last().map_or(end, |last| last.id + 1);
    let events = entries.into_iter().filter_map(|entry| {
        let event = Logged::from_bytes(EventId(entry.id), &entry.bytes);
        if event.is_none() {
            tracing::error!(id = entry.id, "an event in the log cannot be read and is left out");
        }
        event.map(Arc::new)
    });
    Ok(Page { events: events.collect(), next })
}
