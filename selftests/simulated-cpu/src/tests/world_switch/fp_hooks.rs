// SPDX-License-Identifier: GPL-2.0
//! The kernel's FP hooks, and what they leave to the FP core.

use super::super::host::{Host, Image};
use super::super::machine::{Cpus, Features};
use super::fp_state::FpState;
use super::{all_features, plain, trap, traps_once, FP_ASIMD, IRQ, MODES, TRAP};
use crate::interrupt::local_interrupt_disable;
use crate::preempt::with_preemption_disabled;
use crate::view::Vcpu;
use crate::{bindings, fp_core, fpsimd, Access, Mode};

impl Host {
    /// Calls a hook for a vCPU, where `host_data_ptr()` is about the copy that
    /// EL2 writes, if it tells the kernel anything.
    fn hook(&mut self, vcpu: usize, hook: impl FnOnce(&Vcpu<'_>)) {
        let image = self.image_that_kernel_looks_at();
        fp_core::set_host_data(self.data(image));
        self.run_unnoted(vcpu, |vcpu| {
            // SAFETY: It is there, and used by nobody else.
            hook(&unsafe { Vcpu::from_raw(vcpu.as_ptr()) });
        });
    }

    fn image_that_kernel_looks_at(&self) -> Image {
        match self.cpus.pkvm {
            true => Image::Kernel,
            false => Image::Hyp,
        }
    }

    /// `kvm_arch_vcpu_load_fp()`.
    pub(in super::super) fn load_fp(&mut self, vcpu: usize) {
        self.hook(vcpu, |vcpu| {
            with_preemption_disabled(|preempt| fpsimd::load(vcpu, preempt))
        });
    }

    /// `kvm_arch_vcpu_ctxflush_fp()`.
    pub(super) fn ctxflush_fp(&mut self, vcpu: usize) {
        self.hook(vcpu, |_| fpsimd::ctxflush(&local_interrupt_disable()));
    }

    /// `kvm_arch_vcpu_ctxsync_fp()`.
    pub(super) fn ctxsync_fp(&mut self, vcpu: usize) {
        self.hook(vcpu, |vcpu| {
            fpsimd::ctxsync(vcpu, &local_interrupt_disable())
        });
    }

    /// `kvm_arch_vcpu_put_fp()`.
    pub(in super::super) fn put_fp(&mut self, vcpu: usize) {
        self.hook(vcpu, |vcpu| {
            with_preemption_disabled(|preempt| fpsimd::put(vcpu, preempt))
        });
    }

    /// The registers have the guest's state, as after an exit.
    pub(super) fn give_fp_to_guest(&mut self, vcpu: usize) {
        *self.owner_for_kernel() = bindings::kvm_host_data_FP_STATE_GUEST_OWNED;
        self.ctxsync_fp(vcpu);
    }

    /// The owner of the FP registers, as the kernel sees it.
    pub(in super::super) fn owner_for_kernel(&mut self) -> &mut u32 {
        let image = self.image_that_kernel_looks_at();
        &mut self.data(image).fp_owner
    }
}

fn fp_core_was_called(host: &mut Host) -> bool {
    let save = Access::Call("fpsimd_save_and_flush_cpu_state");
    host.cpu().trace().contains(&save)
}

/// A system without FP and SIMD, and so without what builds on them.
fn without_fp(mode: Mode, pkvm: bool) -> Host {
    let cpus = Cpus {
        have: Features {
            sve: false,
            fpmr: false,
            ..all_features(mode, pkvm).have
        },
        ..all_features(mode, pkvm)
    };
    let mut host = Host::with_guests(cpus, &[plain(Features::default())]);
    host.cpu().remove_capability(bindings::ARM64_HAS_FPSIMD);
    host
}

#[test]
fn b08_without_fp_load_asks_nobody_to_save_and_nobody_owns_the_registers() {
    for (mode, pkvm) in MODES {
        let mut host = without_fp(mode, pkvm);
        host.load(0);
        assert!(!fp_core_was_called(&mut host), "{mode:?} {pkvm}");
        assert_eq!(
            *host.owner_for_kernel(),
            bindings::kvm_host_data_FP_STATE_FREE,
            "{mode:?} {pkvm}"
        );
        host.enter(0, &mut |_, _| IRQ);
        host.put(0);
        assert!(!fp_core_was_called(&mut host), "{mode:?} {pkvm}");
    }
}

#[test]
fn b08_without_fp_a_guests_use_is_for_the_kernel_which_has_it_undefined() {
    for (mode, pkvm) in MODES {
        let mut host = without_fp(mode, pkvm);
        host.load(0);
        let mut entries = 0;
        let code = host.enter(0, &mut |cpu, _| {
            entries += 1;
            assert!(!cpu.guest_can_use_fp(), "{mode:?} {pkvm}");
            trap(cpu, FP_ASIMD, 0)
        });
        // handle_no_fpsimd() of handle_exit.c goes by the exit code and the
        // class.
        assert_eq!((code, entries), (TRAP, 1), "{mode:?} {pkvm}");
        assert_eq!(host.vcpu(0).arch.fault.esr_el2 >> 26, FP_ASIMD);
        assert!(!host.guest_owns_fp(), "{mode:?} {pkvm}");
        host.put(0);
    }
}

#[test]
fn b01_b17_load_saves_all_that_the_task_has() {
    for (mode, pkvm) in MODES {
        let mut host = Host::with_guests(all_features(mode, pkvm), &[plain(Features::default())]);
        let task = FpState::of("task");
        host.give_fp_to_host(&task);
        host.load(0);
        let saved = fp_core::task_state();
        let length = saved.sve.len() * 8 / (32 * 8 + 17);
        assert!(length > 16, "{mode:?}");
        assert_eq!(saved.sve, task.sve(length).0, "{mode:?} {pkvm}");
        assert_eq!(saved.fpmr, task.fpmr(), "{mode:?} {pkvm}");
        let status = [saved.fpsimd.fpsr, saved.fpsimd.fpcr].map(u64::from);
        assert_eq!(status, task.v().1, "{mode:?} {pkvm}");
    }
}

#[test]
fn b06_b09_load_forgets_who_owned_the_registers() {
    for (mode, pkvm) in MODES {
        let mut host = Host::with_guests(all_features(mode, pkvm), &[plain(Features::default())]);
        for owner in [
            bindings::kvm_host_data_FP_STATE_GUEST_OWNED,
            bindings::kvm_host_data_FP_STATE_HOST_OWNED,
        ] {
            host.give_fp_to_host(&FpState::of("task"));
            *host.owner_for_kernel() = owner;
            host.load_fp(0);
            let free = bindings::kvm_host_data_FP_STATE_FREE;
            assert_eq!(*host.owner_for_kernel(), free, "{mode:?} {pkvm}");
        }
    }
}

#[test]
fn b11_between_l1_and_l2_nothing_is_saved_and_the_owner_stays() {
    for flag in [bindings::IN_NESTED_ERET, bindings::IN_NESTED_EXCEPTION] {
        let has = Features::from_bits(!0);
        let guest = super::machine::Guest {
            has,
            ..plain(Features::default())
        };
        let mut host = Host::with_guests(all_features(Mode::Vhe, false), &[guest]);
        host.give_fp_to_host(&FpState::of("task"));
        host.load(0);
        host.enter(0, &mut traps_once(FP_ASIMD));
        assert!(host.guest_owns_fp());
        let before = FpState::in_cpu(host.cpu());
        host.vcpus[0].vcpu.arch.sflags |= flag;
        host.put(0);
        assert!(!fp_core_was_called(&mut host));
        host.load(0);
        assert!(!fp_core_was_called(&mut host));
        host.vcpus[0].vcpu.arch.sflags &= !flag;
        assert!(host.guest_owns_fp());
        assert!(FpState::in_cpu(host.cpu()) == before);
    }
}

#[test]
fn b11_between_l1_and_l2_the_host_cannot_own_the_registers() {
    let hooks: [fn(&mut Host, usize); 2] = [Host::load_fp, Host::put_fp];
    for hook in hooks {
        let has = Features::from_bits(!0);
        let guest = super::machine::Guest {
            has,
            ..plain(Features::default())
        };
        let mut host = Host::with_guests(all_features(Mode::Vhe, false), &[guest]);
        host.load(0);
        host.vcpus[0].vcpu.arch.sflags |= bindings::IN_NESTED_ERET;
        host.data(Image::Hyp).fp_owner = bindings::kvm_host_data_FP_STATE_HOST_OWNED;
        let message = super::super::panic_of(|| hook(&mut host, 0));
        assert!(message.starts_with("WARN_ON_ONCE()"), "{message}");
    }
}

#[test]
fn bug_a_kernel_thread_runs_no_vcpu() {
    let mut host = Host::with_guests(
        all_features(Mode::Vhe, false),
        &[plain(Features::default())],
    );
    fp_core::kernel_thread_runs();
    let message = super::super::panic_of(|| host.load_fp(0));
    assert_eq!(message, "BUG()");
}
