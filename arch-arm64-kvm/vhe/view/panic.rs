// SPDX-License-Identifier: GPL-2.0

//! The end of the kernel while a guest had the CPU.

use core::ptr::NonNull;
use kernel::{
    arm64::{
        registers::{
            ELR_EL2,
            ESR_EL2,
            FAR_EL2,
            HPFAR_EL2,
            PAR_EL1,
            SPSR_EL2, //
        },
        sysreg,
        world::{
            Vhe,
            World, //
        }, //
    },
    bindings,
    str::CStrExt, //
};

/// What is printed that is in registers which the kernel needs itself.
pub(crate) struct Reason {
    pstate: SPSR_EL2,
    pc: ELR_EL2,
    par: PAR_EL1,
}

impl Reason {
    /// Reads it, before anything changes it.
    pub(crate) fn read() -> Self {
        // SAFETY: EL2 may read them.
        unsafe {
            Self {
                pstate: Vhe::read_el2(),
                pc: Vhe::read_el2(),
                par: sysreg::read_par(),
            }
        }
    }
}

/// Panics; `vcpu` is the one that was loaded.
pub(crate) fn now(why: Reason, vcpu: Option<NonNull<bindings::kvm_vcpu>>) -> ! {
    // SAFETY: EL2 may read the registers. The format takes a number of 64 bits for each but the
    // last, which takes a pointer.
    unsafe {
        bindings::panic(
            c"HYP panic:\n\
              PS:%08llx PC:%016llx ESR:%08llx\n\
              FAR:%016llx HPFAR:%016llx PAR:%016llx\n\
              VCPU:%p\n"
                .as_char_ptr(),
            u64::from(why.pstate),
            u64::from(why.pc),
            u64::from(Vhe::read_el2::<ESR_EL2>()),
            u64::from(Vhe::read_el2::<FAR_EL2>()),
            u64::from(sysreg::read::<HPFAR_EL2>()),
            u64::from(why.par),
            vcpu.map_or(core::ptr::null_mut(), NonNull::as_ptr),
        )
    }
}
