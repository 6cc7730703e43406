// SPDX-License-Identifier: GPL-2.0

//! `__kvm_ex_table`: instructions of the hypervisor that may take an exception, and where it goes
//! on then.

use super::context::{
    context_registers,
    ContextRegister, //
};
use kernel::{
    arm64::{
        percpu::this_cpu_ptr,
        registers::ELR_EL2,
        sysreg,
        world::Hyp, //
    },
    bindings, //
};

context_registers! { ELR_EL2 }

/// An instruction and where to go on, both as distances from where they stand:
/// `struct kvm_exception_table_entry`.
#[repr(C)]
struct Entry {
    instruction: i32,
    fixup: i32,
}

extern "C" {
    static __start___kvm_ex_table: [Entry; 0];
    static __stop___kvm_ex_table: [Entry; 0];
    /// Not a function: code that goes on with what the vectors have left.
    static __guest_exit_restore_elr_and_panic: [u8; 0];
}

/// Returns where the code goes on that took an exception at `address`.
pub(crate) fn fixup_of(address: u64) -> Option<u64> {
    // SAFETY: The linker puts the first at the start of the table and the second behind it. The
    // distances lead to instructions of this image.
    unsafe {
        let mut entry: *const Entry = (&raw const __start___kvm_ex_table).cast();
        let end: *const Entry = (&raw const __stop___kvm_ex_table).cast();
        while entry < end {
            let target = |distance: *const i32| {
                (distance.addr() as u64).wrapping_add_signed(i64::from(distance.read()))
            };
            if target(&raw const (*entry).instruction) == address {
                return Some(target(&raw const (*entry).fixup));
            }
            entry = entry.add(1);
        }
    }
    None
}

/// Returns where the hypervisor was when it took the exception that it handles.
pub(crate) fn interrupted_at() -> u64 {
    // SAFETY: A register of EL2.
    unsafe { sysreg::read::<ELR_EL2>() }.into()
}

/// Has the hypervisor go on at `address` after the exception.
pub(crate) fn go_on_at(address: u64) {
    // SAFETY: An address that the table has for the instruction that took the exception. Whoever
    // put it there has seen to it that the code can go on there.
    unsafe { sysreg::write(ELR_EL2::from(address)) }
}

/// Has the hypervisor panic after the exception, which was taken at `address`.
pub(crate) fn panic_after<W: Hyp>(address: u64) {
    // SAFETY: This code runs in the world `W` and stays on this CPU, whose context nobody else
    // uses; the index is one of the array. What the ERET leads to gets back the address.
    unsafe {
        let context = this_cpu_ptr::<W, _>(&raw mut bindings::kvm_hyp_ctxt);
        (&raw mut (*context).sys_regs)
            .cast::<u64>()
            .add(<ELR_EL2 as ContextRegister>::PLACE as usize)
            .write(address);
        let code = (&raw const __guest_exit_restore_elr_and_panic).addr();
        sysreg::write(ELR_EL2::from(code as u64));
    }
}
