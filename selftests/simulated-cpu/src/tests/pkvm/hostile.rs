// SPDX-License-Identifier: GPL-2.0
//! Whatever the host has in its vCPU, it decides on nothing but what is the
//! host's to say.

use super::super::functions::*;
use super::super::host::Host;
use super::super::machine::{self, mark, place, Cpus, Guest, Vcpu};
use super::super::names;
use super::super::runner;
use super::{c, used_by_c};
use crate::{kvm_vcpu, Mode};
use proptest::prelude::*;

/// The host's vCPU, and EL2's.
const HOST: usize = 0;
const HYP: usize = 1;

/// `PKVM_HOST_STATE_DIRTY`.
const DIRTY: u8 = 1 << 4;

/// Fills all of a vCPU, but for what C does not have.
fn fill(vcpu: &mut kvm_vcpu, seed: u64) {
    let answers = vcpu.arch.answers.clone();
    let start = (&raw mut *vcpu).cast::<u8>();
    let mut state = seed | 1;
    for offset in 0..size_of::<kvm_vcpu>() {
        // xorshift64
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        // SAFETY: Within the vCPU. Any bytes are a value of all fields but the
        // answers, which come back before anybody looks at them.
        unsafe { start.add(offset).write((state >> 32) as u8) };
    }
    // SAFETY: It is the vCPU's; what is there needs not be dropped.
    unsafe { (&raw mut vcpu.arch.answers).write(answers) };
}

/// What EL2 has of a vCPU before a run and at its start.
struct Case {
    host: Host,
    is_protected: bool,
    from: kvm_vcpu,
    before: kvm_vcpu,
    after: kvm_vcpu,
}

fn flush(cpus: Cpus, guest: Guest, seeds: [u64; 2], nr_lr: u32) -> Case {
    let cpus = Cpus { pkvm: true, ..cpus };
    let vcpus = ["host's", "EL2's"].map(|name| Vcpu::new(name, &cpus, guest));
    let mut host = Host::new(cpus, vcpus.into());
    for (vcpu, seed) in [HOST, HYP].into_iter().zip(seeds) {
        fill(&mut host.vcpus[vcpu].vcpu, seed);
    }
    let hyp = &mut host.vcpus[HYP].vcpu;
    // As EL2 has it: these are never the host's to say.
    hyp.arch.ctxt.__hyp_running_vcpu = std::ptr::null_mut();
    hyp.arch.ctxt.vncr_array = std::ptr::null_mut();
    hyp.arch.hyp_features = 0;
    // The features get worked out; with what follows, nothing changes.
    let features = |host: &mut Host| {
        host.at_pkvm(HOST, HYP, |vcpu, _| {
            vcpu.states().0.features();
        });
        host.vcpus[HYP].vcpu.clone()
    };
    let before = *features(&mut host);
    let from = (*host.vcpus[HOST].vcpu).clone();
    host.at_pkvm(HOST, HYP, |vcpu, data| {
        crate::nvhe::pkvm::flush(vcpu, data, nr_lr);
    });
    let after = (*host.vcpus[HYP].vcpu).clone();
    assert_eq!(*host.vcpus[HOST].vcpu, from, "it is the host's");
    Case {
        is_protected: host.vcpus[HYP].is_protected,
        host,
        from,
        before,
        after,
    }
}

fn for_cases(check: impl Fn(Case, u32)) {
    let cases = (
        machine::cpus(&[Mode::Nvhe, Mode::Hvhe]),
        machine::guest(),
        any::<[u64; 2]>(),
        0..=16u32,
    );
    let outcome = runner().run(&cases, |(cpus, guest, seeds, nr_lr)| {
        check(flush(cpus, guest, seeds, nr_lr), nr_lr);
        Ok(())
    });
    outcome.unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn the_host_says_only_its_bits_of_hcr_el2() {
    for_cases(|case, _| {
        let mask = match case.is_protected {
            true => c::HCR_OF_HOST_PROTECTED,
            false => c::HCR_OF_HOST,
        };
        let [before, after] = [&case.before, &case.after].map(|vcpu| vcpu.arch.hcr_el2);
        assert_eq!(after & !mask, before & !mask);
        assert_eq!(after & mask, case.from.arch.hcr_el2 & mask);
    });
}

#[test]
fn no_list_register_is_used_that_is_not_there() {
    for_cases(|case, nr_lr| {
        let [from, before, after] = [&case.from, &case.before, &case.after]
            .map(|vcpu| &vcpu.arch.vgic_cpu.__bindgen_anon_1.vgic_v3);
        assert!(after.used_lrs <= nr_lr);
        assert_eq!(after.used_lrs, from.used_lrs.min(nr_lr));
        let used = after.used_lrs as usize;
        assert_eq!(after.vgic_lr[..used], from.vgic_lr[..used]);
        assert_eq!(after.vgic_lr[used..], before.vgic_lr[used..]);
        // No bypass, and system registers.
        assert_eq!(after.vgic_sre, c::SRE);
        assert_eq!(after.vgic_vmcr, before.vgic_vmcr);
        assert_eq!(after.vgic_ap0r, before.vgic_ap0r);
        assert_eq!(after.vgic_ap1r, before.vgic_ap1r);
    });
}

#[test]
fn list_registers_are_within_the_array_even_if_the_cpu_had_more() {
    let cases = (
        machine::cpus(&[Mode::Nvhe]),
        machine::guest(),
        any::<[u64; 2]>(),
    );
    let outcome = runner().run(&cases, |(cpus, guest, seeds)| {
        let case = flush(cpus, guest, seeds, u32::MAX);
        let [from, after] =
            [&case.from, &case.after].map(|vcpu| &vcpu.arch.vgic_cpu.__bindgen_anon_1.vgic_v3);
        assert_eq!(from.vgic_lr, after.vgic_lr);
        Ok(())
    });
    outcome.unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn debug_registers_have_an_owner_that_el2_knows() {
    for_cases(|mut case, nr_lr| {
        // Random bytes are hardly ever an owner.
        for owner in [0, 1, 2, 3, 1 << 31, u32::MAX] {
            case.host.vcpus[HOST].vcpu.arch.debug_owner = owner;
            *case.host.vcpus[HYP].vcpu = case.before.clone();
            case.host.at_pkvm(HOST, HYP, |vcpu, data| {
                crate::nvhe::pkvm::flush(vcpu, data, nr_lr);
            });
            let after = &case.host.vcpus[HYP].vcpu.arch;
            let (from, before) = (&case.from.arch, &case.before.arch);
            let known = if owner > 2 { 0 } else { owner };
            assert_eq!(after.debug_owner, known, "for {owner}");
            let guest = if known == 2 { from } else { before };
            assert_eq!(after.vcpu_debug_state, guest.vcpu_debug_state);
            let host = if known == 1 { from } else { before };
            assert_eq!(after.external_debug_state, host.external_debug_state);
            assert_eq!(after.external_mdscr_el1, host.external_mdscr_el1);
        }
    });
}

#[test]
fn what_is_el2s_stays_as_it_is() {
    let used = used_by_c::used();
    for_cases(|case, _| {
        let (before, after) = (&case.before, &case.after);
        assert_eq!(after.kvm, before.kvm);
        assert_eq!(after.arch.hw_mmu, before.arch.hw_mmu);
        assert_eq!(after.arch.sve_state, before.arch.sve_state);
        assert_eq!(after.arch.sve_max_vl, before.arch.sve_max_vl);
        assert_eq!(after.arch.cflags, before.arch.cflags);
        assert_eq!(after.arch.sflags, before.arch.sflags);
        assert_eq!(after.arch.hcrx_el2, before.arch.hcrx_el2);
        assert_eq!(after.arch.fault, before.arch.fault);
        assert_eq!(after.arch.hyp_features, before.arch.hyp_features);

        let (ctxt, ctxt_before) = (&after.arch.ctxt, &before.arch.ctxt);
        assert!(ctxt.__hyp_running_vcpu.is_null());
        assert!(ctxt.vncr_array.is_null());
        if !case.is_protected && case.from.arch.iflags & DIRTY == 0 {
            assert_eq!(ctxt, ctxt_before, "the host's state is not dirty");
        }
        for (name, place) in bindings::VCPU_SYSREGS {
            let place = place as usize;
            if !used.contains(name) {
                assert_eq!(ctxt.sys_regs[place], ctxt_before.sys_regs[place], "{name}");
            }
        }
    });
}

#[test]
fn the_host_says_what_is_the_hosts() {
    for_cases(|case, _| {
        let (from, after) = (&case.from.arch, &case.after.arch);
        assert_eq!(after.mdcr_el2, from.mdcr_el2);
        assert_eq!(after.iflags, from.iflags);
        assert_eq!(after.vsesr_el2, from.vsesr_el2);
        assert_eq!(after.pid, from.pid);
        let [from_vgic, vgic] = [from, after].map(|arch| &arch.vgic_cpu.__bindgen_anon_1.vgic_v3);
        assert_eq!(vgic.vgic_hcr, from_vgic.vgic_hcr);
        if case.is_protected || from.iflags & DIRTY != 0 {
            assert_eq!(after.ctxt.regs, from.ctxt.regs);
            assert_eq!(after.ctxt.fp_regs, from.ctxt.fp_regs);
            let name = "SCTLR_EL1";
            assert_eq!(
                after.ctxt.sys_regs[place(name)],
                from.ctxt.sys_regs[place(name)]
            );
        }
    });
}

#[test]
fn the_host_gets_no_guest_above_el1() {
    for_cases(|mut case, nr_lr| {
        for mode in 0..0x20 {
            let pstate = mark("host", "pstate") & !0x1f | mode;
            let vcpu = &mut case.host.vcpus[HOST].vcpu;
            vcpu.arch.iflags |= DIRTY;
            vcpu.arch.ctxt.regs.pstate = pstate;
            case.host.at_pkvm(HOST, HYP, |vcpu, data| {
                crate::nvhe::pkvm::flush(vcpu, data, nr_lr);
            });
            case.host.call(HYP, NVHE_RESTORE_GUEST);
            let entered = names::get(case.host.cpu(), "SPSR_EL2");
            let (aarch32, el, il) = (entered & 0x10 != 0, (entered >> 2) & 3, (entered >> 20) & 1);
            assert!(
                aarch32 || el < 2 || il == 1,
                "{pstate:#x} becomes {entered:#x}"
            );
        }
    });
}
