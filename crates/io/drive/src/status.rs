//! How far a switch is in its life, for whoever waits for it.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The life of a switch.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Phase {
    /// It takes calls.
    Running,
    /// It takes no new calls; some are left.
    Draining,
    /// It takes no new calls and none is left.
    Drained,
    /// It was stopped.
    Stopped,
    /// It has ended by a defect.
    Failed,
}

pub(crate) struct Status {
    phase: Mutex<Phase>,
    changed: Condvar,
}

impl Status {
    pub(crate) const fn new() -> Self {
        Self { phase: Mutex::new(Phase::Running), changed: Condvar::new() }
    }

    pub(crate) fn get(&self) -> Phase {
        *self.lock()
    }

    /// Goes on to a later phase; never back.
    pub(crate) fn set(&self, phase: Phase) {
        let mut current = self.lock();
        if phase > *current {
            *current = phase;
        }
        drop(current);
        self.changed.notify_all();
    }

    /// Waits until the phase is at least this one, or a time has passed; returns the phase then.
    pub(crate) fn wait(&self, phase: Phase, patience: Option<Duration>) -> Phase {
        let current = self.lock();
        match patience {
            Some(patience) => {
                let waited = self.changed.wait_timeout_while(current, patience, |current| *current < phase);
                *waited.unwrap_or_else(PoisonError::into_inner).0
            }
            None => {
                let waited = self.changed.wait_while(current, |current| *current < phase);
                *waited.unwrap_or_else(PoisonError::into_inner)
            }
        }
    }

    /// Says that the switch has failed, unless it was stopped before the value is dropped.
    pub(crate) fn on_drop(&self) -> impl Drop + '_ {
        FailedUnlessStopped(self)
    }

    fn lock(&self) -> MutexGuard<'_, Phase> {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct FailedUnlessStopped<'a>(&'a Status);

impl Drop for FailedUnlessStopped<'_> {
    fn drop(&mut self) {
        if self.0.get() != Phase::Stopped {
            self.0.set(Phase::Failed);
        }
    }
}
