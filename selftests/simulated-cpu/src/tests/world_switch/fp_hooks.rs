// SPDX-License-Identifier: GPL-2.0
//! The kernel's FP hooks, and what they leave to the FP core.

use super::super::host::{Host, Image};
use super::super::machine::{Cpus, Features};
use super::fp_state::FpState;
use super::{all_features, plain, trap, traps_once, FP_ASIMD, IRQ, MODES, TRAP};
use crate::interrupt::local_interrupt_disable;
use crate::preempt::with_preemption_disabled;
use crate::view::Vcpu;
use crate::{bindings, fp_core, fpsimd, tracepoint, Access, Mode, SVCR_SM, SVCR_ZA};

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
        self.hook(vcpu, |vcpu| {
            fpsimd::ctxflush(vcpu, &local_interrupt_disable())
        });
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
        self.vcpus[vcpu].vcpu.arch.has_used_fp = true;
        fp_core::current().foreign = true;
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

const FREE: u32 = bindings::kvm_host_data_FP_STATE_FREE;
const HOSTS: u32 = bindings::kvm_host_data_FP_STATE_HOST_OWNED;
const GUESTS: u32 = bindings::kvm_host_data_FP_STATE_GUEST_OWNED;

/// A host, with a guest that has nothing but FP, and a task whose state is in the registers.
fn with_task(mode: Mode, pkvm: bool) -> (Host, FpState) {
    let mut host = Host::with_guests(all_features(mode, pkvm), &[plain(Features::default())]);
    let task = FpState::of("task");
    host.give_fp_to_host(&task);
    (host, task)
}

/// The FP core has saved all that the task had.
fn check_saved(task: &FpState, context: &str) {
    let saved = fp_core::task_state();
    let length = saved.sve.len() * 8 / (32 * 8 + 17);
    assert!(length > 16, "{context}");
    assert_eq!(saved.sve, task.sve(length).0, "{context}");
    assert_eq!(saved.fpmr, task.fpmr(), "{context}");
    let status = [saved.fpsimd.fpsr, saved.fpsimd.fpcr].map(u64::from);
    assert_eq!(status, task.v().1, "{context}");
}

#[test]
fn b01_b17_the_tasks_state_stays_if_the_guest_uses_no_fp() {
    for (mode, pkvm) in MODES {
        let (mut host, task) = with_task(mode, pkvm);
        for _ in 0..2 {
            host.load(0);
            assert_eq!(*host.owner_for_kernel(), HOSTS, "{mode:?} {pkvm}");
            for _ in 0..2 {
                host.enter(0, &mut |cpu, _| {
                    assert!(!cpu.guest_can_use_fp(), "{mode:?} {pkvm}");
                    IRQ
                });
                assert!(!fp_core_was_called(&mut host), "{mode:?} {pkvm}");
            }
            host.put(0);
            assert!(!fp_core_was_called(&mut host), "{mode:?} {pkvm}");
            assert!(FpState::in_cpu(host.cpu()) == task, "{mode:?} {pkvm}");
            assert!(!fp_core::task_state().foreign, "{mode:?} {pkvm}");
        }
    }
}

#[test]
fn b01_registers_that_are_saved_for_the_guest_are_nobodys() {
    for (mode, pkvm) in MODES {
        let (mut host, _) = with_task(mode, pkvm);
        host.load(0);
        assert_eq!(*host.owner_for_kernel(), HOSTS, "{mode:?} {pkvm}");
        // It was left because it wants them.
        host.vcpus[0].vcpu.arch.has_used_fp = true;
        host.ctxsync_fp(0);
        assert!(fp_core_was_called(&mut host), "{mode:?} {pkvm}");
        assert_eq!(*host.owner_for_kernel(), FREE, "{mode:?} {pkvm}");
    }
}

#[test]
fn b05_b17_the_guests_first_use_has_the_fp_core_save_all_that_the_task_has() {
    for (mode, pkvm) in MODES {
        let (mut host, task) = with_task(mode, pkvm);
        host.load(0);
        let mut entries = 0;
        host.enter(0, &mut |cpu, _| {
            entries += 1;
            match entries {
                1 => trap(cpu, FP_ASIMD, 0),
                _ if cpu.guest_can_use_fp() => IRQ,
                // EL2 left the guest for it, and here it is again.
                2 => trap(cpu, FP_ASIMD, 0),
                _ => panic!("FP stays closed: {mode:?} {pkvm}"),
            }
        });
        let context = format!("{mode:?} {pkvm}");
        let without_vhe = mode != Mode::Vhe && !pkvm;
        assert_eq!(entries, if without_vhe { 3 } else { 2 }, "{context}");
        assert_eq!(fp_core_was_called(&mut host), !pkvm, "{context}");
        if pkvm {
            // EL2 has saved it, and put it back.
            assert!(FpState::in_cpu(host.cpu()) == task, "{context}");
        } else {
            check_saved(&task, &context);
            assert_eq!(*host.owner_for_kernel(), GUESTS, "{context}");
        }
    }
}

#[test]
fn b03_b17_a_task_with_fpsimd_state_gets_no_sve_state() {
    for mode in Mode::ALL {
        let (mut host, task) = with_task(mode, false);
        let thread = fp_core::thread(0);
        (thread.tif_sve, thread.sve) = (false, Vec::new());
        // As it is bound when it has come from userspace.
        let last = thread.to_bind();
        fp_core::set_last_state(Some(last));
        host.load(0);
        host.enter(0, &mut traps_once(FP_ASIMD));
        let saved = fp_core::task_state();
        assert!(saved.sve.is_empty() && !saved.tif_sve, "{mode:?}");
        assert_eq!(saved.fpsimd.v(), task.v().0, "{mode:?}");
        assert_eq!(saved.fpmr, task.fpmr(), "{mode:?}");
    }
}

#[test]
fn b17_what_a_debugger_has_written_is_what_the_task_has_after_a_guests_use() {
    for (mode, pkvm) in MODES {
        let (mut host, _) = with_task(mode, pkvm);
        // fpr_set(), of the task while it waits; what is in the registers is worth nothing then.
        let written = FpState::of("debugger");
        let thread = fp_core::thread(0);
        thread.fpsimd.set_v(&written.v().0);
        thread.fp_type = fp_core::fp_type_FP_STATE_FPSIMD;
        fp_core::flush_task_state(0);
        host.load(0);
        assert_eq!(*host.owner_for_kernel(), FREE, "{mode:?} {pkvm}");
        host.enter(0, &mut traps_once(FP_ASIMD));
        host.put(0);
        assert_eq!(
            fp_core::task_state().fpsimd.v(),
            written.v().0,
            "{mode:?} {pkvm}"
        );
        fp_core::restore_current_state(host.cpu());
        assert_eq!(
            FpState::in_cpu(host.cpu()).v().0,
            written.v().0,
            "{mode:?} {pkvm}"
        );
    }
}

#[test]
fn b18_streaming_mode_and_za_are_saved_before_any_guest_runs() {
    for (mode, pkvm) in MODES {
        for svcr in [SVCR_SM, SVCR_ZA, SVCR_SM | SVCR_ZA] {
            let (mut host, _) = with_task(mode, pkvm);
            host.cpu().add_capability(bindings::ARM64_SME);
            fp_core::sme_access(host.cpu());
            host.cpu().set_svcr(svcr);
            host.load(0);
            assert!(fp_core_was_called(&mut host), "{mode:?} {pkvm} {svcr}");
            assert_eq!(host.cpu().svcr(), 0, "{mode:?} {pkvm} {svcr}");
            assert_eq!(fp_core::task_state().svcr, svcr, "{mode:?} {pkvm}");
            assert_eq!(*host.owner_for_kernel(), FREE, "{mode:?} {pkvm}");
        }
    }
}

#[test]
fn b06_b09_load_forgets_who_owned_the_registers() {
    for (mode, pkvm) in MODES {
        let mut host = Host::with_guests(all_features(mode, pkvm), &[plain(Features::default())]);
        for owner in [FREE, HOSTS, GUESTS] {
            for (is_foreign, expected) in [(false, HOSTS), (true, FREE)] {
                host.give_fp_to_host(&FpState::of("task"));
                fp_core::thread(0).foreign = is_foreign;
                *host.owner_for_kernel() = owner;
                host.load_fp(0);
                assert_eq!(*host.owner_for_kernel(), expected, "{mode:?} {pkvm}");
            }
        }
    }
}

#[test]
fn b01_a_guest_that_used_fp_the_last_time_is_not_left_for_it_the_next() {
    for (mode, pkvm) in MODES {
        let (mut host, task) = with_task(mode, pkvm);
        let mut entries_of_loads = Vec::new();
        // It uses FP in two loads, and not in the two that follow, and then again.
        for uses_fp in [true, true, false, false, true] {
            host.give_fp_to_host(&task);
            host.load(0);
            let mut entries = 0;
            host.enter(0, &mut |cpu, _| {
                entries += 1;
                match cpu.guest_can_use_fp() || !uses_fp {
                    true => IRQ,
                    false => trap(cpu, FP_ASIMD, 0),
                }
            });
            host.put(0);
            entries_of_loads.push(entries);
        }
        let expected = match mode {
            Mode::Vhe => [2, 2, 1, 1, 2],
            _ if pkvm => [2, 2, 1, 1, 2],
            // One more, where only the kernel can save the host's state, and has not done so.
            _ => [3, 2, 1, 1, 3],
        };
        assert_eq!(entries_of_loads, expected, "{mode:?} {pkvm}");
    }
}

#[test]
fn b04_userspace_is_trapped_as_before_when_its_state_has_stayed() {
    for (mode, pkvm) in MODES {
        for [sve, sme] in [[false, false], [true, false], [false, true], [true, true]] {
            let (mut host, _) = with_task(mode, pkvm);
            host.cpu().add_capability(bindings::ARM64_SME);
            let thread = fp_core::thread(0);
            (thread.tif_sve, thread.tif_sme) = (sve, sme);
            host.cpu().set_user_access(sve, sme);
            host.load(0);
            host.enter(0, &mut |_, _| IRQ);
            host.put(0);
            let cpu = host.cpu();
            let found = [cpu.user_can_use_sve(), cpu.user_can_use_sme()];
            assert_eq!(found, [sve, sme], "{mode:?} {pkvm}");
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
fn b11_between_l1_and_l2_the_tasks_state_stays() {
    let (mut host, task) = with_task(Mode::Vhe, false);
    host.load(0);
    host.vcpus[0].vcpu.arch.sflags |= bindings::IN_NESTED_ERET;
    host.put(0);
    host.load(0);
    host.vcpus[0].vcpu.arch.sflags &= !bindings::IN_NESTED_ERET;
    assert_eq!(*host.owner_for_kernel(), HOSTS);
    assert!(FpState::in_cpu(host.cpu()) == task);
    host.enter(0, &mut traps_once(FP_ASIMD));
    check_saved(&task, "L2");
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

#[test]
fn b26_what_becomes_of_the_registers_is_counted_and_traced() {
    for (mode, pkvm) in MODES {
        let before = tracepoint::traced();
        let (mut host, task) = with_task(mode, pkvm);
        // [kept, saved, loaded, taken, put, exits]
        let mut expected = [0; 6];
        let check = |host: &mut Host, expected: [u64; 6], when: &str| {
            let stat = &host.vcpus[0].vcpu.stat;
            let found = [
                stat.fp_host_kept,
                stat.fp_host_saved,
                stat.fp_guest_loaded,
                stat.fp_guest_taken,
                stat.fp_guest_put,
                stat.fp_exits,
            ];
            assert_eq!(found, expected, "{when}: {mode:?} {pkvm}");
            // Each is traced when it is counted, but for exits, of which there are too many.
            let mut traced = tracepoint::traced();
            for (count, before) in traced.iter_mut().zip(before) {
                *count -= before;
            }
            assert_eq!(traced, expected[..5], "{when}: {mode:?} {pkvm}");
        };
        let add = |expected: &mut [u64; 6], of: [u64; 6]| {
            // Under pKVM the host only knows that its state stays.
            let known = if pkvm { 1 } else { 6 };
            for (sum, of) in expected.iter_mut().zip(of).take(known) {
                *sum += of;
            }
        };

        host.load(0);
        add(&mut expected, [1, 0, 0, 0, 0, 0]);
        host.enter(0, &mut |_, _| IRQ);
        check(&mut host, expected, "no use of FP");
        host.enter(0, &mut |cpu, _| match cpu.guest_can_use_fp() {
            true => IRQ,
            false => trap(cpu, FP_ASIMD, 0),
        });
        add(&mut expected, [0, 1, 1, 0, 0, 1]);
        check(&mut host, expected, "the first use");
        host.enter(0, &mut |_, _| IRQ);
        add(&mut expected, [0, 0, 0, 0, 0, 1]);
        check(&mut host, expected, "another exit");
        host.kernel_uses_fp();
        host.enter(0, &mut |_, _| IRQ);
        add(&mut expected, [0, 0, 0, 1, 0, 0]);
        check(&mut host, expected, "a softirq");
        host.enter(0, &mut |_, _| IRQ);
        check(&mut host, expected, "nothing more");
        host.enter(0, &mut |cpu, _| match cpu.guest_can_use_fp() {
            true => IRQ,
            false => trap(cpu, FP_ASIMD, 0),
        });
        add(&mut expected, [0, 0, 1, 0, 0, 1]);
        host.put(0);
        add(&mut expected, [0, 0, 0, 0, 1, 0]);
        check(&mut host, expected, "put");

        host.give_fp_to_host(&task);
        host.load(0);
        // It has used FP, so the state is saved beforehand now.
        let of = if !pkvm {
            [0, 1, 0, 0, 0, 0]
        } else {
            [1, 0, 0, 0, 0, 0]
        };
        add(&mut expected, of);
        host.put(0);
        check(&mut host, expected, "put without a use");
    }
}
