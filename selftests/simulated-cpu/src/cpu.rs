// SPDX-License-Identifier: GPL-2.0
//! A CPU at EL2: its registers, and what was done to them.

mod fp;
mod registers;
mod traps;

pub use fp::{FpRegisters, STREAMING_VECTOR_LENGTH, SVCR_SM, SVCR_ZA};
pub(crate) use traps::open;
pub use traps::{ExceptionClass, Outcome, Unit};

use crate::arm64::registers::{CPTR_EL2, HCR_EL2, PAR_EL1, PMCNTENCLR_EL0, PMCNTENSET_EL0};
use crate::arm64::sysreg::{Encoding, RegisterName, SystemRegister};
use registers::Registers;
use std::cell::RefCell;
use std::fmt;

/// What the code at EL2 runs as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The kernel, with `HCR_EL2.E2H` 1.
    Vhe,
    /// The hypervisor of a kernel at EL1, with `HCR_EL2.E2H` 0.
    Nvhe,
    /// The same, with `HCR_EL2.E2H` 1.
    Hvhe,
}

impl Mode {
    /// All modes.
    pub const ALL: [Mode; 3] = [Mode::Vhe, Mode::Nvhe, Mode::Hvhe];
}

/// One access, by the name that the instruction has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// MRS.
    Read {
        /// The name.
        name: &'static str,
        /// What was read.
        value: u64,
    },
    /// MSR.
    Write {
        /// The name.
        name: &'static str,
        /// What was written.
        value: u64,
    },
    /// ISB.
    Isb,
    /// DSB, with its option.
    Dsb(&'static str),
    /// DMB, with its option.
    Dmb(&'static str),
    /// AT S1E1R, or AT S1E1A.
    At {
        /// What was to be translated.
        address: u64,
        /// S1E1A, which looks at no permissions.
        ignoring_permissions: bool,
    },
    /// A store of V0 to V31.
    SaveV,
    /// A load of V0 to V31.
    LoadV,
    /// A store of Z0 to Z31, P0 to P15 and FFR.
    SaveSve {
        /// The vector length in force, in bytes.
        length: usize,
    },
    /// A load of Z0 to Z31, P0 to P15 and FFR.
    LoadSve {
        /// The vector length in force, in bytes.
        length: usize,
    },
    /// A guest ran, from its entry to its exit.
    Guest,
    /// A function of C was called.
    Call(&'static str),
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Access::Read { name, value } => write!(f, "mrs {name} {value:#x}"),
            Access::Write { name, value } => write!(f, "msr {name} {value:#x}"),
            Access::Isb => f.write_str("isb"),
            Access::Dsb(option) => write!(f, "dsb {option}"),
            Access::Dmb(option) => write!(f, "dmb {option}"),
            Access::At {
                address,
                ignoring_permissions,
            } => {
                let name = if *ignoring_permissions {
                    "s1e1a"
                } else {
                    "s1e1r"
                };
                write!(f, "at {name} {address:#x}")
            }
            Access::SaveV => f.write_str("save V"),
            Access::LoadV => f.write_str("load V"),
            Access::SaveSve { length } => write!(f, "save Z of {length}"),
            Access::LoadSve { length } => write!(f, "load Z of {length}"),
            Access::Guest => f.write_str("guest"),
            Access::Call(function) => write!(f, "call {function}"),
        }
    }
}

/// What an AT instruction comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Translation {
    /// It leaves this in `PAR_EL1`.
    Par(u64),
    /// It takes an exception itself.
    Exception,
}

/// A simulated CPU.
///
/// A register that was never written holds a value that is its own: code that
/// depends on it, or takes one register for another, is seen to.
#[derive(Clone, Debug)]
pub struct Cpu {
    registers: Registers,
    capabilities: [u64; 4],
    trace: Vec<Access>,
    fp: FpRegisters,
    /// Which vector lengths there are: with bit n that of n + 1 times 128 bits.
    /// None without SVE.
    vector_lengths: u16,
    has_fpmr: bool,
    /// `SVCR`: see [`Cpu::set_svcr`].
    svcr: u64,
    /// What stands for the contents of ZA.
    za: u64,
    /// Whether what is in `CPTR_EL2` counts.
    traps_fp: bool,
    /// How often a guest was entered by the code that runs.
    entries: u32,
    /// What traps, and which names are redirected.
    in_force: traps::InForce,
    /// The physical counter. It goes on with each read.
    pub counter: u64,
    /// What AT instructions come to.
    pub translation: Translation,
}

thread_local! {
    static CURRENT: RefCell<Option<Cpu>> = const { RefCell::new(None) };
}

/// Where a capability is in a bitmap.
fn word_and_bit(capability: u32) -> (usize, u64) {
    ((capability / 64) as usize, 1 << (capability % 64))
}

/// The register whose contents another shows: `PMCNTENCLR_EL0` those of
/// `PMCNTENSET_EL0`.
fn stored_in(register: Encoding) -> Encoding {
    match register {
        PMCNTENCLR_EL0::ENCODING => PMCNTENSET_EL0::ENCODING,
        _ => register,
    }
}

impl Cpu {
    /// A CPU on which the kernel has come up in a mode, and has found no
    /// features but those that the mode needs.
    pub fn new(mode: Mode) -> Self {
        let mut cpu = Self {
            registers: Registers::default(),
            capabilities: [0; 4],
            trace: Vec::new(),
            fp: FpRegisters::filled(0),
            vector_lengths: 0xff,
            has_fpmr: true,
            svcr: 0,
            za: 0,
            traps_fp: true,
            entries: 0,
            in_force: traps::InForce::default(),
            counter: 0x1000_0000,
            translation: Translation::Par(1),
        };
        cpu.add_capability(bindings::ARM64_ALWAYS_BOOT);
        cpu.add_capability(bindings::ARM64_ALWAYS_SYSTEM);
        if mode == Mode::Vhe {
            cpu.add_capability(bindings::ARM64_HAS_VIRT_HOST_EXTN);
        }
        if mode == Mode::Hvhe {
            cpu.add_capability(bindings::ARM64_KVM_HVHE);
        }
        cpu.set(HCR_EL2::from_raw(0).with_e2h(mode != Mode::Nvhe));
        cpu.set(CPTR_EL2::from_raw(open(mode != Mode::Nvhe)));
        cpu.synchronise();
        cpu
    }

    /// A CPU whose capabilities the kernel does not know yet.
    pub fn before_capabilities_are_known() -> Self {
        let mut cpu = Self::new(Mode::Nvhe);
        cpu.capabilities = [0; 4];
        cpu
    }

    /// Gives the system a capability, one of `bindings::ARM64_*`.
    pub fn add_capability(&mut self, capability: u32) {
        let (word, bit) = word_and_bit(capability);
        self.capabilities[word] |= bit;
    }

    /// Takes a capability from the system.
    pub fn remove_capability(&mut self, capability: u32) {
        let (word, bit) = word_and_bit(capability);
        self.capabilities[word] &= !bit;
    }

    /// Returns whether the system has a capability.
    pub fn has_capability(&self, capability: u32) -> bool {
        let (word, bit) = word_and_bit(capability);
        self.capabilities[word] & bit != 0
    }

    /// Returns what a register holds, whatever name reaches it.
    pub fn get<R: SystemRegister>(&self) -> R {
        R::from(self.register(stored_in(R::ENCODING)))
    }

    /// Changes what a register holds, whatever name reaches it.
    pub fn set<R: SystemRegister>(&mut self, value: R) {
        self.registers.insert(stored_in(R::ENCODING), value.into());
    }

    /// All accesses so far, in order.
    pub fn trace(&self) -> &[Access] {
        &self.trace
    }

    /// Forgets the accesses so far.
    pub fn clear_trace(&mut self) {
        self.trace.clear();
    }

    /// Runs code on this CPU: what it does to system registers it does to
    /// those of `self`.
    ///
    /// # Panics
    ///
    /// If the code does what stops a kernel: an UNDEFINED access, or an FP
    /// instruction that may trap.
    pub fn run<T>(mut self, code: impl FnOnce() -> T) -> (Self, T) {
        /// Takes the CPU off the thread, also when the code panics.
        struct OffThread;

        impl Drop for OffThread {
            fn drop(&mut self) {
                CURRENT.set(None);
            }
        }

        // It was called somehow.
        self.synchronise();
        self.entries = 0;
        let before = CURRENT.replace(Some(self));
        assert!(before.is_none(), "this thread runs on a CPU already");
        let _off = OffThread;
        let result = code();
        let cpu = CURRENT.take().expect("only `run` takes it off");
        (cpu, result)
    }

    /// Does something to the CPU that the code of this thread runs on.
    pub(crate) fn with_current<T>(f: impl FnOnce(&mut Cpu) -> T) -> T {
        CURRENT.with_borrow_mut(|cpu| {
            f(cpu
                .as_mut()
                .expect("no CPU on this thread: call Cpu::run()"))
        })
    }

    fn register(&self, register: Encoding) -> u64 {
        let Encoding {
            op0,
            op1,
            crn,
            crm,
            op2,
        } = register;
        let unknown = u64::from_be_bytes([0xa5, 0x5a, 0xa5, op0, op1, crn, crm, op2]);
        self.registers.get(register).unwrap_or(unknown)
    }

    pub(crate) fn mrs<N: RegisterName>(&mut self) -> u64 {
        let register = self.reached::<N>(false);
        let name = N::NAME;
        let value = self.register(stored_in(register));
        self.trace.push(Access::Read { name, value });
        value
    }

    pub(crate) fn msr<N: RegisterName>(&mut self, value: u64) {
        let register = self.reached::<N>(true);
        let name = N::NAME;
        self.registers
            .insert(stored_in(register), self.stored(register, value));
        self.trace.push(Access::Write { name, value });
        self.written(register);
    }

    /// What a register holds after a value was written to it.
    fn stored(&self, register: Encoding, value: u64) -> u64 {
        let before = || self.register(stored_in(register));
        match register {
            // Where 0 is written there is no effect: "PMCNTENSET_EL0, Performance
            // Monitors Count Enable Set Register", and "Clear Register".
            PMCNTENSET_EL0::ENCODING => before() | value,
            PMCNTENCLR_EL0::ENCODING => before() & !value,
            _ => value,
        }
    }

    pub(crate) fn barrier(&mut self, barrier: Access) {
        self.trace.push(barrier);
    }

    pub(crate) fn isb(&mut self) {
        self.trace.push(Access::Isb);
        self.synchronise();
    }

    pub(crate) fn mrs_cntpct(&mut self) -> u64 {
        self.counter = self.counter.wrapping_add(1);
        let (name, value) = ("CNTPCT_EL0", self.counter);
        self.trace.push(Access::Read { name, value });
        value
    }

    pub(crate) fn at_s1e1(&mut self, address: u64, ignoring_permissions: bool) -> bool {
        self.trace.push(Access::At {
            address,
            ignoring_permissions,
        });
        match self.translation {
            Translation::Par(value) => {
                self.set(PAR_EL1::from(value));
                self.synchronise();
                true
            }
            // And PAR_EL1 means nothing.
            Translation::Exception => {
                self.set(PAR_EL1::from(!0));
                self.synchronise();
                false
            }
        }
    }

    /// C code was called.
    pub(crate) fn called(&mut self, function: &'static str) {
        self.trace.push(Access::Call(function));
    }

    /// Enters a guest, which `guest` plays, and leaves it: both are context
    /// synchronisation events, `AArch64.ExceptionReturn()` and
    /// `AArch64.TakeException()`.
    pub(crate) fn enter<T>(&mut self, guest: impl FnOnce(&mut Self) -> T) -> T {
        self.entries += 1;
        assert!(self.entries < 1000, "the guest is entered on and on");
        self.synchronise();
        self.trace.push(Access::Guest);
        let result = guest(self);
        self.synchronise();
        result
    }
}
