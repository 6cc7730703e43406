// SPDX-License-Identifier: GPL-2.0

//! The registers of a real CPU: they keep their values, and a debugger that
//! changes one is noticed.

#[cfg(not(any(target_arch = "aarch64", target_arch = "arm")))]
#[test]
fn there_is_no_checker_elsewhere() {
    let refused = fp::Checker::new(1, fp::Mode::Fpsimd { syscalls: false }).err();
    assert_eq!(refused, Some(fp::Error::NotArm));
}

#[cfg(target_arch = "aarch64")]
mod arm64 {
    use std::io::{self, BufRead, BufReader};
    use std::process::{Child, Command, Stdio};
    use std::sync::mpsc::{channel, Receiver, RecvTimeoutError};
    use std::thread;
    use std::time::{Duration, Instant};

    use fp::{Checker, Error, Mode, Vectors};

    /// Every way to hold registers that exists here.
    fn modes() -> Vec<Mode> {
        let mut modes: Vec<_> = [false, true]
            .map(|syscalls| Mode::Fpsimd { syscalls })
            .into();
        modes.extend(fp::sve_lengths().into_iter().map(|vl| Mode::Sve { vl }));
        for vl in fp::sme_lengths() {
            modes.push(Mode::Streaming { vl });
            modes.extend([false, true].map(|syscalls| Mode::Za { vl, syscalls }));
        }
        for (of, lengths) in [
            (Vectors::Sve, fp::sve_lengths()),
            (Vectors::Streaming, fp::sme_lengths()),
        ] {
            if let (Some(&from), Some(&to)) = (lengths.last(), lengths.first()) {
                modes.extend([
                    Mode::LengthChange { of, from, to },
                    Mode::LengthChange {
                        of,
                        from: to,
                        to: from,
                    },
                ]);
            }
        }
        modes
    }

    #[test]
    fn registers_keep_their_values_in_every_mode() {
        for mode in modes() {
            thread::spawn(move || {
                let mut checker = Checker::new(5, mode).expect("a mode that exists");
                let begin = Instant::now();
                let tally = checker.run_for(Duration::from_millis(100), |mismatch| {
                    panic!("{mode:?}: {mismatch}");
                });
                let rate = tally.checks as f64 / begin.elapsed().as_secs_f64();
                println!("{mode:?}: {rate:.0} checks per second");
                assert!(tally.checks > 0);
            })
            .join()
            .expect("no corruption");
        }
    }

    #[test]
    fn modes_share_the_cpu() {
        let holders: Vec<_> = modes()
            .into_iter()
            .enumerate()
            .map(|(n, mode)| {
                thread::spawn(move || {
                    let mut checker =
                        Checker::new(100 + n as u16, mode).expect("a mode that exists");
                    checker.run_for(Duration::from_secs(3), |mismatch| {
                        panic!("{mode:?}: {mismatch}");
                    })
                })
            })
            .collect();
        for holder in holders {
            assert!(holder.join().expect("no corruption").checks > 0);
        }
    }

    #[test]
    fn a_wrong_expectation_is_noticed_every_time() {
        for mode in modes() {
            thread::spawn(move || {
                let mut checker = Checker::new(6, mode).expect("a mode that exists");
                checker.set_spins(1);
                for _ in 0..50 {
                    assert!(checker.check_wrongly().is_err(), "{mode:?}");
                    assert!(checker.check().is_ok(), "{mode:?}");
                }
            })
            .join()
            .expect("each noticed");
        }
    }

    #[test]
    fn lengths_that_do_not_exist_are_refused() {
        for vl in [0, 8, 17, 272] {
            let refused = Checker::new(1, Mode::Sve { vl }).err();
            match fp::sve_lengths().is_empty() {
                true => assert_eq!(refused, Some(Error::Missing("SVE"))),
                false => {
                    assert!(matches!(refused, Some(Error::Length { asked, .. }) if asked == vl))
                }
            }
        }
    }

    /// What `holder` is to hold: "v", "v-syscalls" or the SVE vector length.
    const HOLD: &str = "FP_TEST_HOLD";

    /// Not a test of its own: the process whose registers the tests change.
    #[test]
    fn holder() {
        let Ok(hold) = std::env::var(HOLD) else {
            return;
        };
        let mode = match hold.as_str() {
            "v" => Mode::Fpsimd { syscalls: false },
            "v-syscalls" => Mode::Fpsimd { syscalls: true },
            vl => Mode::Sve {
                vl: vl.parse().expect("a vector length"),
            },
        };
        let mut checker = Checker::new(9, mode).expect("a mode that exists");
        // Long, so that the debugger meets it while it holds.
        checker.set_spins(2_000_000);
        println!("holder ready");
        checker.run_for(Duration::from_secs(60), |mismatch| {
            println!("holder: {}", mismatch.register);
        });
    }

    /// A process that holds registers, and that this one debugs. Killed at the
    /// end.
    struct Debugged {
        child: Child,
        lines: Receiver<String>,
    }

    impl Drop for Debugged {
        fn drop(&mut self) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }

    fn ptrace(request: libc::c_uint, tid: i32, address: usize, data: usize) {
        // SAFETY: Requests with data are given an iovec that lives as long as
        // the call, over a buffer of the length that it says.
        let result = unsafe { libc::ptrace(request, tid, address, data) };
        assert!(
            result >= 0,
            "ptrace {request:#x}: {}",
            io::Error::last_os_error()
        );
    }

    impl Debugged {
        fn start(hold: &str) -> Self {
            let mut child = Command::new("/proc/self/exe")
                .args([
                    "--exact",
                    "arm64::holder",
                    "--nocapture",
                    "--test-threads=1",
                ])
                .env(HOLD, hold)
                .stdout(Stdio::piped())
                .spawn()
                .expect("this program");
            let stdout = child.stdout.take().expect("a pipe");
            let (sender, lines) = channel();
            thread::spawn(move || {
                for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                    // The test may have seen enough.
                    let _ = sender.send(line);
                }
            });
            let debugged = Self { child, lines };
            while !debugged.line().is_some_and(|l| l.contains("holder ready")) {}
            debugged
        }

        fn line(&self) -> Option<String> {
            match self.lines.recv_timeout(Duration::from_secs(5)) {
                Ok(line) => Some(line),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => panic!("the holder ended"),
            }
        }

        /// The thread that holds: the one that has run longest.
        fn thread(&self) -> i32 {
            let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id()));
            let tids = tasks.expect("its threads").flatten();
            let tids = tids.filter_map(|t| t.file_name().to_str()?.parse::<i32>().ok());
            tids.max_by_key(|tid| {
                let path = format!("/proc/{}/task/{tid}/stat", self.child.id());
                let stat = std::fs::read_to_string(path).unwrap_or_default();
                let after_name = stat.rsplit(')').next().unwrap_or_default();
                after_name
                    .split_whitespace()
                    .nth(11)
                    .and_then(|t| t.parse::<u64>().ok())
            })
            .expect("a thread")
        }

        /// Flips a bit of the byte at `offset` of the register set `set`.
        fn flip(&self, set: usize, offset: usize) {
            thread::sleep(Duration::from_millis(300));
            let tid = self.thread();
            ptrace(libc::PTRACE_SEIZE, tid, 0, 0);
            ptrace(libc::PTRACE_INTERRUPT, tid, 0, 0);
            // SAFETY: Waits for a thread of a child; no status is asked for.
            let stopped = unsafe { libc::waitpid(tid, std::ptr::null_mut(), libc::__WALL) };
            assert_eq!(stopped, tid, "{}", io::Error::last_os_error());
            let mut bytes = vec![0u8; 16 * 1024];
            let mut iovec = libc::iovec {
                iov_base: bytes.as_mut_ptr().cast(),
                iov_len: bytes.len(),
            };
            ptrace(libc::PTRACE_GETREGSET, tid, set, &raw mut iovec as usize);
            assert!(offset < iovec.iov_len, "{offset} of {}", iovec.iov_len);
            bytes[offset] ^= 1;
            ptrace(libc::PTRACE_SETREGSET, tid, set, &raw mut iovec as usize);
            ptrace(libc::PTRACE_DETACH, tid, 0, 0);
        }

        /// Flips a bit and returns the register that the holder found changed.
        /// Now and then the flip falls between two holds, where it rightly has
        /// no effect.
        fn found_after_flip(&self, set: usize, offset: usize) -> String {
            for _ in 0..5 {
                self.flip(set, offset);
                if let Some(line) = self.line() {
                    return line
                        .rsplit("holder: ")
                        .next()
                        .unwrap_or_default()
                        .to_owned();
                }
            }
            panic!("not noticed: set {set:#x}, byte {offset}");
        }
    }

    const NT_PRFPREG: usize = 2;
    const NT_ARM_SVE: usize = 0x405;

    #[test]
    fn a_changed_v_register_is_named() {
        for hold in ["v", "v-syscalls"] {
            let debugged = Debugged::start(hold);
            for n in [0, 13, 31] {
                let found = debugged.found_after_flip(NT_PRFPREG, n * 16 + 15);
                assert_eq!(found, format!("v{n}"), "{hold}");
            }
        }
    }

    #[test]
    fn a_changed_sve_register_is_named() {
        // The shortest, one that is no power of two where there is such, and
        // the longest.
        let lengths = fp::sve_lengths();
        let mut chosen: Vec<_> = [lengths.first(), lengths.get(2), lengths.last()]
            .into_iter()
            .flatten()
            .collect();
        chosen.dedup();
        for vl in chosen {
            let debugged = Debugged::start(&vl.to_string());
            let header = 16;
            for n in [0, 13, 31] {
                let found = debugged.found_after_flip(NT_ARM_SVE, header + (n + 1) * vl - 1);
                assert_eq!(found, format!("z{n}"), "vl {vl}");
            }
            let predicates = header + 32 * vl;
            for n in [0, 15] {
                let found = debugged.found_after_flip(NT_ARM_SVE, predicates + n * (vl / 8));
                assert_eq!(found, format!("p{n}"), "vl {vl}");
            }
        }
    }

    #[test]
    fn the_callers_own_arithmetic_is_untouched() {
        let mut checker = Checker::new(3, Mode::Fpsimd { syscalls: false }).expect("V0-V31");
        let third = std::hint::black_box(1.0f64) / 3.0;
        for _ in 0..200 {
            checker.check().expect("no corruption");
            assert_eq!(std::hint::black_box(1.0f64) / 3.0, third);
        }
    }
}
