// SPDX-License-Identifier: GPL-2.0
//! What the conditions in the C depend on, by the names that they have there.

use super::super::machine::{Cpus, DebugOwner, Features, Guest, Level};
use crate::Mode;

/// Whose context a function works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// `&vcpu->arch.ctxt`.
    Guest,
    /// `host_data_ptr(host_ctxt)`, with the vCPU in `__hyp_running_vcpu`.
    Host,
}

/// All of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) cpus: Cpus,
    pub(crate) guest: Guest,
    pub(crate) owner: Owner,
}

impl Case {
    /// What C asks twice: `cpus_have_final_cap()`, and `kvm_has_…()` of the VM.
    fn has(&self) -> Features {
        self.guest.has.and(self.cpus.have)
    }

    /// `kvm_vm_is_protected()`.
    pub(super) fn is_protected(&self) -> bool {
        self.cpus.pkvm && self.guest.is_protected
    }

    pub(super) fn has_vhe(&self) -> bool {
        self.cpus.mode == Mode::Vhe
    }

    /// `ctxt_is_guest()`, and, the other way round, `ctxt->__hyp_running_vcpu`.
    pub(super) fn is_guest(&self) -> bool {
        self.owner == Owner::Guest
    }

    pub(super) fn ctxt_has_tcrx(&self) -> bool {
        self.has().tcr2
    }

    pub(super) fn ctxt_has_s1pie(&self) -> bool {
        self.has().s1pie
    }

    pub(super) fn ctxt_has_s1poe(&self) -> bool {
        self.has().s1poe
    }

    pub(super) fn ctxt_has_sctlr2(&self) -> bool {
        self.has().sctlr2
    }

    pub(super) fn ctxt_has_mte(&self) -> bool {
        self.has().mte
    }

    pub(super) fn ctxt_has_ras(&self) -> bool {
        self.has().ras
    }

    pub(super) fn cap_ras_extn(&self) -> bool {
        self.cpus.have.ras
    }

    pub(super) fn cap_nv2p1(&self) -> bool {
        self.cpus.nv2p1
    }

    pub(super) fn cap_speculative_at(&self) -> bool {
        self.cpus.speculative_at
    }

    pub(super) fn system_supports_mpam(&self) -> bool {
        self.cpus.mpam
    }

    /// Never without VHE.
    pub(super) fn vcpu_has_nv(&self) -> bool {
        self.has_vhe() && self.has().nv
    }

    pub(super) fn is_hyp_ctxt(&self) -> bool {
        self.vcpu_has_nv() && matches!(self.guest.level, Level::VirtualEl2 { .. })
    }

    pub(super) fn vcpu_el2_e2h_is_set(&self) -> bool {
        matches!(self.guest.level, Level::VirtualEl2 { e2h: true })
    }

    pub(super) fn is_nested_nv3_ctxt(&self) -> bool {
        self.vcpu_has_nv() && matches!(self.guest.level, Level::L2 { nv3: true, .. })
    }

    pub(super) fn vserror_state_is_nested(&self) -> bool {
        let nested = Level::L2 {
            takes_serrors: true,
            nv3: false,
        };
        let with_nv3 = Level::L2 {
            takes_serrors: true,
            nv3: true,
        };
        self.vcpu_has_nv() && [nested, with_nv3].contains(&self.guest.level)
    }

    pub(super) fn vcpu_el1_is_32bit(&self) -> bool {
        self.guest.aarch32
    }

    pub(super) fn kvm_debug_regs_in_use(&self) -> bool {
        self.guest.debug_owner != DebugOwner::Free
    }

    pub(super) fn kvm_host_owns_debug_regs(&self) -> bool {
        self.guest.debug_owner == DebugOwner::Host
    }

    pub(super) fn writable_imp_id_regs(&self) -> bool {
        self.guest.writable_imp_id_regs
    }
}
