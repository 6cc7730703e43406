// SPDX-License-Identifier: GPL-2.0
//! The kernel's FP core, as far as it decides what becomes of the registers: it
//! is C, and not this project's.
//!
//! Which functions there are, what they save and when they refuse is that of
//! `arch/arm64/kernel/fpsimd.c`. A `WARN_ON()` there ends a test here. There is
//! one thread, which is one CPU at a time; what the FP core does for tasks is in
//! `fp_core/threads.rs`.

#![allow(missing_docs, non_camel_case_types)]

mod threads;

pub use threads::*;

use crate::arm64::registers::{FPCR, FPMR, FPSR};
use crate::{
    arm64_sve_state, kvm_cpu_context, kvm_host_data, kvm_vcpu, user_fpsimd_state, Cpu, SVCR_SM,
    SVCR_ZA,
};
use std::cell::Cell;
use std::ptr;

pub const TIF_FOREIGN_FPSTATE: u32 = 3;
pub const TIF_SVE: u32 = 23;
pub const TIF_SME: u32 = 27;
pub const SVE_VL_MIN: u32 = 16;
pub const IN_NESTED_ERET: u16 = 1 << 7;
pub const IN_NESTED_EXCEPTION: u16 = 1 << 9;
#[allow(non_upper_case_globals)]
pub const fp_type_FP_STATE_CURRENT: u32 = 0;
#[allow(non_upper_case_globals)]
pub const fp_type_FP_STATE_FPSIMD: u32 = 1;
#[allow(non_upper_case_globals)]
pub const fp_type_FP_STATE_SVE: u32 = 2;

/// `struct cpu_fp_state`.
#[derive(Clone, Copy, Debug)]
pub struct cpu_fp_state {
    pub st: *mut user_fpsimd_state,
    pub sve_state: *mut arm64_sve_state,
    pub sme_state: *mut arm64_sme_state,
    pub svcr: *mut u64,
    pub fpmr: *mut u64,
    pub sve_vl: u32,
    pub sme_vl: u32,
    pub fp_type: *mut u32,
    pub to_save: u32,
}

/// `struct arm64_sme_state`: what stands for the contents of ZA.
pub type arm64_sme_state = u64;

/// `struct task_struct`.
#[derive(Debug)]
pub struct task_struct {
    /// Its address space, of which only matters whether it has one.
    pub mm: *mut core::ffi::c_void,
}

/// `fpsimd_last_state` of the CPU, while it is one.
type Last = Option<cpu_fp_state>;

thread_local! {
    static LAST: Cell<Last> = const { Cell::new(None) };
    static RUNNING: Cell<task_struct> = const { Cell::new(user_task()) };
    static HOST_DATA: Cell<*mut kvm_host_data> = const { Cell::new(ptr::null_mut()) };
    static IRQS_ON: Cell<bool> = const { Cell::new(true) };
}

const fn user_task() -> task_struct {
    task_struct {
        mm: ptr::dangling_mut(),
    }
}

/// Starts anew on this thread, with one task: the registers are nobody's.
pub fn reset() {
    LAST.set(None);
    RUNNING.set(user_task());
    IRQS_ON.set(true);
    reset_threads(1);
}

/// `fpsimd_last_state` of the CPU.
pub fn last_state() -> Option<cpu_fp_state> {
    LAST.get()
}

/// As [`last_state`], to be changed.
pub fn set_last_state(last: Option<cpu_fp_state>) {
    LAST.set(last);
}

/// The running task is a kernel thread, which has no FP state to go back to.
pub fn kernel_thread_runs() {
    RUNNING.set(task_struct {
        mm: ptr::null_mut(),
    });
}

/// Somebody in the kernel uses the registers: `kernel_neon_begin()`.
pub fn kernel_neon_begin(cpu: &mut Cpu) {
    assert!(cpu.has_capability(crate::ARM64_HAS_FPSIMD));
    save_user_state(cpu);
    flush_cpu_state(cpu);
}

/// Which `struct kvm_host_data` `host_data_ptr()` is about.
pub fn set_host_data(data: *mut kvm_host_data) {
    HOST_DATA.set(data);
}

impl user_fpsimd_state {
    /// V0 to V31, as they are in memory.
    pub fn v(&self) -> [u8; 32 * 16] {
        let mut bytes = [0; 32 * 16];
        for (to, from) in bytes.chunks_exact_mut(16).zip(self.vregs) {
            to.copy_from_slice(&from.to_le_bytes());
        }
        bytes
    }

    /// Changes [`Self::v`].
    pub fn set_v(&mut self, bytes: &[u8; 32 * 16]) {
        for (to, from) in self.vregs.iter_mut().zip(bytes.chunks_exact(16)) {
            *to = u128::from_le_bytes(from.try_into().expect("16 bytes"));
        }
    }
}

/// `fpsimd_save_user_state()`.
fn save_user_state(cpu: &mut Cpu) {
    if threads::current().foreign {
        return;
    }
    assert!(cpu.guest_can_use_fp(), "the kernel's FP instructions trap");
    let last = LAST.get().expect("the registers hold somebody's state");
    // SAFETY: Whoever bound the state has said that there is room, and nobody
    // else runs.
    unsafe {
        if cpu.has_capability(crate::ARM64_HAS_FPMR) {
            *last.fpmr = cpu.get::<FPMR>().into();
        }
        let is_current_with_sve =
            last.to_save == fp_type_FP_STATE_CURRENT && threads::current().tif_sve;
        let mut vl = match is_current_with_sve || last.to_save == fp_type_FP_STATE_SVE {
            true => Some(last.sve_vl),
            false => None,
        };
        if cpu.has_capability(crate::ARM64_SME) {
            let svcr = cpu.svcr();
            *last.svcr = svcr;
            if svcr & SVCR_ZA != 0 {
                assert!(!last.sme_state.is_null(), "ZA is saved nowhere");
                *last.sme_state = cpu.za();
            }
            if svcr & SVCR_SM != 0 {
                vl = Some(last.sme_vl);
            }
        }
        let st = &mut *last.st;
        if let Some(vl) = vl {
            let length = cpu.kernels_vector_length();
            assert_eq!(length, vl as usize, "sve_get_vl() != vl");
            assert!(!last.sve_state.is_null(), "Z registers are saved nowhere");
            let bytes = cpu.fp().sve(length);
            ptr::copy_nonoverlapping(bytes.as_ptr(), last.sve_state.cast(), bytes.len());
            *last.fp_type = fp_type_FP_STATE_SVE;
        } else {
            st.set_v(&cpu.fp().v());
            *last.fp_type = fp_type_FP_STATE_FPSIMD;
        }
        st.fpsr = u64::from(cpu.get::<FPSR>()) as u32;
        st.fpcr = u64::from(cpu.get::<FPCR>()) as u32;
    }
}

/// `fpsimd_flush_cpu_state()`.
fn flush_cpu_state(cpu: &mut Cpu) {
    LAST.set(None);
    if cpu.has_capability(crate::ARM64_SME) {
        cpu.set_svcr(0);
    }
    threads::current().foreign = true;
}

impl Cpu {
    /// The vector length that the kernel gets, where it runs.
    pub(crate) fn kernels_vector_length(&self) -> usize {
        match self.kernel_is_at_el2() {
            true => self.vector_length_at_el2(),
            false => self.vector_length_at_el1(),
        }
    }
}

/// # Safety
///
/// Preemption must be disabled.
pub unsafe fn fpsimd_save_and_flush_cpu_state() {
    Cpu::with_current(|cpu| {
        cpu.called("fpsimd_save_and_flush_cpu_state");
        if !cpu.has_capability(crate::ARM64_HAS_FPSIMD) {
            return;
        }
        save_user_state(cpu);
        flush_cpu_state(cpu);
    });
}

/// # Safety
///
/// What `state` points to must be there until it is unbound.
pub unsafe fn fpsimd_bind_state_to_cpu(state: *mut cpu_fp_state) {
    assert!(!IRQS_ON.get(), "fpsimd_bind_state_to_cpu() with interrupts");
    // SAFETY: By the safety requirement.
    LAST.set(Some(unsafe { *state }));
}

fn thread_flag(flag: i32) -> &'static mut bool {
    let thread = threads::current();
    match flag as u32 {
        TIF_FOREIGN_FPSTATE => &mut thread.foreign,
        TIF_SVE => &mut thread.tif_sve,
        TIF_SME => &mut thread.tif_sme,
        other => panic!("thread flag {other}"),
    }
}

/// # Safety
///
/// None here.
pub unsafe fn test_thread_flag(flag: i32) -> bool {
    *thread_flag(flag)
}

/// # Safety
///
/// None here.
pub unsafe fn set_thread_flag(flag: i32) {
    *thread_flag(flag) = true;
}

/// # Safety
///
/// None here.
pub unsafe fn clear_thread_flag(flag: i32) {
    *thread_flag(flag) = false;
}

/// # Safety
///
/// None here.
pub unsafe fn read_svcr() -> u64 {
    Cpu::with_current(|cpu| cpu.read_svcr())
}

/// # Safety
///
/// None here.
pub unsafe fn kvm_this_cpu_host_data() -> *mut kvm_host_data {
    HOST_DATA.get()
}

/// # Safety
///
/// `vcpu` must be valid for reading, and its VM be there.
pub unsafe fn kvm_vcpu_has_sve(vcpu: *const kvm_vcpu) -> bool {
    let has_sve = Cpu::with_current(|cpu| cpu.has_capability(crate::ARM64_SVE));
    // SAFETY: By the safety requirement.
    let flags = unsafe { (*(*vcpu).kvm).arch.flags };
    has_sve && flags & (1 << crate::KVM_ARCH_FLAG_GUEST_HAS_SVE) != 0
}

/// # Safety
///
/// `context` must be valid.
pub unsafe fn kvm_ctxt_sys_reg(context: *mut kvm_cpu_context, register: u32) -> *mut u64 {
    // SAFETY: By the safety requirement; a register has a place.
    unsafe {
        (&raw mut (*context).sys_regs)
            .cast::<u64>()
            .add(register as usize)
    }
}

macro_rules! nothing_to_do {
    ($($function:ident)*) => {
        $(
            /// # Safety
            ///
            /// None here.
            pub unsafe fn $function() {}
        )*
    };
}

nothing_to_do! { preempt_disable preempt_enable lockdep_assert_preemption_disabled }

/// Interrupts of the CPU.
pub mod interrupt {
    use crate::types::NotThreadSafe;
    use core::marker::PhantomData;

    /// Proof that they are disabled.
    #[derive(Debug)]
    pub struct LocalInterruptDisabled(NotThreadSafe);

    /// Disables them.
    pub fn local_interrupt_disable() -> LocalInterruptDisabled {
        super::IRQS_ON.set(false);
        LocalInterruptDisabled(PhantomData)
    }

    impl Drop for LocalInterruptDisabled {
        fn drop(&mut self) {
            super::IRQS_ON.set(true);
        }
    }
}

/// Tasks.
pub mod task {
    use super::{task_struct, RUNNING};

    /// Only a name here.
    #[derive(Debug)]
    pub enum Task {}

    impl Task {
        /// The running task.
        pub fn current_raw() -> *mut task_struct {
            RUNNING.with(std::cell::Cell::as_ptr)
        }
    }
}
