// SPDX-License-Identifier: GPL-2.0
//! Work that is done side by side.

use std::panic::resume_unwind;
use std::sync::Mutex;
use std::thread;

/// Does `work` on each of `jobs`, `workers` of them at a time, and returns what
/// came of each. They begin in their order, and the results are in it.
pub fn side_by_side<Job: Send, Done: Send>(
    jobs: Vec<Job>,
    workers: usize,
    work: impl Fn(Job) -> Done + Sync,
) -> Vec<Done> {
    let queue = Mutex::new(jobs.into_iter().enumerate());
    let done = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| loop {
                // A poisoned lock means that another worker panicked, which
                // the scope reports; what it protects is whole.
                let next = queue.lock().unwrap_or_else(|e| e.into_inner()).next();
                let Some((number, job)) = next else {
                    return;
                };
                let result = (number, work(job));
                done.lock().unwrap_or_else(|e| e.into_inner()).push(result);
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(|e| e.into_inner());
    done.sort_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, result)| result).collect()
}

/// Does both at the same time.
pub fn both<A: Send, B>(a: impl FnOnce() -> A + Send, b: impl FnOnce() -> B) -> (A, B) {
    thread::scope(|scope| {
        let a = scope.spawn(a);
        let b = b();
        // What panicked there panics here.
        (a.join().unwrap_or_else(|panic| resume_unwind(panic)), b)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;
    use std::time::Duration;

    #[test]
    fn results_are_in_the_order_of_the_jobs() {
        let sleep = |ms| {
            std::thread::sleep(Duration::from_millis(ms));
            ms
        };
        let jobs = vec![40, 10, 0, 30, 0];
        assert_eq!(side_by_side(jobs.clone(), 2, sleep), jobs);
        assert!(side_by_side(Vec::new(), 2, sleep).is_empty());
    }

    #[test]
    fn so_many_run_at_a_time() {
        // Fewer would wait for each other for ever.
        let barrier = Barrier::new(2);
        let running = Mutex::new((0, 0));
        side_by_side(vec![(); 6], 2, |()| {
            let change = |by: i32| {
                let mut count = running.lock().unwrap();
                count.0 += by;
                count.1 = count.1.max(count.0);
            };
            change(1);
            barrier.wait();
            change(-1);
        });
        assert_eq!(*running.lock().unwrap(), (0, 2));
    }
}
