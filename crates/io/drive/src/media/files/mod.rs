//! Files for a media thread: read and written by a thread of its own, which may wait for a disk.
//!
//! Orders wait in a queue of at most [`MAX_FILE_ORDERS`]; what finds no room there is refused at once, so that nothing
//! piles up behind a disk that stands still. Answers go to the media thread's own queue: there are never more of them
//! than orders.

mod read;
mod sounds;
mod write;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::{collections::HashMap, io};

use hookswitch_media::{FileError, FileId, FileOrder, FileReport};

use read::Reader;
use sounds::Sounds;
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
}

/// Who is told what has become of an order. Called on the file thread.
pub(super) type FileSink = Arc<dyn Fn(FileReport) + Send + Sync>;

/// The way to a file thread.
#[derive(Clone)]
pub(super) struct FileQueue {
    orders: Sender<FileOrder>,
    waiting: Arc<Waiting>,
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
        self.orders.send(order).or_else(|unsent| {
            // The thread has ended, as it does when the switch stops.
            unsent.0.refused(FileError::Busy).map_or(Ok(()), Err)
        })
    }
}

/// A file thread. It ends when nobody can order anything any more.
pub(super) struct FileThread {
    queue: Option<FileQueue>,
    thread: Option<JoinHandle<()>>,
}

impl FileThread {
    /// To be called by a thread that runs at ordinary priority on any CPU: this one inherits that.
    pub(super) fn start(index: usize, config: &FilesConfig, sink: FileSink) -> io::Result<Self> {
        let (orders, taken) = channel();
        let waiting = Arc::new(Waiting::default());
        let queue = FileQueue { orders, waiting: Arc::clone(&waiting) };
        let sounds = Sounds::new(config.sounds.clone());
        let recordings = Recordings::new(config.recordings.clone());
        let run = move || Files { sounds, readers: HashMap::new(), recordings, sink }.run(&taken, &waiting);
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
    readers: HashMap<FileId, Reader>,
    recordings: Recordings,
    sink: FileSink,
}

impl Files {
    fn run(mut self, orders: &Receiver<FileOrder>, waiting: &Waiting) {
        while let Ok(order) = orders.recv() {
            waiting.release(&order);
            if let Some(report) = self.carry_out(order) {
                (self.sink)(report);
            }
        }
    }

    fn carry_out(&mut self, order: FileOrder) -> Option<FileReport> {
        let (file, chunk) = match order {
            FileOrder::OpenSound { file, kind, name, rate, from } => {
                let opened = self.sounds.open(&name).and_then(|opened| Reader::new(opened, (kind, &name), rate, from));
                let read = opened.and_then(|mut reader| {
                    let chunk = reader.read()?;
                    self.readers.insert(file, reader);
                    Ok(chunk)
                });
                (file, read)
            }
            // One that has failed or come to its end was closed then.
            FileOrder::ReadSound { file } => (file, self.readers.get_mut(&file)?.read()),
            FileOrder::CloseSound { file } => {
                self.readers.remove(&file);
                return None;
            }
            FileOrder::CreateRecording { file, name, channels, rate } => {
                return Some(self.recordings.create(file, &name, channels, rate));
            }
            FileOrder::AppendRecording { file, at, samples } => return self.recordings.append(file, at, &samples),
            FileOrder::FinishRecording { file, length } => return self.recordings.finish(file, length),
        };
        let report = match chunk {
            Ok((samples, last)) => FileReport::Sound { file, samples, last },
            Err(why) => FileReport::SoundFailed { file, why },
        };
        if !matches!(report, FileReport::Sound { last: false, .. }) {
            self.readers.remove(&file);
        }
        Some(report)
    }
}

#[cfg(test)]
mod tests;
