//! Files for a media thread: read and written by a thread of its own, which may wait for a disk.
//!
//! Orders wait in a queue of at most [`MAX_FILE_ORDERS`]; what finds no room there is refused at once, so that nothing
//! piles up behind a disk that stands still. Answers go to the media thread's own queue: there are never more of them
//! than orders.

mod read;
mod sounds;
mod web;
mod write;

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SendError, Sender, channel};
use std::sync::{Arc, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use std::{collections::HashMap, io};

use compact_str::CompactString;
use hookswitch_call::SoundKind;
use hookswitch_media::{FileError, FileId, FileOrder, FileReport};

use read::Reader;
use sounds::Sounds;
use web::Kept;
pub(super) use web::WebSounds;
pub use web::{BadSoundSource, SoundSource, WebSoundsConfig, is_url};
use write::Recordings;

/// Most orders that wait for the disk, for each media thread; more are refused.
pub const MAX_FILE_ORDERS: usize = 16_384;

/// Most bytes of recordings that do so; what is beyond is left out of them.
pub const MAX_RECORDED_WAITING: usize = 64 * 1024 * 1024;

/// Where files are.
#[derive(Clone, Debug, Default)]
pub struct FilesConfig {
    /// Sounds are looked for below these folders, in this order. None by default: then nothing is played from files.
    pub sounds: Vec<PathBuf>,
    /// Recordings are made below this folder. None by default: then nothing is recorded.
    pub recordings: Option<PathBuf>,
    /// Sounds that are URLs. None by default: then they are not played.
    pub web: Option<WebSoundsConfig>,
}

/// Who is told what has become of an order. Called on the file thread.
pub(super) type FileSink = Arc<dyn Fn(FileReport) + Send + Sync>;

/// The way to a file thread.
#[derive(Clone)]
pub(super) struct FileQueue {
    orders: Arc<Sender<Job>>,
    waiting: Arc<Waiting>,
}

/// What the thread is given to do.
enum Job {
    /// What the media thread has ordered.
    Order(FileOrder),
    /// A sound that was to be fetched.
    Fetched(FileId, Result<Kept, FileError>),
}

/// How much waits for the disk.
#[derive(Default)]
struct Waiting {
    orders: AtomicUsize,
    recorded: AtomicUsize,
}

impl Waiting {
    /// Whether there is room for an order, which is taken then.
    fn admit(&self, order: &FileOrder) -> bool {
        // The end of something never gets lost: what it holds would stay open for good. Each had its place before.
        let may_wait = matches!(order, FileOrder::CloseSound { .. } | FileOrder::FinishRecording { .. });
        let bytes = recorded(order);
        let is_full = self.orders.load(Ordering::Relaxed) >= MAX_FILE_ORDERS
            || (bytes > 0 && self.recorded.load(Ordering::Relaxed) + bytes > MAX_RECORDED_WAITING);
        if is_full && !may_wait {
            return false;
        }
        self.orders.fetch_add(1, Ordering::Relaxed);
        self.recorded.fetch_add(bytes, Ordering::Relaxed);
        true
    }

    /// It waits no more.
    fn release(&self, order: &FileOrder) {
        self.orders.fetch_sub(1, Ordering::Relaxed);
        self.recorded.fetch_sub(recorded(order), Ordering::Relaxed);
    }
}

/// Bytes of a recording in an order.
fn recorded(order: &FileOrder) -> usize {
    if let FileOrder::AppendRecording { samples, .. } = order { size_of_val(&**samples) } else { 0 }
}

impl FileQueue {
    /// Orders something; the report says that it is refused.
    pub(super) fn order(&self, order: FileOrder) -> Result<(), FileReport> {
        if !self.waiting.admit(&order) {
            return order.refused(FileError::Busy).map_or(Ok(()), Err);
        }
        match self.orders.send(Job::Order(order)) {
            // The thread has ended, as it does when the switch stops.
            Err(SendError(Job::Order(order))) => order.refused(FileError::Busy).map_or(Ok(()), Err),
            Ok(()) | Err(SendError(Job::Fetched(..))) => Ok(()),
        }
    }
}

/// A file thread. It ends when nobody can order anything any more.
pub(super) struct FileThread {
    queue: Option<FileQueue>,
    thread: Option<JoinHandle<()>>,
}

impl FileThread {
    /// To be called by a thread that runs at ordinary priority on any CPU: this one inherits that.
    pub(super) fn start(
        index: usize,
        config: &FilesConfig,
        web: Option<Arc<WebSounds>>,
        sink: FileSink,
    ) -> io::Result<Self> {
        let (orders, taken) = channel();
        let (orders, waiting) = (Arc::new(orders), Arc::new(Waiting::default()));
        let web = web.map(|web| (web, Arc::downgrade(&orders)));
        let queue = FileQueue { orders, waiting: Arc::clone(&waiting) };
        let sounds = Sounds::new(config.sounds.clone());
        let recordings = Recordings::new(config.recordings.clone());
        let files = Files { sounds, web, awaited: HashMap::new(), readers: HashMap::new(), recordings, sink };
        let run = move || files.run(&taken, &waiting);
        let thread = thread::Builder::new().name(format!("files-{index}")).spawn(run)?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    /// The way to it.
    pub(super) fn queue(&self) -> Option<FileQueue> {
        self.queue.clone()
    }
}

impl Drop for FileThread {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(Err(_)) = self.thread.take().map(JoinHandle::join) {
            tracing::error!("a file thread had panicked");
        }
    }
}

/// What the thread has open.
struct Files {
    sounds: Sounds,
    /// Who fetches sounds, and where they are told of. A sound that is under way does not keep this thread.
    web: Option<(Arc<WebSounds>, Weak<Sender<Job>>)>,
    /// Sounds that are under way.
    awaited: HashMap<FileId, Awaited>,
    readers: HashMap<FileId, Reader>,
    recordings: Recordings,
    sink: FileSink,
}

/// How a sound is to be read when it has come.
struct Awaited {
    kind: SoundKind,
    name: CompactString,
    rate: u32,
    from: Duration,
}

impl Files {
    fn run(mut self, jobs: &Receiver<Job>, waiting: &Waiting) {
        while let Ok(job) = jobs.recv() {
            let report = match job {
                Job::Order(order) => {
                    waiting.release(&order);
                    self.carry_out(order)
                }
                Job::Fetched(file, kept) => self.fetched(file, kept),
            };
            if let Some(report) = report {
                (self.sink)(report);
            }
        }
    }

    fn carry_out(&mut self, order: FileOrder) -> Option<FileReport> {
        match order {
            FileOrder::OpenSound { file, kind, name, rate, from } if is_url(&name) => {
                self.fetch(file, Awaited { kind, name, rate, from })
            }
            FileOrder::OpenSound { file, kind, name, rate, from } => {
                let opened = self.sounds.open(&name).and_then(|opened| Reader::new(opened, (kind, &name), rate, from));
                Some(self.begin(file, opened))
            }
            // One that has failed or come to its end was closed then.
            FileOrder::ReadSound { file } => {
                let read = self.readers.get_mut(&file)?.read();
                Some(self.report_of(file, read))
            }
            FileOrder::CloseSound { file } => {
                self.readers.remove(&file);
                self.awaited.remove(&file);
                None
            }
            FileOrder::CreateRecording { file, name, channels, rate } => {
                Some(self.recordings.create(file, &name, channels, rate))
            }
            FileOrder::AppendRecording { file, at, samples } => self.recordings.append(file, at, &samples),
            FileOrder::FinishRecording { file, length, keep } => self.recordings.finish(file, length, keep),
        }
    }

    fn fetch(&mut self, file: FileId, awaited: Awaited) -> Option<FileReport> {
        let Some((web, orders)) = &self.web else {
            return Some(FileReport::SoundFailed { file, why: FileError::NotAllowed });
        };
        let (orders, name) = (orders.clone(), awaited.name.clone());
        self.awaited.insert(file, awaited);
        web.want(
            &name,
            Box::new(move |kept| {
                // If the switch stops meanwhile nobody wants it any more.
                if let Some(orders) = orders.upgrade() {
                    let _ = orders.send(Job::Fetched(file, kept));
                }
            }),
        );
        None
    }

    /// A sound has come, or not. Whoever has closed it meanwhile does not want it.
    fn fetched(&mut self, file: FileId, kept: Result<Kept, FileError>) -> Option<FileReport> {
        let Awaited { kind, name, rate, from } = self.awaited.remove(&file)?;
        // What comes behind the path says nothing of what it is.
        let path = name.split(['?', '#']).next().unwrap_or_default();
        let opened = kept.and_then(|kept| Reader::of_part(kept, (kind, path), rate, from));
        Some(self.begin(file, opened))
    }

    fn begin(&mut self, file: FileId, opened: Result<Reader, FileError>) -> FileReport {
        let read = opened.and_then(|mut reader| {
            let chunk = reader.read()?;
            self.readers.insert(file, reader);
            Ok(chunk)
        });
        self.report_of(file, read)
    }

    fn report_of(&mut self, file: FileId, chunk: Result<(Arc<[i16]>, bool), FileError>) -> FileReport {
        let report = match chunk {
            Ok((samples, last)) => FileReport::Sound { file, samples, last },
            Err(why) => FileReport::SoundFailed { file, why },
        };
        if !matches!(report, FileReport::Sound { last: false, .. }) {
            self.readers.remove(&file);
        }
        report
    }
}

#[cfg(test)]
mod tests;
