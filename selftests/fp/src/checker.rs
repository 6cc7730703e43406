// SPDX-License-Identifier: GPL-2.0

//! Rounds of load, hold, store and compare.

use std::marker::PhantomData;
use std::time::{Duration, Instant};

use crate::cpu::{set_sme_length, set_sve_length, Error, Features, Vectors};
use crate::mismatch::Mismatch;
use crate::pattern::Pattern;
use crate::registers::{Layout, RegisterSet, ZaSet, VECTORS};

/// Which registers a thread holds, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// V0-V31, FPSR, FPCR and FPMR.
    Fpsimd {
        /// Make a system call in the middle of the hold. It drops the task's
        /// SVE state, so the kernel keeps only these registers.
        syscalls: bool,
    },
    /// Z0-Z31, P0-P15, FFR, FPSR, FPCR and FPMR.
    Sve {
        /// The vector length, in bytes.
        vl: usize,
    },
    /// Streaming mode and ZA: all of SVE's registers at the streaming vector
    /// length, ZA and ZT0.
    Streaming {
        /// The streaming vector length, in bytes.
        vl: usize,
    },
    /// ZA and ZT0 outside streaming mode, with V0-V31.
    Za {
        /// The streaming vector length, in bytes.
        vl: usize,
        /// Make a system call in the middle of the hold.
        syscalls: bool,
    },
    /// V0-V31, FPSR, FPCR and FPMR, while the thread's vector length changes in
    /// the middle of the hold, which leaves these alone.
    LengthChange {
        /// Which vector length.
        of: Vectors,
        /// The length before, in bytes.
        from: usize,
        /// The length after, in bytes.
        to: usize,
    },
}

impl Mode {
    fn layout(self, features: &Features) -> Layout {
        match self {
            Mode::Fpsimd { .. } | Mode::Za { .. } | Mode::LengthChange { .. } => Layout::Fpsimd,
            Mode::Sve { vl } => Layout::Sve { vl },
            Mode::Streaming { vl } => Layout::Streaming {
                vl,
                ffr: features.sme_fa64,
            },
        }
    }
}

/// How the registers of one round are held.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(not(target_arch = "aarch64"), allow(dead_code))]
pub(crate) struct Hold {
    /// Turns of an empty loop, before and again after the system call.
    pub spins: u64,
    /// The system call's number.
    pub syscall: Option<libc::c_long>,
    /// The first arguments of the system call.
    pub arguments: [u64; 2],
    /// Whether FPMR exists.
    pub fpmr: bool,
    /// Whether ZT0 exists.
    pub zt0: bool,
}

/// What a thread did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Rounds completed, each a comparison of all registers.
    pub checks: u64,
    /// Rounds in which a register differed.
    pub corruptions: u64,
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.checks += other.checks;
        self.corruptions += other.corruptions;
    }
}

/// Holds patterns in the registers of the calling thread.
///
/// Vector lengths belong to the thread, so a checker cannot move to another.
pub struct Checker {
    mode: Mode,
    features: Features,
    pattern: Pattern,
    expected: Box<RegisterSet>,
    found: Box<RegisterSet>,
    za: Option<(ZaSet, ZaSet)>,
    spins: u64,
    on_this_thread: PhantomData<*const ()>,
}

impl Checker {
    /// The turns of the hold loop, if not set by [`Self::set_spins`]: many
    /// times what load and store take, so that an interrupt or a switch of
    /// tasks most likely falls into the hold.
    pub const DEFAULT_SPINS: u64 = 4000;

    /// Prepares the calling thread: sets its vector length where `mode` has
    /// one. Each thread that runs at the same time should have its own `seed`.
    pub fn new(seed: u16, mode: Mode) -> Result<Self, Error> {
        if cfg!(not(any(target_arch = "aarch64", target_arch = "arm"))) {
            return Err(Error::NotArm);
        }
        let features = Features::detect();
        let layout = mode.layout(&features);
        features.require(layout)?;
        let mut za = None;
        match mode {
            Mode::Fpsimd { .. } => {}
            Mode::Sve { vl } => set_sve_length(vl)?,
            // Both must exist.
            Mode::LengthChange { of, from, to } => {
                of.set(to)?;
                of.set(from)?;
            }
            Mode::Streaming { vl } | Mode::Za { vl, .. } => {
                if !features.sme {
                    return Err(Error::Missing("SME"));
                }
                set_sme_length(vl)?;
                za = Some((ZaSet::new(vl), ZaSet::new(vl)));
            }
        }
        Ok(Self {
            mode,
            features,
            pattern: Pattern { seed, round: 0 },
            expected: Box::new(RegisterSet::new(layout)),
            found: Box::new(RegisterSet::new(layout)),
            za,
            spins: Self::DEFAULT_SPINS,
            on_this_thread: PhantomData,
        })
    }

    /// Sets the turns of the hold loop.
    pub fn set_spins(&mut self, spins: u64) {
        self.spins = spins;
    }

    /// One round: load a new pattern, hold, store, compare.
    pub fn check(&mut self) -> Result<(), Box<Mismatch>> {
        self.prepare();
        self.hold();
        self.compare()
    }

    /// As [`Self::check`], but demands a value that was not loaded: the round
    /// must fail. It shows that a corruption would be noticed.
    pub fn check_wrongly(&mut self) -> Result<(), Box<Mismatch>> {
        self.prepare();
        self.hold();
        self.damage();
        self.compare()
    }

    /// Checks until `duration` is over, but once at least, and hands each corruption
    /// to `report`.
    pub fn run_for(&mut self, duration: Duration, report: impl FnMut(&Mismatch)) -> Tally {
        check_until(Instant::now() + duration, || self.check(), report)
    }

    fn prepare(&mut self) {
        self.pattern.round = self.pattern.round.wrapping_add(1);
        self.expected.fill(self.pattern, &self.features);
        if let Some((expected, _)) = &mut self.za {
            expected.fill(self.pattern, &self.features);
        }
        self.expected.control.svcr = match self.mode {
            Mode::Fpsimd { .. } | Mode::Sve { .. } | Mode::LengthChange { .. } => 0,
            Mode::Za { .. } => SVCR_ZA,
            Mode::Streaming { .. } => SVCR_ZA | SVCR_SM,
        };
        if let Mode::Za { vl, .. } | Mode::LengthChange { to: vl, .. } = self.mode {
            self.expected.control.vl = vl as u64;
        }
    }

    /// Changes one bit of a register that depends on the round, in what the
    /// round expects.
    fn damage(&mut self) {
        let bytes = self.expected.layout().vector_bytes();
        let at = self.pattern.round as usize * 37 % (VECTORS * bytes);
        match &mut self.za {
            Some((expected, _)) if self.pattern.round % 2 == 0 => expected.za[at % 256] ^= 4,
            _ => self.expected.vectors[at] ^= 4,
        }
    }

    #[cfg(any(target_arch = "aarch64", target_arch = "arm"))]
    fn hold(&mut self) {
        let (syscall, arguments) = self.syscall();
        if let Mode::LengthChange { of, from, .. } = self.mode {
            // It worked before. Where it does not, the lengths are not right.
            let _ = of.set(from);
        }
        let hold = Hold {
            spins: self.spins.max(1),
            syscall,
            arguments,
            fpmr: self.features.fpmr,
            zt0: self.features.sme2,
        };
        #[cfg(target_arch = "arm")]
        crate::aarch32::hold(&self.expected, &mut self.found, hold);
        #[cfg(target_arch = "aarch64")]
        match (&mut self.za, self.mode) {
            (Some((expected, found)), _) => {
                crate::sme::hold(&self.expected, expected, &mut self.found, found, hold);
            }
            (None, Mode::Sve { .. }) => crate::sve::hold(&self.expected, &mut self.found, hold),
            (None, _) => crate::fpsimd::hold(&self.expected, &mut self.found, hold),
        }
        if let Mode::LengthChange { of, .. } = self.mode {
            self.found.control.vl = of.get() as u64;
        }
    }

    /// The system call in the middle of the hold, and its arguments.
    #[cfg(any(target_arch = "aarch64", target_arch = "arm"))]
    fn syscall(&self) -> (Option<libc::c_long>, [u64; 2]) {
        match self.mode {
            Mode::LengthChange { of, to, .. } => (Some(libc::SYS_prctl), of.set_arguments(to)),
            // A yield lets another task take the registers; a call that only
            // enters the kernel does not.
            Mode::Fpsimd { syscalls: true } | Mode::Za { syscalls: true, .. } => {
                let even = self.pattern.round % 2 == 0;
                let number = if even {
                    libc::SYS_sched_yield
                } else {
                    libc::SYS_getpid
                };
                (Some(number), [0; 2])
            }
            _ => (None, [0; 2]),
        }
    }

    #[cfg(not(any(target_arch = "aarch64", target_arch = "arm")))]
    fn hold(&mut self) {
        unreachable!("there is no checker but on Arm");
    }

    fn compare(&self) -> Result<(), Box<Mismatch>> {
        let difference = self.expected.first_difference(&self.found).or_else(|| {
            let (expected, found) = self.za.as_ref()?;
            expected.first_difference(found)
        });
        match difference {
            Some(mismatch) => Err(Box::new(mismatch)),
            None => Ok(()),
        }
    }
}

/// Does `check` until `end`. The first one does not ask for the time: a thread that
/// comes to run late has checked something all the same.
fn check_until(
    end: Instant,
    mut check: impl FnMut() -> Result<(), Box<Mismatch>>,
    mut report: impl FnMut(&Mismatch),
) -> Tally {
    let mut tally = Tally::default();
    loop {
        tally.checks += 1;
        if let Err(mismatch) = check() {
            tally.corruptions += 1;
            report(&mismatch);
        }
        if Instant::now() >= end {
            return tally;
        }
    }
}

/// SVCR.SM: streaming mode.
const SVCR_SM: u64 = 1;
/// SVCR.ZA: ZA and ZT0 are on.
const SVCR_ZA: u64 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_check_though_the_time_is_over() {
        let tally = check_until(Instant::now(), || Ok(()), |_| {});
        let once = Tally {
            checks: 1,
            corruptions: 0,
        };
        assert_eq!(tally, once);
    }

    #[test]
    fn checks_go_on_until_the_time_is_over() {
        let end = Instant::now() + Duration::from_millis(20);
        let check = || {
            std::thread::sleep(Duration::from_millis(1));
            Ok(())
        };
        assert!(check_until(end, check, |_| {}).checks > 1);
        assert!(Instant::now() >= end);
    }
}
