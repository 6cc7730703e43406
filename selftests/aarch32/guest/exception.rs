// SPDX-License-Identifier: GPL-2.0

//! Exceptions that the guest provokes, and those that it does not expect.

use core::arch::asm;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use crate::access;
use crate::device;
use crate::gic;
use crate::interface::{exception, STACK_SIZE};

/// CPSR.I: IRQs are masked.
const CPSR_I: u32 = 1 << 7;

/// What an exception leaves on the stack.
#[repr(C)]
pub struct Frame {
    /// R0 to R3 and R12.
    _scratch: [u32; 5],
    /// LR of System mode.
    lr: u32,
    /// Where to return to. At first the LR of the exception's mode.
    pc: u32,
    /// The SPSR of the exception's mode.
    cpsr: u32,
}

/// What the handler and the code around an exception tell each other: at the
/// base of the vCPU's stack, so that no register is needed to find it.
#[repr(C)]
struct Landing {
    /// The exception that may come, once.
    awaited: AtomicU32,
    /// CPSR before it, but for the flags.
    cpsr: AtomicU32,
    /// The LR that it came with.
    link: AtomicU32,
    /// The SPSR that it came with.
    status: AtomicU32,
    /// Of an IRQ, its INTID.
    interrupt: AtomicU32,
}

fn landing() -> &'static Landing {
    let sp: usize;
    // SAFETY: A read that changes nothing.
    unsafe { asm!("mov {}, sp", out(reg) sp, options(nomem, nostack, preserves_flags)) };
    let base = sp & !(STACK_SIZE as usize - 1);
    // SAFETY: The base of the stack is zeroed memory that the stack does not
    // grow down to, and nobody else's. All of it is atomic.
    unsafe { &*(base as *const Landing) }
}

/// An exception that was taken.
pub struct Taken {
    /// LR of its mode.
    pub link: u32,
    /// SPSR of its mode.
    pub status: u32,
    /// Of an IRQ, its INTID.
    pub interrupt: u32,
}

/// Does what provokes `exception`. None: it was not taken.
pub fn provoke<T>(exception: u32, provocation: impl FnOnce() -> T) -> (T, Option<Taken>) {
    let landing = landing();
    landing.cpsr.store(access::cpsr(), Relaxed);
    landing.awaited.store(exception, Relaxed);
    let result = provocation();
    if landing.awaited.swap(exception::NONE, Relaxed) == exception {
        return (result, None);
    }
    let taken = Taken {
        link: landing.link.load(Relaxed),
        status: landing.status.load(Relaxed),
        interrupt: landing.interrupt.load(Relaxed),
    };
    (result, Some(taken))
}

/// Called by the entry in `start.rs`.
#[no_mangle]
extern "C" fn handle_exception(frame: &mut Frame, kind: u32) {
    let landing = landing();
    if landing.awaited.swap(exception::NONE, Relaxed) != kind {
        device::fatal(kind, frame.pc, frame.cpsr);
    }
    landing.link.store(frame.pc, Relaxed);
    landing.status.store(frame.cpsr, Relaxed);
    // Not by the SPSR: see `Bank::expect_status`. Whatever provokes an
    // exception lets the flags change.
    frame.cpsr = landing.cpsr.load(Relaxed);
    match kind {
        exception::IRQ => {
            landing.interrupt.store(gic::acknowledge(), Relaxed);
            frame.pc -= 4;
            frame.cpsr &= !CPSR_I;
        }
        // Behind the load.
        exception::DATA_ABORT => frame.pc -= 4,
        // Where the call came from.
        exception::PREFETCH_ABORT => frame.pc = frame.lr,
        // LR is behind the instruction.
        _ => {}
    }
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    let line = info.location().map_or(0, core::panic::Location::line);
    device::fatal(exception::PANIC, line, 0);
}
