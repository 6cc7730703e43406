// SPDX-License-Identifier: GPL-2.0

//! The console, which is slow: an emulated UART takes a character at a time,
//! and seconds for what a program prints in milliseconds. Whoever prints here
//! does not wait for it.

use std::io::{self, Write};
use std::sync::mpsc::{channel, Sender};
use std::sync::OnceLock;
use std::thread;

enum Message {
    /// Print this.
    Line(String),
    /// Say when all that was sent before has been printed.
    Flush(Sender<()>),
}

/// Prints lines one after the other, in a thread of its own.
pub struct Console(Sender<Message>);

impl Console {
    /// The console of the host: standard output.
    pub fn host() -> &'static Self {
        static HOST: OnceLock<Console> = OnceLock::new();
        HOST.get_or_init(|| Self::on(io::stdout()))
    }

    fn on(mut device: impl Write + Send + 'static) -> Self {
        let (sender, messages) = channel();
        thread::spawn(move || {
            for message in messages {
                match message {
                    // In one piece, so that it does not mix with what the
                    // kernel prints. There is nobody to tell of an error.
                    Message::Line(line) => drop(device.write_all(line.as_bytes())),
                    Message::Flush(done) => drop(done.send(())),
                }
            }
        });
        Self(sender)
    }

    /// Prints a line some time later, after those that were printed before.
    pub fn line(&self, line: &str) {
        // The receiver ends with the process only.
        let _ = self.0.send(Message::Line(format!("{line}\n")));
    }

    /// Waits until all lines are printed.
    pub fn flush(&self) {
        let (sender, done) = channel();
        let _ = self.0.send(Message::Flush(sender));
        let _ = done.recv();
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    /// A console that needs `delay` for each line.
    #[derive(Clone)]
    pub struct Slow {
        delay: Duration,
        printed: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            thread::sleep(self.delay);
            self.printed.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Such a console, and a look at what it has printed.
    pub fn slow(delay: Duration) -> (Console, impl Fn() -> String) {
        let device = Slow {
            delay,
            printed: Arc::default(),
        };
        let printed = Arc::clone(&device.printed);
        let look = move || String::from_utf8(printed.lock().unwrap().clone()).unwrap();
        (Console::on(device), look)
    }

    #[test]
    fn lines_are_printed_in_order() {
        let (console, printed) = slow(Duration::from_millis(50));
        console.line("one");
        console.line("two");
        assert_ne!(printed(), "one\ntwo\n", "it did not wait");
        console.flush();
        assert_eq!(printed(), "one\ntwo\n");
    }
}
