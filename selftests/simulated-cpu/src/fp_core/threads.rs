// SPDX-License-Identifier: GPL-2.0
//! What the FP core does for tasks: saves their state when they leave a CPU, and
//! has it in the registers whenever they run in userspace.

use super::{
    cpu_fp_state, flush_cpu_state, fp_type_FP_STATE_CURRENT, fp_type_FP_STATE_FPSIMD,
    fp_type_FP_STATE_SVE, save_user_state, LAST,
};
use crate::arm64::registers::{CPACR_EL1, CPTR_EL2, FPCR, FPMR, FPSR, ZCR_EL1, ZCR_EL2};
use crate::{user_fpsimd_state, Cpu, FpRegisters, STREAMING_VECTOR_LENGTH, SVCR_SM, SVCR_ZA};
use std::cell::{Cell, RefCell};
use std::ptr::{self, NonNull};

/// The FP state of a task: what `struct thread_struct` has of it, and the flags of
/// `struct thread_info`.
#[derive(Clone, Debug)]
pub struct Thread {
    /// `TIF_FOREIGN_FPSTATE`.
    pub foreign: bool,
    /// `TIF_SVE`.
    pub tif_sve: bool,
    /// `TIF_SME`.
    pub tif_sme: bool,
    /// `fpsimd_cpu`; None for `NR_CPUS`.
    pub cpu: Option<usize>,
    pub fpsimd: user_fpsimd_state,
    /// `sve_state`; empty for NULL.
    pub sve: Vec<u8>,
    /// `sme_state`; empty for NULL.
    pub za: Vec<u64>,
    pub svcr: u64,
    pub fpmr: u64,
    pub fp_type: u32,
    /// In bytes.
    pub sve_vl: usize,
}

impl Default for Thread {
    fn default() -> Self {
        Self {
            foreign: true,
            tif_sve: false,
            tif_sme: false,
            cpu: None,
            fpsimd: user_fpsimd_state::default(),
            sve: Vec::new(),
            za: Vec::new(),
            svcr: 0,
            fpmr: 0,
            fp_type: fp_type_FP_STATE_FPSIMD,
            sve_vl: 16,
        }
    }
}

impl Thread {
    /// `sve_alloc()`, with `flush`.
    pub fn allocate_sve(&mut self) {
        let longest = self.sve_vl.max(STREAMING_VECTOR_LENGTH);
        self.sve = vec![0; FpRegisters::sve_size(longest)];
    }

    /// `thread_get_cur_vl()`.
    pub fn vector_length(&self) -> usize {
        match self.svcr & SVCR_SM {
            0 => self.sve_vl,
            _ => STREAMING_VECTOR_LENGTH,
        }
    }

    /// How the state is bound to a CPU: `fpsimd_bind_task_to_cpu()`.
    pub fn to_bind(&mut self) -> cpu_fp_state {
        fn or_null<T>(storage: &mut Vec<T>) -> *mut T {
            match storage.is_empty() {
                true => ptr::null_mut(),
                false => storage.as_mut_ptr(),
            }
        }
        cpu_fp_state {
            st: &raw mut self.fpsimd,
            sve_state: or_null(&mut self.sve).cast(),
            sme_state: or_null(&mut self.za),
            svcr: &raw mut self.svcr,
            fpmr: &raw mut self.fpmr,
            sve_vl: self.sve_vl as u32,
            sme_vl: STREAMING_VECTOR_LENGTH as u32,
            fp_type: &raw mut self.fp_type,
            to_save: fp_type_FP_STATE_CURRENT,
        }
    }
}

thread_local! {
    /// The tasks. The FP core keeps addresses of what is in them.
    static THREADS: RefCell<Vec<NonNull<Thread>>> = const { RefCell::new(Vec::new()) };
    static CURRENT: Cell<usize> = const { Cell::new(0) };
    static THIS_CPU: Cell<usize> = const { Cell::new(0) };
}

/// Starts anew with so many tasks, of which the first one runs.
pub fn reset_threads(tasks: usize) {
    THREADS.with_borrow_mut(|threads| {
        for thread in threads.drain(..) {
            // SAFETY: From Box::leak(), and nobody has it any more.
            drop(unsafe { Box::from_raw(thread.as_ptr()) });
        }
        threads.extend((0..tasks).map(|_| NonNull::from(Box::leak(Box::default()))));
    });
    CURRENT.set(0);
    THIS_CPU.set(0);
}

/// A task.
pub fn thread(task: usize) -> &'static mut Thread {
    let mut thread = THREADS.with_borrow(|threads| threads[task]);
    // SAFETY: It is there until `reset`. Nobody keeps the reference, nor has
    // another one: there is one thread, and the FP core uses addresses only in
    // between.
    unsafe { thread.as_mut() }
}

/// The running task.
pub fn current() -> &'static mut Thread {
    thread(CURRENT.get())
}

/// The number of the running task.
pub fn current_number() -> usize {
    CURRENT.get()
}

/// A task runs, on a CPU: from here on that is this one.
pub fn set_current(task: usize, cpu: usize) {
    CURRENT.set(task);
    THIS_CPU.set(cpu);
}

/// The registers of `cpu` are the running task's from here on: it ran in
/// userspace, with SVE if there is any.
pub fn task_ran(cpu: &mut Cpu) {
    let thread = current();
    thread.tif_sve = cpu.has_capability(crate::ARM64_SVE);
    if thread.tif_sve {
        thread.sve_vl = cpu.kernels_vector_length();
        thread.allocate_sve();
    }
    thread.foreign = false;
    bind_task(cpu);
}

/// What the running task has in memory.
pub fn task_state() -> Thread {
    current().clone()
}

/// `fpsimd_bind_task_to_cpu()`.
fn bind_task(cpu: &mut Cpu) {
    let thread = current();
    LAST.set(Some(thread.to_bind()));
    thread.cpu = Some(THIS_CPU.get());
    if cpu.has_capability(crate::ARM64_SME) {
        cpu.set_user_trap(SMEN_EL0EN, !thread.tif_sme);
    }
    if cpu.has_capability(crate::ARM64_SVE) {
        cpu.set_user_trap(ZEN_EL0EN, !thread.tif_sve);
    }
}

/// `fpsimd_thread_switch()`.
pub fn switch_to(cpu: &mut Cpu, next: usize) {
    save_user_state(cpu);
    let last = LAST.get().map_or(ptr::null_mut(), |last| last.st);
    let to = thread(next);
    let wrong_task = last != &raw mut to.fpsimd;
    let wrong_cpu = to.cpu != Some(THIS_CPU.get());
    to.foreign = wrong_task || wrong_cpu;
    CURRENT.set(next);
}

/// `fpsimd_restore_current_state()`.
pub fn restore_current_state(cpu: &mut Cpu) {
    if std::mem::replace(&mut current().foreign, false) {
        load_task(cpu);
        bind_task(cpu);
    }
}

/// `task_fpsimd_load()`.
fn load_task(cpu: &mut Cpu) {
    let thread = current();
    let is_sve = thread.fp_type == fp_type_FP_STATE_SVE;
    if is_sve {
        if thread.svcr & SVCR_SM == 0 {
            assert!(thread.tif_sve, "SVE state of a task without TIF_SVE");
        }
        if thread.tif_sve {
            cpu.set_kernels_zcr(thread.sve_vl);
        }
    } else {
        assert_eq!(thread.fp_type, fp_type_FP_STATE_FPSIMD);
        thread.tif_sve = false;
    }
    if cpu.has_capability(crate::ARM64_SME) {
        cpu.set_svcr(thread.svcr);
        if thread.svcr & SVCR_ZA != 0 {
            *cpu.za_mut() = thread.za[0];
        }
    }
    if cpu.has_capability(crate::ARM64_HAS_FPMR) {
        cpu.set(FPMR::from(thread.fpmr));
    }
    let length = cpu.kernels_vector_length();
    if is_sve {
        assert_eq!(
            length,
            thread.vector_length(),
            "the vector length of the task"
        );
        cpu.fp_mut().set_sve(&thread.sve, length);
    } else {
        cpu.fp_mut().set_v(&thread.fpsimd.v(), length);
    }
    cpu.set(FPSR::from(u64::from(thread.fpsimd.fpsr)));
    cpu.set(FPCR::from(u64::from(thread.fpsimd.fpcr)));
}

/// `fpsimd_syscall_enter()`.
pub fn syscall_enter(cpu: &mut Cpu) {
    if cpu.has_capability(crate::ARM64_SME) {
        cpu.set_svcr(cpu.svcr() & !SVCR_SM);
    }
    if !cpu.has_capability(crate::ARM64_SVE) {
        return;
    }
    if current().tif_sve {
        flush_live_sve(cpu);
    }
    set_to_save(fp_type_FP_STATE_FPSIMD);
}

/// `fpsimd_syscall_exit()`.
pub fn syscall_exit(cpu: &Cpu) {
    if cpu.has_capability(crate::ARM64_SVE) {
        set_to_save(fp_type_FP_STATE_CURRENT);
    }
}

fn set_to_save(to_save: u32) {
    LAST.set(LAST.get().map(|last| cpu_fp_state { to_save, ..last }));
}

/// `sve_flush_live()`.
fn flush_live_sve(cpu: &mut Cpu) {
    let registers = cpu.fp_mut();
    for z in registers.z.iter_mut() {
        z[16..].fill(0);
    }
    registers.p.as_flattened_mut().fill(0);
}

/// `do_sve_acc()`, of a task whose state is in the registers.
pub fn sve_access(cpu: &mut Cpu) {
    let thread = current();
    thread.allocate_sve();
    assert!(!thread.foreign, "the task was in userspace");
    assert!(!thread.tif_sve, "SVE access shouldn't have trapped");
    thread.tif_sve = true;
    cpu.set_kernels_zcr(thread.sve_vl);
    flush_live_sve(cpu);
    bind_task(cpu);
}

/// `do_sme_acc()`, of a task whose state is in the registers.
pub fn sme_access(cpu: &mut Cpu) {
    let thread = current();
    if thread.sve.is_empty() {
        thread.allocate_sve();
    }
    thread.za = vec![0];
    assert!(!thread.foreign, "the task was in userspace");
    assert!(!thread.tif_sme, "SME access shouldn't have trapped");
    thread.tif_sme = true;
    bind_task(cpu);
}

/// `fpsimd_flush_task_state()`.
pub fn flush_task_state(task: usize) {
    let thread = thread(task);
    thread.cpu = None;
    thread.foreign = true;
}

/// `CPU_PM_ENTER`: the notifier has the CPU saved and flushed.
pub fn cpu_pm_enter(cpu: &mut Cpu) {
    save_user_state(cpu);
    flush_cpu_state(cpu);
}

/// `CPACR_EL1.ZEN`: EL0 can use SVE.
const ZEN_EL0EN: u64 = 1 << 17;
/// `CPACR_EL1.SMEN`: EL0 can use SME.
const SMEN_EL0EN: u64 = 1 << 25;

/// What of `CPACR_EL1` is for userspace.
pub const USER_ACCESS: u64 = ZEN_EL0EN | SMEN_EL0EN;

impl Cpu {
    /// Whether the kernel is, which no guest has to be left for then.
    pub(crate) fn kernel_is_at_el2(&self) -> bool {
        self.has_capability(crate::ARM64_HAS_VIRT_HOST_EXTN)
    }

    /// The kernel's `ZCR_EL1`, for a vector length in bytes.
    pub fn set_kernels_zcr(&mut self, length: usize) {
        let len = (length / 16 - 1) as u64;
        match self.kernel_is_at_el2() {
            true => self.set(ZCR_EL2::from(len)),
            false => self.set(ZCR_EL1::from(len)),
        }
    }

    /// The kernel's `CPACR_EL1`.
    fn kernels_cpacr(&self) -> u64 {
        match self.kernel_is_at_el2() {
            true => self.get::<CPTR_EL2>().into(),
            false => self.get::<CPACR_EL1>().into(),
        }
    }

    fn set_user_trap(&mut self, el0en: u64, traps: bool) {
        let value = match traps {
            true => self.kernels_cpacr() & !el0en,
            false => self.kernels_cpacr() | el0en,
        };
        match self.kernel_is_at_el2() {
            true => self.set(CPTR_EL2::from_raw(value)),
            false => self.set(CPACR_EL1::from(value)),
        }
    }

    /// Whether userspace can use SVE without a trap.
    pub fn user_can_use_sve(&self) -> bool {
        self.kernels_cpacr() & ZEN_EL0EN != 0
    }

    /// Whether userspace can use SME without a trap.
    pub fn user_can_use_sme(&self) -> bool {
        self.kernels_cpacr() & SMEN_EL0EN != 0
    }

    /// Sets whether userspace can use SVE, and SME, without a trap.
    pub fn set_user_access(&mut self, sve: bool, sme: bool) {
        self.set_user_trap(ZEN_EL0EN, !sve);
        self.set_user_trap(SMEN_EL0EN, !sme);
    }
}
