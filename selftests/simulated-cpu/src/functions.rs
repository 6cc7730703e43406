// SPDX-License-Identifier: GPL-2.0
//! C functions that do something, and the guest.
//!
//! Most of them only leave their name in the trace: what they do is not this
//! project's.

#![allow(missing_docs)]

use crate::arm64::registers::CPACR_EL1;
use crate::{kvm_cpu_context, kvm_s2_mmu, kvm_vcpu, vgic_v3_cpu_if, vgic_v5_cpu_if, Cpu};
use core::ffi::c_char;
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

/// Plays a guest, from an entry to the exit: it finds the CPU and its vCPU, may
/// change what a guest can change and what an exit tells, and returns the exit
/// code.
pub type Guest<'a> = dyn FnMut(&mut Cpu, &mut kvm_vcpu) -> u64 + 'a;

thread_local! {
    static GUEST: Cell<Option<*mut Guest<'static>>> = const { Cell::new(None) };
    static STATIC_KEYS: RefCell<BTreeSet<&'static str>> = const { RefCell::new(BTreeSet::new()) };
    static TLBI_ERROR: Cell<i32> = const { Cell::new(0) };
}

/// Has `guest` play the guest while `code` runs.
pub fn with_guest<T>(guest: &mut Guest<'_>, code: impl FnOnce() -> T) -> T {
    /// Forgets it, also when the code panics.
    struct Forget;

    impl Drop for Forget {
        fn drop(&mut self) {
            GUEST.set(None);
        }
    }

    // SAFETY: It is forgotten before it goes away.
    let guest = unsafe { std::mem::transmute::<*mut Guest<'_>, *mut Guest<'static>>(guest) };
    GUEST.set(Some(guest));
    let _forget = Forget;
    code()
}

/// Enables static keys on this thread, and no others.
pub fn set_static_keys(keys: impl IntoIterator<Item = &'static str>) {
    STATIC_KEYS.set(keys.into_iter().collect());
}

/// Returns whether the static key with a path is enabled on this thread.
///
/// # Safety
///
/// None here; what the kernel has in its place has some.
pub unsafe fn is_static_key_enabled(path: &str) -> bool {
    let name = path.rsplit("::").next().unwrap_or(path).trim();
    STATIC_KEYS.with_borrow(|keys| keys.contains(name))
}

/// Sets what `__kvm_tlbi_s1e2()` returns on this thread.
pub fn set_tlbi_error(error: i32) {
    TLBI_ERROR.set(error);
}

fn called(function: &'static str) {
    Cpu::with_current(|cpu| cpu.called(function));
}

macro_rules! calls {
    ($($function:ident($($argument:ident: $type:ty),*);)*) => {
        $(
            /// Leaves its name in the trace.
            ///
            /// # Safety
            ///
            /// None here.
            pub unsafe fn $function($(_: $type),*) {
                called(stringify!($function));
            }
        )*
    };
}

calls! {
    __debug_restore_host_buffers_nvhe(vcpu: *mut kvm_vcpu);
    __debug_save_host_buffers_nvhe(vcpu: *mut kvm_vcpu);
    __debug_switch_to_guest(vcpu: *mut kvm_vcpu);
    __debug_switch_to_host(vcpu: *mut kvm_vcpu);
    __kvm_adjust_pc(vcpu: *mut kvm_vcpu);
    __vgic_v3_activate_traps(cpu_if: *mut vgic_v3_cpu_if);
    __vgic_v3_deactivate_traps(cpu_if: *mut vgic_v3_cpu_if);
    __vgic_v3_restore_state(cpu_if: *mut vgic_v3_cpu_if);
    __vgic_v3_save_state(cpu_if: *mut vgic_v3_cpu_if);
    __vgic_v5_restore_ppi_state(cpu_if: *mut vgic_v5_cpu_if);
    __vgic_v5_restore_state(cpu_if: *mut vgic_v5_cpu_if);
    __vgic_v5_save_ppi_state(cpu_if: *mut vgic_v5_cpu_if);
    __vgic_v5_save_state(cpu_if: *mut vgic_v5_cpu_if);
    kvm_nvhe_prepare_backtrace(frame: usize, code: usize);
    kvm_trace_guest_entry(host: *mut kvm_cpu_context);
    kvm_trace_guest_exit(host: *mut kvm_cpu_context);
    local_daif_mask();
    local_daif_restore(flags: usize);
}

/// Enters a guest: whoever [`with_guest`] has play it.
///
/// # Safety
///
/// `vcpu` must be valid, and nobody else use it meanwhile.
pub unsafe fn __guest_enter(vcpu: *mut kvm_vcpu) -> u64 {
    let guest = GUEST.get().expect("nobody plays the guest");
    Cpu::with_current(|cpu| {
        // SAFETY: By the safety requirement; the guest is there as long as
        // `with_guest` runs.
        cpu.enter(|cpu| unsafe { (*guest)(cpu, &mut *vcpu) })
    })
}

/// Goes past an AArch32 instruction, other than past one of AArch64.
///
/// # Safety
///
/// `vcpu` must be valid, and nobody else use it.
pub unsafe fn kvm_skip_instr32(vcpu: *mut kvm_vcpu) {
    called("kvm_skip_instr32");
    // SAFETY: By the safety requirement.
    let regs = unsafe { &mut (*vcpu).arch.ctxt.regs };
    regs.pc = regs.pc.wrapping_add(2);
    // IT
    regs.pstate &= !0x0600_fc00;
}

/// Kills the test.
///
/// # Safety
///
/// None here.
#[allow(non_snake_case)]
pub unsafe fn BUG() -> ! {
    panic!("BUG()")
}

/// Kills the test.
///
/// # Safety
///
/// None here.
#[allow(clippy::too_many_arguments)]
pub unsafe fn panic(
    _: *const c_char,
    pstate: u64,
    pc: u64,
    esr: u64,
    far: u64,
    hpfar: u64,
    par: u64,
    _: *mut kvm_vcpu,
) -> ! {
    panic!("panic: {pstate:#x} {pc:#x} {esr:#x} {far:#x} {hpfar:#x} {par:#x}")
}

/// Kills the test.
///
/// # Safety
///
/// None here.
pub unsafe fn __hyp_do_panic(_: *mut kvm_cpu_context, pstate: u64, pc: u64, par: u64) -> ! {
    panic!("__hyp_do_panic: {pstate:#x} {pc:#x} {par:#x}")
}

/// Where VNCR pages are mapped for this CPU.
pub const VNCR_FIXMAP: u64 = 0xffff_fbff_fe5c_0000;

/// Returns [`VNCR_FIXMAP`].
///
/// # Safety
///
/// None here.
pub unsafe fn kvm_vncr_fixmap_address() -> u64 {
    VNCR_FIXMAP
}

/// # Safety
///
/// `vcpu` must be valid for reading, and `target` for writing.
pub unsafe fn kvm_eretax_target(vcpu: *mut kvm_vcpu, target: *mut u64) -> bool {
    // SAFETY: By the safety requirement.
    unsafe {
        let answers = &(*vcpu).arch.answers;
        *target = answers.eretax_target;
        answers.eretax_is_right
    }
}

/// # Safety
///
/// `vcpu` must be valid for reading.
pub unsafe fn kvm_supported_tlbi_s1e1_op(vcpu: *mut kvm_vcpu, instruction: u32) -> bool {
    // SAFETY: By the safety requirement.
    unsafe { (*vcpu).arch.answers.tlbi_s1e1 == instruction }
}

/// # Safety
///
/// `vcpu` must be valid for reading.
pub unsafe fn kvm_supported_tlbi_s1e2_op(vcpu: *mut kvm_vcpu, instruction: u32) -> bool {
    // SAFETY: By the safety requirement.
    unsafe { (*vcpu).arch.answers.tlbi_s1e2 == instruction }
}

/// # Safety
///
/// None here.
pub unsafe fn __kvm_tlbi_s1e2(mmu: *mut kvm_s2_mmu, _: u64, _: u64) -> i32 {
    assert!(mmu.is_null(), "only NULL is the guest's own");
    called("__kvm_tlbi_s1e2");
    TLBI_ERROR.get()
}

macro_rules! accesses {
    ($($function:ident -> $type:ty: $answer:ident;)*) => {
        $(
            /// # Safety
            ///
            /// `vcpu` must be valid for reading.
            pub unsafe fn $function(vcpu: *mut kvm_vcpu) -> $type {
                called(stringify!($function));
                // SAFETY: By the safety requirement.
                unsafe { (*vcpu).arch.answers.$answer }
            }
        )*
    };
}

accesses! {
    __vgic_v2_perform_cpuif_access -> i32: vgic_v2_access;
    __vgic_v3_perform_cpuif_access -> i32: vgic_v3_access;
}

macro_rules! handlers {
    ($($function:ident;)*) => {
        $(
            /// # Safety
            ///
            /// `vcpu` must be valid for reading.
            pub unsafe fn $function(vcpu: *mut kvm_vcpu, _: *mut u64) -> bool {
                called(stringify!($function));
                // SAFETY: By the safety requirement.
                unsafe { (*vcpu).arch.answers.is_handled_by_pkvm }
            }
        )*
    };
}

handlers! {
    kvm_handle_pvm_hvc64;
    kvm_handle_pvm_restricted;
    kvm_handle_pvm_sysreg;
}

/// Returns where a register of a guest with a virtual EL2 is kept.
///
/// # Safety
///
/// `vcpu` must be valid.
unsafe fn place(vcpu: *mut kvm_vcpu, register: u32) -> *mut u64 {
    // SAFETY: By the safety requirement; a register has a place.
    unsafe {
        let context = &raw mut (*vcpu).arch.ctxt;
        match register.checked_sub(crate::vcpu_sysreg___VNCR_START__) {
            Some(in_page) if !(*context).vncr_array.is_null() => {
                (*context).vncr_array.add(in_page as usize)
            }
            _ => (&raw mut (*context).sys_regs)
                .cast::<u64>()
                .add(register as usize),
        }
    }
}

/// Returns whether a register of virtual EL2 is in the CPU: of those that are
/// asked for here, `CPTR_EL2` may be.
///
/// # Safety
///
/// `vcpu` must be valid.
unsafe fn is_on_cpu(vcpu: *const kvm_vcpu, register: u32) -> bool {
    // One that there are no masks for.
    assert_eq!(register, crate::vcpu_sysreg_CPTR_EL2);
    // SAFETY: By the safety requirement.
    let arch = unsafe { &(*vcpu).arch };
    arch.sflags & crate::SYSREGS_ON_CPU != 0
        && arch.answers.is_hyp_ctxt
        && arch.answers.vcpu_el2_e2h_is_set
}

/// # Safety
///
/// `vcpu` must be valid.
pub unsafe fn vcpu_read_sys_reg(vcpu: *const kvm_vcpu, register: u32) -> u64 {
    // SAFETY: By the safety requirement.
    unsafe {
        if is_on_cpu(vcpu, register) {
            return Cpu::with_current(|cpu| cpu.get::<CPACR_EL1>().into());
        }
        *place(vcpu.cast_mut(), register)
    }
}

/// # Safety
///
/// `vcpu` must be valid, and nobody else use it.
pub unsafe fn vcpu_write_sys_reg(vcpu: *mut kvm_vcpu, value: u64, register: u32) {
    // SAFETY: By the safety requirement.
    unsafe {
        if is_on_cpu(vcpu, register) {
            Cpu::with_current(|cpu| cpu.set(CPACR_EL1::from(value)));
        }
        *place(vcpu, register) = value;
    }
}

/// Sets a bit.
///
/// # Safety
///
/// `bits` must be valid, and have that bit.
pub unsafe fn set_bit(number: usize, bits: *mut u64) {
    // SAFETY: By the safety requirements.
    unsafe { *bits |= 1 << number }
}
