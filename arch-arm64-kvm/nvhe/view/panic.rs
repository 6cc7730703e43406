// SPDX-License-Identifier: GPL-2.0

//! The end of EL2: the host panics, and says why.

use super::HostData;
use kernel::{
    arm64::{
        registers::{
            ELR_EL2,
            PAR_EL1,
            SPSR_EL2, //
        },
        sysreg,
        world::{
            Nvhe,
            World, //
        }, //
    },
    bindings, //
};

/// What the host prints that is in registers which it needs itself.
pub(crate) struct Reason {
    pstate: SPSR_EL2,
    pc: ELR_EL2,
    par: PAR_EL1,
}

impl Reason {
    /// Reads it, before anything changes it.
    #[inline(always)]
    pub(crate) fn read() -> Self {
        // SAFETY: EL2 may read them.
        unsafe {
            Self {
                pstate: Nvhe::read_el2(),
                pc: Nvhe::read_el2(),
                par: sysreg::read_par(),
            }
        }
    }
}

/// Has the host panic, to which EL1 has been given back.
#[inline(always)]
pub(crate) fn in_host(host: &HostData<'_>, why: Reason) -> ! {
    let (frame, code) = sysreg::frame();
    // SAFETY: The frame is this function's or its caller's, and the context that of the host on
    // this CPU. The second does not return.
    unsafe {
        bindings::kvm_nvhe_prepare_backtrace(frame, code);
        bindings::__hyp_do_panic(
            host.context().as_ptr(),
            why.pstate.into(),
            why.pc.into(),
            why.par.into(),
        )
    }
}
