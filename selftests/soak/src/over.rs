// SPDX-License-Identifier: GPL-2.0

//! The end of the soak, for which all threads wait instead of sleeping.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Whether the time is up.
#[derive(Debug, Default)]
pub struct Over {
    is: Mutex<bool>,
    changed: Condvar,
}

impl Over {
    /// Says so.
    pub fn set(&self) {
        *self.is.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    /// Whether it is.
    pub fn is_now(&self) -> bool {
        *self.is.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for `time`, or until it is over. Returns whether to go on.
    pub fn wait(&self, time: Duration) -> bool {
        let end = Instant::now() + time;
        let mut is = self.is.lock().unwrap_or_else(PoisonError::into_inner);
        while !*is {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            is = self
                .changed
                .wait_timeout(is, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_waits_is_woken_by_the_end() {
        let over = Over::default();
        assert!(over.wait(Duration::from_millis(1)) && !over.is_now());
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| over.wait(Duration::from_secs(600)));
            over.set();
            assert!(!waits.join().unwrap());
        });
        assert!(over.is_now());
    }
}
