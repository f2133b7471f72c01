//! Memory that is not needed any more goes back to the system, also when nothing happens.
//!
//! The allocator does that a while after memory was freed, but only on the occasion of another request. A switch that
//! falls silent after a busy hour makes none, and would hold what the busy hour took until the next one.

#![allow(unsafe_code)]

use std::thread;
use std::time::Duration;

use hookswitch_net::without_huge_pages;

/// How often.
const EVERY: Duration = Duration::from_secs(5);

/// Starts a thread that looks after it until the program ends. For programs whose allocator is mimalloc; to be called
/// early, since what is allocated before may have taken huge pages.
pub fn tidy() {
    if let Err(error) = without_huge_pages() {
        tracing::debug!(%error, "memory may come in huge pages");
    }
    let work = || {
        loop {
            thread::sleep(EVERY);
            // SAFETY: has no preconditions; may be called by any thread at any time. Not forced: only what has been
            // free for the allocator's own delay goes back.
            unsafe { libmimalloc_sys::mi_collect(false) };
        }
    };
    // Without it everything else works, and memory goes back later.
    if let Err(error) = thread::Builder::new().name("memory".into()).spawn(work) {
        tracing::warn!(%error, "no thread to give memory back");
    }
}
