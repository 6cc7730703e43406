// SPDX-License-Identifier: GPL-2.0

//! A user of kernel-mode NEON in softirq context, for tests.
//!
//! A vCPU's FP state stays in the CPU's registers from `vcpu_load` to `vcpu_put`, across exits to
//! the host. A softirq that interrupts the host in between may want the registers for itself, as
//! the network stack does when it decrypts packets. `kernel_neon_begin()` then has to save the
//! guest's live registers to where KVM told the FP core to, and the next guest entry has to see
//! that they are gone. Whoever gets this wrong corrupts the guest, or the next task on the CPU, and
//! only when a softirq comes at the right moment. This driver makes softirqs come at that moment,
//! and leaves none of the registers as it found them.
//!
//! `/sys/kernel/debug/neon_softirq/` has
//!
//! - `period_us`: writing a period of at least 100 microseconds starts a timer on the CPU that the
//!   writer runs on, or gives that CPU's timer the new period. To have one on each CPU, write once
//!   from each, for instance under `taskset`. Writing 0 stops the timers of all CPUs; it returns
//!   when no use of the registers is under way any more. Everything else is `EINVAL`. Reads as the
//!   last period written, 0 when stopped.
//! - `rounds`: how often the registers were filled, held and checked;
//! - `skipped`: how often a timer expired where kernel-mode NEON was not allowed;
//! - `corruptions`: in how many rounds a register changed while it was held. The kernel log names
//!   the registers of the first of them.
//!
//! The three counters are totals of all CPUs since boot.

use kernel::{
    cpu::{
        nr_cpu_ids,
        CpuId, //
    },
    debugfs::{
        Reader,
        Scope,
        Writer, //
    },
    fmt,
    impl_has_hr_timer,
    interrupt::local_interrupt_disable,
    new_mutex,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc, ArcBorrow, Mutex,
    },
    time::{
        hrtimer::{
            ArcHrTimerHandle,
            HrTimer,
            HrTimerCallback,
            HrTimerCallbackContext,
            HrTimerPointer,
            HrTimerRestart,
            RelativePinnedSoftMode, //
        },
        Delta, Monotonic,
    },
    uaccess::UserSliceReader, //
};

#[path = "neon_softirq/registers.rs"]
mod registers;

module! {
    type: NeonSoftirq,
    name: "neon_softirq",
    authors: ["KVM/arm64 Rust authors"],
    description: "Test user of kernel-mode NEON in softirq context",
    license: "GPL",
}

/// The shortest period, in microseconds. Below it, an emulated CPU would do little else.
const MIN_PERIOD_US: u32 = 100;

/// How many turns of an empty loop a pattern is held in the registers.
///
/// Microseconds on hardware, some tens of them under emulation: long enough for an interrupt to
/// come in between, short against [`MIN_PERIOD_US`].
const HOLD_TURNS: u64 = 2000;

/// How many corruptions the kernel log describes. The rest are only counted.
const MAX_REPORTS: u64 = 8;

/// What has happened since boot, on all CPUs.
struct Counters {
    rounds: Atomic<u64>,
    skipped: Atomic<u64>,
    corruptions: Atomic<u64>,
}

impl Counters {
    fn new() -> Self {
        Self {
            rounds: Atomic::new(0),
            skipped: Atomic::new(0),
            corruptions: Atomic::new(0),
        }
    }

    /// Uses the registers once, if that is allowed here, and counts what came of it.
    fn round(&self) {
        let changed = registers::with_kernel_neon(|neon| {
            // No two rounds, of whichever CPU, have the same number. So none takes for its own
            // pattern what another has left behind.
            neon.hold(self.rounds.fetch_add(1, Relaxed), HOLD_TURNS)
        });

        match changed {
            None => {
                self.skipped.fetch_add(1, Relaxed);
            }
            Some(0) => {}
            Some(changed) => {
                if self.corruptions.fetch_add(1, Relaxed) < MAX_REPORTS {
                    pr_err!(
                        "CPU {}: FP registers changed in a softirq, mask of V0-V31: {:#010x}\n",
                        CpuId::current().as_u32(),
                        changed
                    );
                }
            }
        }
    }
}

/// One CPU's timer. Its period is for life; a new period takes a new timer.
#[pin_data]
struct Timer {
    #[pin]
    timer: HrTimer<Self>,
    period: Delta,
    counters: Arc<Counters>,
}

impl_has_hr_timer! {
    impl HasHrTimer<Self> for Timer {
        mode: RelativePinnedSoftMode<Monotonic>, field: self.timer
    }
}

impl Timer {
    fn new(period: Delta, counters: Arc<Counters>) -> impl PinInit<Self> {
        pin_init!(Self {
            timer <- HrTimer::new(),
            period,
            counters,
        })
    }
}

impl HrTimerCallback for Timer {
    type Pointer<'a> = Arc<Self>;

    fn run(
        this: ArcBorrow<'_, Self>,
        mut context: HrTimerCallbackContext<'_, Self>,
    ) -> HrTimerRestart {
        this.counters.round();
        // By whole periods to after now: expiries that were missed are not made up for.
        context.forward_now(this.period);
        HrTimerRestart::Restart
    }
}

/// The timers that run. Dropping a handle cancels its timer.
struct Running {
    /// Indexed by CPU number.
    timers: KVec<Option<ArcHrTimerHandle<Timer>>>,
    period_us: u32,
}

/// The file `period_us`, and what it controls.
#[pin_data]
struct Control {
    #[pin]
    running: Mutex<Running>,
    counters: Arc<Counters>,
}

impl Control {
    fn new() -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            running <- {
                let mut timers = KVec::new();
                for _ in 0..nr_cpu_ids() {
                    timers.push(None, GFP_KERNEL)?;
                }
                new_mutex!(Running { timers, period_us: 0 })
            },
            counters: Arc::new(Counters::new(), GFP_KERNEL)?,
        })
    }

    /// Starts a timer on this CPU, in place of the one that may run here already.
    fn start(&self, period_us: u32) -> Result {
        let period = Delta::from_micros(period_us.into());
        let timer = Arc::pin_init(Timer::new(period, self.counters.clone()), GFP_KERNEL)?;

        let mut running = self.running.lock();
        let previous = {
            // A pinned timer goes to the CPU that starts it, which has to be the one whose place
            // it takes.
            let _no_migration = local_interrupt_disable();
            let place = &mut running.timers[CpuId::current().as_u32() as usize];
            place.replace(timer.start(period))
        };
        // Interrupts are on again: this waits for the callback if it is running.
        drop(previous);
        running.period_us = period_us;
        Ok(())
    }

    /// Stops the timers of all CPUs and waits for their callbacks to end.
    fn stop(&self) {
        let mut running = self.running.lock();
        for place in running.timers.iter_mut() {
            *place = None;
        }
        running.period_us = 0;
    }
}

impl Writer for Control {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.running.lock().period_us)
    }
}

impl Reader for Control {
    fn read_from_slice(&self, reader: &mut UserSliceReader) -> Result {
        // Room for the ten digits of a u32, a sign and some white space.
        let mut buffer = [0u8; 16];
        let text = buffer.get_mut(..reader.len()).ok_or(EINVAL)?;
        reader.read_slice(text)?;
        let text = core::str::from_utf8(text).map_err(|_| EINVAL)?;

        match text.trim().parse::<u32>().map_err(|_| EINVAL)? {
            0 => {
                self.stop();
                Ok(())
            }
            period_us if period_us >= MIN_PERIOD_US => self.start(period_us),
            _ => Err(EINVAL),
        }
    }
}

/// The driver: its files, and behind them everything else.
#[pin_data]
struct NeonSoftirq {
    #[pin]
    _files: Scope<Control>,
}

impl kernel::InPlaceModule for NeonSoftirq {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            _files <- Scope::dir(Control::new(), c"neon_softirq", |control, dir| {
                dir.read_write_file(c"period_us", control);
                dir.read_only_file(c"rounds", &control.counters.rounds);
                dir.read_only_file(c"skipped", &control.counters.skipped);
                dir.read_only_file(c"corruptions", &control.counters.corruptions);
            }),
        })
    }
}
