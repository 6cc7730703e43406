// SPDX-License-Identifier: GPL-2.0
//! Symbols of assembly and of the linker that the kernel's files name.

#![allow(non_upper_case_globals)]

/// EL2's vectors for while the host runs. Only where they are matters.
#[no_mangle]
pub(super) static __kvm_hyp_host_vector: [u8; 4] = [0; 4];

/// What the hypervisor goes on with when it has to panic.
#[no_mangle]
pub(super) static __guest_exit_restore_elr_and_panic: [u8; 4] = [1; 4];

/// An instruction that may take an exception, and where to go on then, as
/// distances from where they stand.
type Entry = [i32; 2];

/// `__kvm_ex_table`. The linker puts `__start___kvm_ex_table` and
/// `__stop___kvm_ex_table` around what is in a section of that name.
#[used]
#[link_section = "__kvm_ex_table"]
static TABLE: [Entry; 3] = [[0x1000, 0x2000], [-0x3000, 0x40], [0x5000, -0x6000]];

/// The addresses in the table: of an instruction, and where to go on then.
pub(super) fn exception_table() -> Vec<(u64, u64)> {
    let address = |distance: &i32| {
        let here = (&raw const *distance).addr() as u64;
        here.wrapping_add_signed(i64::from(*distance))
    };
    let entries = TABLE.iter();
    entries
        .map(|[instruction, fixup]| (address(instruction), address(fixup)))
        .collect()
}
