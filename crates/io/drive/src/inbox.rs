//! What other threads have for a loop: a bounded queue that wakes it.
//!
//! The lock is held for a push or for one swap of the whole queue; nobody waits long for it, and the packet path of a
//! media thread does not touch it: it looks at a flag.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use mio::{Registry, Token, Waker};
use tokio::sync::Notify;

/// A queue into one loop.
pub(crate) struct Inbox<T> {
    items: Mutex<VecDeque<T>>,
    /// There is something, for those who look often. Written with the lock.
    has_items: AtomicBool,
    waker: Wake,
    limit: usize,
}

/// How a loop is woken: one that waits for sockets, or one that is a task beside others of its thread, which costs those
/// no system call.
enum Wake {
    Poll(Waker),
    Task(Notify),
}

impl<T> Inbox<T> {
    /// A queue of at most `limit` items; its loop sees `token` when there is something.
    pub(crate) fn new(registry: &Registry, token: Token, limit: usize) -> io::Result<Self> {
        Ok(Self::with(Wake::Poll(Waker::new(registry, token)?), limit))
    }

    /// A queue of at most `limit` items whose loop waits with [`Inbox::filled`].
    pub(crate) fn of_task(limit: usize) -> Self {
        Self::with(Wake::Task(Notify::new()), limit)
    }

    fn with(waker: Wake, limit: usize) -> Self {
        Self { items: Mutex::new(VecDeque::new()), has_items: AtomicBool::new(false), waker, limit }
    }

    /// Whether there is something to take.
    #[inline]
    pub(crate) fn has_items(&self) -> bool {
        self.has_items.load(Ordering::Acquire)
    }

    /// Waits until there is something that came after the queue was last taken; for ever where the loop waits for
    /// sockets. May be dropped and called again.
    pub(crate) async fn filled(&self) {
        match &self.waker {
            Wake::Poll(_) => std::future::pending().await,
            Wake::Task(task) => task.notified().await,
        }
    }

    /// Adds an item; gives it back when the queue is full.
    pub(crate) fn push(&self, item: T) -> Result<(), T> {
        let mut items = self.lock();
        if items.len() >= self.limit {
            return Err(item);
        }
        items.push_back(item);
        self.wake_if_first(items);
        Ok(())
    }

    /// Adds an item whatever the limit: for news that must not be lost and that are bounded by their kind, such as the
    /// end of something that had its place in the queue.
    pub(crate) fn push_always(&self, item: T) {
        let mut items = self.lock();
        items.push_back(item);
        self.wake_if_first(items);
    }

    /// Moves everything to the end of `into`.
    pub(crate) fn take(&self, into: &mut VecDeque<T>) {
        let mut items = self.lock();
        self.has_items.store(false, Ordering::Release);
        if into.is_empty() {
            std::mem::swap(&mut *items, into);
        } else {
            into.append(&mut items);
        }
    }

    /// The loop takes everything when it is woken, so only the first item after that has to wake it.
    fn wake_if_first(&self, items: MutexGuard<'_, VecDeque<T>>) {
        let is_first = items.len() == 1;
        self.has_items.store(true, Ordering::Release);
        drop(items);
        if !is_first {
            return;
        }
        match &self.waker {
            Wake::Poll(waker) => {
                if let Err(error) = waker.wake() {
                    tracing::error!(%error, "cannot wake a loop");
                }
            }
            Wake::Task(task) => task.notify_one(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<T>> {
        // A push or a swap cannot panic half-way, so the queue is sound whatever happened to its last user.
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const WAKER: Token = Token(7);

    #[test]
    fn the_first_item_wakes_and_the_limit_holds() {
        let mut poll = mio::Poll::new().unwrap();
        let inbox = Inbox::new(poll.registry(), WAKER, 3).unwrap();
        for item in 0..3 {
            assert_eq!(inbox.push(item), Ok(()));
        }
        assert_eq!(inbox.push(3), Err(3));
        inbox.push_always(4);
        let mut events = mio::Events::with_capacity(8);
        poll.poll(&mut events, Some(Duration::from_secs(5))).unwrap();
        assert_eq!(events.iter().map(|event| event.token()).collect::<Vec<_>>(), [WAKER]);
        let mut taken = VecDeque::new();
        inbox.take(&mut taken);
        assert_eq!(taken, [0, 1, 2, 4]);
        // Whoever comes after the queue was emptied wakes again.
        assert_eq!(inbox.push(5), Ok(()));
        poll.poll(&mut events, Some(Duration::from_secs(5))).unwrap();
        assert_eq!(events.iter().count(), 1);
        inbox.take(&mut taken);
        assert_eq!(taken, [0, 1, 2, 4, 5]);
    }

    #[tokio::test]
    async fn a_task_is_woken_by_what_came_before_and_while_it_waits() {
        let inbox = std::sync::Arc::new(Inbox::of_task(3));
        let mut taken = VecDeque::new();
        for item in 0..100 {
            let pushes = std::sync::Arc::clone(&inbox);
            let push = move || pushes.push(item).unwrap();
            // In turn from another thread and before anybody waits.
            let other = if item % 2 == 0 {
                Some(std::thread::spawn(push))
            } else {
                push();
                None
            };
            tokio::time::timeout(Duration::from_secs(5), inbox.filled()).await.unwrap();
            inbox.take(&mut taken);
            assert_eq!(taken.pop_front(), Some(item));
            if let Some(other) = other {
                other.join().unwrap();
            }
        }
    }
}
