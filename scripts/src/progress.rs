// SPDX-License-Identifier: GPL-2.0
//! Progress for people: a spinner per running step on a terminal, plain lines
//! elsewhere.

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How long a step may run without a plain line of progress.
const QUIET: Duration = Duration::from_secs(30);

/// Where progress goes. Cheap to clone; clones share their counters.
#[derive(Clone)]
pub struct Ui {
    bars: MultiProgress,
    terminal: bool,
    begun: Arc<AtomicUsize>,
    total: Arc<AtomicUsize>,
    start: Instant,
}

impl Ui {
    /// Progress on standard error.
    pub fn new() -> Self {
        let terminal = std::io::stderr().is_terminal();
        let target = if terminal {
            ProgressDrawTarget::stderr_with_hz(8)
        } else {
            ProgressDrawTarget::hidden()
        };
        Self {
            bars: MultiProgress::with_draw_target(target),
            terminal,
            begun: Arc::default(),
            total: Arc::default(),
            start: Instant::now(),
        }
    }

    /// Adds `n` to the number of steps that are known to come.
    pub fn expect(&self, n: usize) {
        self.total.fetch_add(n, Ordering::Relaxed);
    }

    /// Prints one line that stays.
    pub fn line(&self, text: &str) {
        if self.terminal {
            // Only a closed terminal can make this fail, and then nobody reads.
            let _ = self.bars.println(text);
        } else {
            eprintln!("{text}");
        }
    }

    /// Begins a step.
    pub fn step(&self, title: &str) -> Step {
        let number = self.begun.fetch_add(1, Ordering::Relaxed) + 1;
        // A step nobody announced raises the total instead of exceeding it.
        let total = self.total.fetch_max(number, Ordering::Relaxed).max(number);
        let label = format!("[{number}/{total}] {title}");
        let bar = self.terminal.then(|| {
            let bar = self.bars.add(ProgressBar::new_spinner());
            if let Ok(style) =
                ProgressStyle::with_template("{spinner} {prefix} {elapsed} {wide_msg}")
            {
                bar.set_style(style);
            }
            bar.set_prefix(label.clone());
            bar.enable_steady_tick(Duration::from_millis(150));
            bar
        });
        if bar.is_none() {
            eprintln!(
                "{label} ({} s since the start)",
                self.start.elapsed().as_secs()
            );
        }
        Step {
            ui: self.clone(),
            label,
            bar,
            start: Instant::now(),
            spoke: Mutex::new(Instant::now()),
        }
    }
}

/// A step that runs; it ends when dropped.
pub struct Step {
    ui: Ui,
    label: String,
    bar: Option<ProgressBar>,
    start: Instant,
    spoke: Mutex<Instant>,
}

impl Step {
    /// Says what the step is at.
    pub fn at(&self, what: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(what.to_owned());
            return;
        }
        // A poisoned lock would mean another thread panicked while printing:
        // the time in it is still good.
        let mut spoke = self.spoke.lock().unwrap_or_else(|e| e.into_inner());
        if spoke.elapsed() >= QUIET {
            *spoke = Instant::now();
            eprintln!(
                "{}: {} s, {what}",
                self.label,
                self.start.elapsed().as_secs()
            );
        }
    }

    /// Ends the step with a line that says how.
    pub fn end(self, outcome: &str) {
        let seconds = self.start.elapsed().as_secs_f32();
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        self.ui
            .line(&format!("{}: {outcome} ({seconds:.1} s)", self.label));
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
