// SPDX-License-Identifier: GPL-2.0
//! Memory copy and memory set instructions start again with their first part.

use super::super::host::Host;
use super::super::machine::Features;
use super::super::{names, runner};
use super::{all_features, plain, trap, IRQ, MODES};
use crate::bindings;
use proptest::prelude::*;

/// Exception class.
const MOPS: u64 = 0x27;

/// What `arm64_mops_reset_regs()` of `arch/arm64/include/asm/traps.h` does, which
/// follows the Arm ARM (DDI 0487), rules CNTMJ and MWFQH: written from these.
/// X31 is a 32nd place that nobody looks at.
fn reset(x: &mut [u64; 32], iss: u64, n: bool) {
    let bit = |number: u32| iss & (1 << number) != 0;
    let register = |shift: u32| ((iss >> shift) & 0x1f) as usize;
    let (is_set, wrong, a) = (bit(24), bit(17), bit(16));
    let (d, s, z) = (register(10), register(5), register(0));
    let format_a = a != wrong;
    let (dst, src, size) = (x[d], x[s], x[z]);
    match (is_set, format_a) {
        (true, true) => {
            x[d] = dst.wrapping_add(size);
            x[z] = 0u64.wrapping_sub(size);
        }
        (true, false) => (),
        (false, false) => {
            if n {
                x[d] = dst.wrapping_sub(size);
                x[s] = src.wrapping_sub(size);
            }
        }
        (false, true) => {
            if size >> 63 != 0 {
                x[d] = dst.wrapping_add(size);
                x[s] = src.wrapping_add(size);
                x[z] = 0u64.wrapping_sub(size);
            }
        }
    }
}

#[test]
fn mops_registers_are_as_the_first_part_takes_them() {
    let cases = (
        prop::sample::select(MODES.to_vec()),
        any::<[u64; 31]>(),
        0..1u64 << 25,
        any::<u64>(),
        any::<u64>(),
    );
    let outcome = runner().run(&cases, |((mode, pkvm), x, iss, pc, pstate)| {
        // The architecture names three different registers, and none is XZR,
        // but for the value of a SET, which is not among those that change.
        let [d, s, z] = [10, 5, 0].map(|shift| (iss >> shift) & 0x1f);
        prop_assume!(d != z && d != s && s != z);
        let cpus = all_features(mode, pkvm);
        let mut host = Host::with_guests(cpus, &[plain(Features::default())]);
        host.load(0);
        host.vcpus[0].vcpu.arch.iflags |= bindings::PKVM_HOST_STATE_DIRTY;
        let pstate = pstate & !0x1f | 0x5;
        let mut expected = [0; 32];
        expected[..31].copy_from_slice(&x);
        reset(&mut expected, iss, pstate & (1 << 31) != 0);

        let mut entries = 0;
        host.enter(0, &mut |cpu, vcpu| {
            entries += 1;
            if entries == 1 {
                vcpu.arch.ctxt.regs.regs = x;
                names::set(cpu, "ELR_EL2", pc);
                names::set(cpu, "SPSR_EL2", pstate);
                return trap(cpu, MOPS, iss);
            }
            assert_eq!(vcpu.arch.ctxt.regs.regs, expected[..31], "{iss:#x}");
            let back = if iss & (1 << 18) != 0 { 8 } else { 4 };
            assert_eq!(names::get(cpu, "ELR_EL2"), pc.wrapping_sub(back));
            assert_eq!(vcpu.arch.ctxt.regs.pc, pc.wrapping_sub(back));
            // A step over it is over.
            assert_eq!(names::get(cpu, "SPSR_EL2"), pstate & !(1 << 21));
            IRQ
        });
        prop_assert_eq!(entries, 2);
        Ok(())
    });
    outcome.unwrap_or_else(|e| panic!("{e}"));
}
