// SPDX-License-Identifier: GPL-2.0

//! A VM, as far as it decides what its vCPUs are.

use core::{
    marker::PhantomData,
    ptr::NonNull, //
};
use kernel::{
    arm64::{
        sysreg::SystemRegister,
        world::World, //
    },
    bindings, //
};

/// `struct kvm`, at an address that is good in the world `W`.
///
/// # Invariants
///
/// `kvm` is a live VM for `'a`, of which a vCPU has been initialised.
pub(crate) struct Vm<'a, W: World> {
    kvm: NonNull<bindings::kvm>,
    _vm: PhantomData<(&'a bindings::kvm, W)>,
}

impl<W: World> Vm<'_, W> {
    /// Returns the VM of `vcpu`.
    ///
    /// # Safety
    ///
    /// `vcpu` must be a live vCPU for the lifetime of the view.
    #[inline(always)]
    pub(crate) unsafe fn of(vcpu: NonNull<bindings::kvm_vcpu>) -> Self {
        // INVARIANT: A vCPU's VM lives at least as long as the vCPU.
        Self {
            // SAFETY: By the safety requirement; every vCPU has a VM, and no VM is at an address
            // that becomes NULL at EL2.
            kvm: unsafe { NonNull::new_unchecked(W::kern_hyp_va((*vcpu.as_ptr()).kvm)) },
            _vm: PhantomData,
        }
    }

    /// Returns bit `flag` of the VM's flags.
    #[inline(always)]
    pub(super) fn flag(&self, flag: u32) -> bool {
        // SAFETY: The field is there, by the type invariant. Volatile: flags are set elsewhere at
        // the same time. Those that are asked for here no longer change when a vCPU has run.
        let flags = unsafe { (&raw const (*self.kvm.as_ptr()).arch.flags).read_volatile() };
        flags & (1 << flag) != 0
    }

    /// Returns whether the interrupt controller is a GICv5.
    #[inline(always)]
    pub(super) fn has_gicv5(&self) -> bool {
        // SAFETY: The field is there, by the type invariant. It is set before a vCPU of the VM
        // runs.
        let model = unsafe { (&raw const (*self.kvm.as_ptr()).arch.vgic.vgic_model).read() };
        model == bindings::kvm_device_type_KVM_DEV_TYPE_ARM_VGIC_V5
    }

    /// Returns whether pKVM protects the VM from the host.
    #[inline(always)]
    pub(super) fn is_protected(&self) -> bool {
        // SAFETY: The field is there, by the type invariant. It is set before the VM has vCPUs.
        unsafe { (&raw const (*self.kvm.as_ptr()).arch.pkvm.is_protected).read() }
    }

    /// Returns whether the VM's vCPUs have been asked for feature `feature`.
    #[inline(always)]
    pub(crate) fn vcpu_feature(&self, feature: u32) -> bool {
        // SAFETY: As for `flag`. There are fewer features than bits in the first word.
        let features =
            unsafe { (&raw const (*self.kvm.as_ptr()).arch.vcpu_features[0]).read_volatile() };
        features & (1 << feature) != 0
    }

    /// Returns what the guest sees in the ID register `R`, one of those with `op0` 3, `op1` 0,
    /// `CRn` 0 and `CRm` 1 to 7.
    #[inline(always)]
    pub(super) fn id_register<R: SystemRegister>(&self) -> R {
        // As C's IDREG_IDX().
        let index = const {
            let encoding = R::ENCODING;
            assert!(encoding.op0 == 3 && encoding.op1 == 0 && encoding.crn == 0);
            assert!(encoding.crm >= 1 && encoding.crm <= 7);
            ((encoding.crm as usize - 1) << 3) | encoding.op2 as usize
        };
        // SAFETY: The array has a place for each of these registers.
        R::from(unsafe {
            (&raw const (*self.kvm.as_ptr()).arch.id_regs)
                .cast::<u64>()
                .add(index)
                .read()
        })
    }

    /// Returns what the guest sees in `MIDR_EL1`, where userspace has set that, as few do.
    #[cold]
    #[inline(never)]
    pub(super) fn midr_el1(&self) -> u64 {
        // SAFETY: The field is there, by the type invariant.
        unsafe { (&raw const (*self.kvm.as_ptr()).arch.midr_el1).read() }
    }
}
