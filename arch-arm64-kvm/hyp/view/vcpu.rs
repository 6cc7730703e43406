// SPDX-License-Identifier: GPL-2.0

//! What a vCPU has beside its context: how it is to be run, and why it stopped.

use super::{
    Context,
    Guest,
    Syndrome, //
};
use kernel::{
    arm64::{
        registers::{
            HCRX_EL2,
            HCR_EL2,
            MDCR_EL2,
            VSESR_EL2, //
        },
        world::Hyp, //
    },
    bindings, //
};

/// Gives access to fields of the vCPU that hold a value of some type.
macro_rules! fields {
    ($($(#[$doc:meta])* $get:ident, $set:ident: $type:ident = $($field:ident).+;)*) => {
        impl<W: Hyp> Context<'_, W, Guest> {
            $(
                $(#[$doc])*
                // Not every world asks for each.
                #[allow(dead_code)]
                #[inline(always)]
                pub(crate) fn $get(&self) -> $type {
                    // SAFETY: A field of the vCPU, by the type invariant.
                    $type::from(unsafe {
                        (&raw const (*self.vcpu.as_ptr()).arch.$($field).+).read()
                    })
                }

                /// Sets it.
                #[allow(dead_code)]
                #[inline(always)]
                pub(crate) fn $set(&mut self, value: $type) {
                    // SAFETY: A field of the vCPU, by the type invariant.
                    unsafe {
                        (&raw mut (*self.vcpu.as_ptr()).arch.$($field).+).write(value.into())
                    }
                }
            )*
        }
    };
}

impl<W: Hyp> Context<'_, W, Guest> {
    /// Returns `HCR_EL2` for the guest, as the host wants it.
    #[inline(always)]
    pub(crate) fn hcr_el2(&self) -> HCR_EL2 {
        // SAFETY: A field of the vCPU, by the type invariant. Where interrupts come from userspace
        // (KVM_IRQ_LINE), any thread may set or clear one in it meanwhile: one load has either.
        HCR_EL2::from(unsafe { (&raw const (*self.vcpu.as_ptr()).arch.hcr_el2).read_volatile() })
    }

    /// Sets it.
    // Not every world does.
    #[allow(dead_code)]
    #[inline(always)]
    pub(crate) fn set_hcr_el2(&mut self, value: HCR_EL2) {
        // SAFETY: As for reading. An interrupt that userspace sets between the two is lost, as it
        // is in C.
        unsafe {
            (&raw mut (*self.vcpu.as_ptr()).arch.hcr_el2).write_volatile(value.into());
        }
    }
}

fields! {
    /// Returns why the guest was left.
    syndrome, set_syndrome: Syndrome = fault.esr_el2;
    /// Returns the faulting address of an abort.
    far, set_far: u64 = fault.far_el2;
    /// Returns the faulting intermediate address of an abort, in the layout of `HPFAR_EL2`.
    hpfar, set_hpfar: u64 = fault.hpfar_el2;
    /// Returns the PC in memory.
    pc, set_pc: u64 = ctxt.regs.pc;
    /// Returns PSTATE in memory.
    cpsr, set_cpsr: u64 = ctxt.regs.pstate;
}

impl From<u64> for Syndrome {
    #[inline(always)]
    fn from(value: u64) -> Self {
        Self(value)
    }
}

impl From<Syndrome> for u64 {
    #[inline(always)]
    fn from(syndrome: Syndrome) -> Self {
        syndrome.0
    }
}

impl<W: Hyp> Context<'_, W, Guest> {
    /// Returns `HCRX_EL2` for the guest, as the host wants it.
    #[inline(always)]
    pub(crate) fn hcrx_el2(&self) -> HCRX_EL2 {
        // SAFETY: A field of the vCPU, by the type invariant.
        HCRX_EL2::from(unsafe { (&raw const (*self.vcpu.as_ptr()).arch.hcrx_el2).read() })
    }

    /// Returns `MDCR_EL2` for the guest.
    // Under VHE the kernel sets it itself.
    #[allow(dead_code)]
    #[inline(always)]
    pub(crate) fn mdcr_el2(&self) -> MDCR_EL2 {
        // SAFETY: A field of the vCPU, by the type invariant.
        MDCR_EL2::from(unsafe { (&raw const (*self.vcpu.as_ptr()).arch.mdcr_el2).read() })
    }

    /// Returns the syndrome of a virtual SError that is to become pending.
    #[inline(always)]
    pub(crate) fn vsesr_el2(&self) -> VSESR_EL2 {
        // SAFETY: A field of the vCPU, by the type invariant.
        VSESR_EL2::from(unsafe { (&raw const (*self.vcpu.as_ptr()).arch.vsesr_el2).read() })
    }

    /// Returns general-purpose register `number` of an instruction, where 31 is XZR.
    ///
    /// The number must come from a syndrome: in AArch32 state the register that an instruction
    /// names depends on the mode, which the syndrome has taken into account.
    #[inline(always)]
    pub(crate) fn general_register(&self, number: u8) -> u64 {
        // SAFETY: Fields of the context, by the type invariant.
        let registers = unsafe { &(*self.vcpu.as_ptr()).arch.ctxt.regs.regs };
        registers.get(usize::from(number)).copied().unwrap_or(0)
    }

    /// Sets general-purpose register `number` of an instruction, where 31 is XZR.
    ///
    /// As for [`Self::general_register`].
    #[inline(always)]
    pub(crate) fn set_general_register(&mut self, number: u8, value: u64) {
        // SAFETY: Fields of the context, by the type invariant.
        let registers = unsafe { &mut (*self.vcpu.as_ptr()).arch.ctxt.regs.regs };
        if let Some(register) = registers.get_mut(usize::from(number)) {
            *register = value;
        }
    }

    /// Returns whether PSTATE in memory is one of AArch32 state.
    #[inline(always)]
    pub(crate) fn mode_is_32bit(&self) -> bool {
        self.cpsr() & u64::from(bindings::PSR_MODE32_BIT) != 0
    }

    /// Moves PC and PSTATE past an AArch32 instruction in memory, whose condition has passed.
    #[inline(always)]
    pub(crate) fn skip_instruction_32bit(&mut self) {
        // SAFETY: A vCPU by the type invariant; a function of both worlds.
        unsafe { bindings::kvm_skip_instr32(self.vcpu.as_ptr()) }
    }

    /// Emulates what the kernel has pended for this entry, if anything: an exception, or the end of
    /// an instruction.
    #[inline(always)]
    pub(crate) fn adjust_pc(&mut self) {
        const PENDED: u8 = bindings::PENDING_EXCEPTION | bindings::INCREMENT_PC;
        // SAFETY: A vCPU by the type invariant; a function of both worlds.
        unsafe {
            if (&raw const (*self.vcpu.as_ptr()).arch.iflags).read_volatile() & PENDED != 0 {
                bindings::__kvm_adjust_pc(self.vcpu.as_ptr());
            }
        }
    }

    /// Gives the guest the debug registers, where it or userspace uses them.
    #[inline(always)]
    pub(crate) fn switch_debug_to_guest(&mut self) {
        if self.debug_regs_in_use() {
            // SAFETY: A vCPU by the type invariant; a function of both worlds.
            unsafe { bindings::__debug_switch_to_guest(self.vcpu.as_ptr()) }
        }
    }

    /// Gives the host the debug registers back, where they were the guest's.
    #[inline(always)]
    pub(crate) fn switch_debug_to_host(&mut self) {
        if self.debug_regs_in_use() {
            // SAFETY: A vCPU by the type invariant; a function of both worlds.
            unsafe { bindings::__debug_switch_to_host(self.vcpu.as_ptr()) }
        }
    }

    /// Enters the guest, and returns when it was left, with the exit code.
    ///
    /// A context synchronisation event, in any case: where an interrupt is pending already, the
    /// guest is not entered.
    #[inline(always)]
    pub(crate) fn enter(&mut self) -> u64 {
        // SAFETY: A vCPU by the type invariant. Everything that the guest runs with is in the CPU,
        // or guests would have run into what was forgotten: nothing but the order of the
        // calls in `vhe::switch` and `nvhe::switch` sees to that.
        unsafe { bindings::__guest_enter(self.vcpu.as_ptr()) }
    }

    /// Returns whether userspace single-steps the guest.
    #[inline(always)]
    pub(crate) fn is_single_stepped(&self) -> bool {
        // SAFETY: A field of the vCPU, by the type invariant.
        let debug = unsafe { (&raw const (*self.vcpu.as_ptr()).guest_debug).read() };
        debug & bindings::KVM_GUESTDBG_SINGLESTEP as usize != 0
    }

    /// Notes with the vCPU whether `PMUSERENR_EL0` in the CPU is the guest's.
    ///
    /// The kernel updates the register from an IPI, so it has to find where the host's value is:
    /// interrupts must be disabled from the change of the register to here.
    #[inline(always)]
    pub(crate) fn set_pmuserenr_on_cpu(&mut self, on_cpu: bool) {
        let flag = bindings::PMUSERENR_ON_CPU;
        // SAFETY: A field of the vCPU, by the type invariant. Volatile, as the flags are read
        // elsewhere without a lock.
        unsafe {
            let flags = &raw mut (*self.vcpu.as_ptr()).arch.sflags;
            let others = flags.read_volatile() & !flag;
            flags.write_volatile(if on_cpu { others | flag } else { others });
        }
    }
}
