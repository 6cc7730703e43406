// SPDX-License-Identifier: GPL-2.0

//! What the guest reports, wherever it runs.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::sync::mpsc::{channel, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{bail, Context, Result};
use guest_init::report::{self, Event};
use serde::Serialize;

/// The guest's reports.
pub struct Guest(Receiver<Event>);

/// What the guest said of itself when it was up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Boot {
    /// From its kernel's start to its userspace, by its own clock.
    pub boot_ms: u64,
    /// Release of its kernel.
    pub kernel: String,
    /// Longest SVE vector in bytes, 0 without SVE.
    pub sve_vl: usize,
}

/// Checks of its registers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Checks {
    /// How many.
    pub checks: u64,
    /// How many of them found a difference.
    pub corruptions: u64,
}

impl Guest {
    /// Waits for QEMU to connect the guest's serial port to `address`.
    pub fn listen(address: &str) -> Result<Self> {
        let listener =
            TcpListener::bind(address).with_context(|| format!("cannot listen at {address}"))?;
        let (sender, receiver) = channel();
        // One connection after the other, or two of them at a time: while the guest
        // migrates, there are two QEMUs.
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let sender = sender.clone();
                thread::spawn(move || forward(stream, &sender));
            }
        });
        Ok(Self(receiver))
    }

    /// The next report, which must come before `end`.
    fn next(&self, end: Instant) -> Result<Event> {
        let left = end.saturating_duration_since(Instant::now());
        match self.0.recv_timeout(left) {
            Ok(event) => Ok(event),
            Err(RecvTimeoutError::Timeout) => bail!("the guest says nothing"),
            Err(RecvTimeoutError::Disconnected) => bail!("nobody listens to the guest"),
        }
    }

    /// Waits until the guest is up.
    pub fn wait_for_boot(&self, limit: Duration) -> Result<Boot> {
        let end = Instant::now() + limit;
        loop {
            match self.next(end)? {
                Event::Boot {
                    uptime_ms,
                    sve_vl,
                    kernel,
                    ..
                } => {
                    return Ok(Boot {
                        boot_ms: uptime_ms,
                        kernel,
                        sve_vl,
                    });
                }
                other => Checks::default().add(&other)?,
            }
        }
    }

    /// Waits until the guest has reported `rounds` of checks that began from now on.
    /// Those before count, too.
    pub fn watch(&self, rounds: usize, limit: Duration) -> Result<Checks> {
        let end = Instant::now() + limit;
        let mut checks = Checks::default();
        for event in self.0.try_iter() {
            checks.add(&event)?;
        }
        // One had begun.
        let mut left = rounds + 1;
        while left > 0 {
            let event = self.next(end)?;
            checks.add(&event)?;
            left -= usize::from(matches!(event, Event::Fp { .. }));
        }
        Ok(checks)
    }
}

impl Checks {
    /// Takes a report into account.
    fn add(&mut self, event: &Event) -> Result<()> {
        match event {
            Event::Fp {
                checks,
                corruptions,
                ..
            } => {
                self.checks += checks;
                self.corruptions += corruptions;
            }
            Event::Error { message } => bail!("the guest says: {message}"),
            // The round that it is in counts it.
            Event::Corruption { .. } => eprintln!("the guest reports {event:?}"),
            Event::Boot { .. } | Event::Done => bail!("the guest began or ended: {event:?}"),
        }
        Ok(())
    }
}

/// Hands reports on until the connection ends.
fn forward(stream: impl Read, events: &Sender<Event>) {
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    while matches!(reader.read_until(b'\n', &mut line), Ok(1..)) {
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end();
        println!("console: {text}");
        if let Some(event) = report::of_line(text) {
            // Nobody waits for it any more.
            let _ = events.send(event);
        }
        line.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(checks: u64, corruptions: u64) -> Event {
        Event::Fp {
            seconds: 5,
            threads: 4,
            checks,
            corruptions,
            device_reads: 1,
            sve_lengths: [16].into(),
        }
    }

    fn guest(events: Vec<Event>) -> Guest {
        let (sender, receiver) = channel();
        for event in events {
            sender.send(event).unwrap();
        }
        Guest(receiver)
    }

    #[test]
    fn reports_are_found_among_what_a_console_says() {
        let text = "[    0.1] Linux\r\nguest: {\"event\":\"done\"}\r\nDebian login: \n";
        let (sender, receiver) = channel();
        forward(text.as_bytes(), &sender);
        drop(sender);
        assert_eq!(receiver.iter().collect::<Vec<_>>(), [Event::Done]);
    }

    #[test]
    fn a_round_that_had_begun_is_not_one_of_those_to_wait_for() {
        let limit = Duration::from_secs(20);
        let (sender, receiver) = channel();
        let guest = Guest(receiver);
        sender.send(round(1, 0)).unwrap();
        let late = thread::spawn(move || {
            for checks in [2, 4, 8] {
                thread::sleep(Duration::from_millis(50));
                sender.send(round(checks, 0)).unwrap();
            }
        });
        assert_eq!(guest.watch(2, limit).unwrap().checks, 15);
        late.join().unwrap();
    }

    #[test]
    fn who_says_nothing_or_something_bad_is_no_success() {
        let limit = Duration::from_millis(20);
        let (_sender, receiver) = channel();
        let silent = Guest(receiver).watch(1, limit).unwrap_err();
        assert_eq!(silent.to_string(), "the guest says nothing");
        let message = "no CPU".to_owned();
        let failed = guest(vec![Event::Error { message }]).wait_for_boot(limit);
        assert_eq!(failed.unwrap_err().to_string(), "the guest says: no CPU");
        let ended = guest(vec![round(1, 0), Event::Done]).watch(1, limit);
        assert!(ended.is_err(), "a guest that ends cannot go on checking");
    }

    #[test]
    fn corruptions_are_counted_whenever_they_were() {
        let events = vec![round(5, 1), round(5, 0), round(5, 2)];
        let (sender, receiver) = channel();
        let seen = thread::spawn(move || Guest(receiver).watch(1, Duration::from_secs(20)));
        for event in events {
            thread::sleep(Duration::from_millis(50));
            let _ = sender.send(event);
        }
        let two = Checks {
            checks: 10,
            corruptions: 1,
        };
        assert_eq!(seen.join().unwrap().unwrap(), two);
    }
}
