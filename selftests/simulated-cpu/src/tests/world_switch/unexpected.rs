// SPDX-License-Identifier: GPL-2.0
//! Exceptions that the hypervisor takes from itself, and what it does when it has
//! to give up.

use super::super::host::{host_hcr, Host, Image, THIS_CPU_VECTOR};
use super::super::machine::{mark, place, Features};
use super::super::{names, panic_of};
use super::symbols::{self, exception_table};
use super::{all_features, plain, writes, IRQ, MODES};
use crate::arm64::world::{Nvhe, Vhe};
use crate::hyp::unexpected_exception::handle;
use crate::{bindings, nvhe, vhe, Mode};

/// Has the hypervisor handle an exception that it took at `address`. Returns
/// where it goes on.
fn goes_on_at(host: &mut Host, address: u64) -> u64 {
    names::set(host.cpu(), "ELR_EL2", address);
    let mode = host.cpus.mode;
    host.run(Image::Hyp, 0, |_, _| match mode {
        Mode::Vhe => handle::<Vhe>(),
        Mode::Nvhe | Mode::Hvhe => handle::<Nvhe>(),
    });
    names::get(host.cpu(), "ELR_EL2")
}

#[test]
fn an_instruction_of_the_table_goes_on_where_that_says_and_another_is_the_end() {
    for (mode, pkvm) in MODES {
        let cpus = all_features(mode, pkvm);
        let mut host = Host::with_guests(cpus, &[plain(Features::default())]);
        for (instruction, fixup) in exception_table() {
            assert_eq!(goes_on_at(&mut host, instruction), fixup, "{mode:?}");
        }
        let elr = |host: &mut Host| {
            let context = host.image(Image::Hyp).of(&raw mut bindings::kvm_hyp_ctxt);
            context.sys_regs[place("ELR_EL2")]
        };
        assert_eq!(elr(&mut host), 0, "nobody has panicked");
        for (instruction, _) in exception_table() {
            for other in [instruction - 4, instruction + 4] {
                let end = (&raw const symbols::__guest_exit_restore_elr_and_panic).addr();
                assert_eq!(goes_on_at(&mut host, other), end as u64, "{mode:?}");
                // Where the panic finds what was interrupted.
                assert_eq!(elr(&mut host), other, "{mode:?}");
            }
        }
    }
}

/// Gives up in the middle of a run.
fn abandon(host: &mut Host) {
    let mode = host.cpus.mode;
    let runs = host.runs(0);
    host.run(Image::Hyp, runs, |vcpu, _| {
        // SAFETY: The vCPU is there, and used by nobody else; its features have
        // been worked out.
        unsafe {
            if mode == Mode::Vhe {
                let mut data = vhe::HostData::this_cpu();
                let vcpu = data.loaded_vcpu().expect("a vCPU is loaded");
                let host = vhe::HostContext::for_vcpu(data.context(), vcpu);
                let mut guest = vhe::GuestContext::of(vcpu);
                vhe::switch::switch_to_host_for_panic(&mut guest, &host, &mut data);
            } else {
                let mut data = nvhe::HostData::this_cpu();
                let host = data.host_context(vcpu);
                let mut guest = nvhe::GuestContext::of(vcpu);
                nvhe::switch::switch_to_host_for_panic(&mut guest, &host, &mut data);
            }
        }
    });
}

#[test]
fn the_host_has_the_cpu_when_the_hypervisor_gives_up() {
    for (mode, _) in MODES.into_iter().filter(|(_, pkvm)| !pkvm) {
        let cpus = all_features(mode, false);
        let mut host = Host::with_guests(cpus, &[plain(Features::default())]);
        host.load(0);
        let el1 = [
            "SCTLR_EL1",
            "TTBR0_EL1",
            "TCR_EL1",
            "MDSCR_EL1",
            "TPIDR_EL0",
        ];
        let before = el1.map(|name| names::get(host.cpu(), name));
        let mut inside = None;
        host.enter(0, &mut |cpu, _| {
            // The state of the CPU as it is while the guest runs.
            inside = Some(cpu.clone());
            IRQ
        });
        *host.cpu() = inside.expect("it was entered");
        host.cpu().clear_trace();
        abandon(&mut host);
        // Under VHE they stay as they are until `vcpu_put()`.
        let cnthctl = writes(host.cpu(), "CNTHCTL_EL2");
        assert_eq!(cnthctl, usize::from(mode != Mode::Vhe), "{mode:?}");
        let hcr: u64 = host_hcr(mode).into();
        assert_eq!(names::get(host.cpu(), "HCR_EL2"), hcr, "{mode:?}");
        let vectors = match mode {
            Mode::Vhe => THIS_CPU_VECTOR,
            Mode::Nvhe | Mode::Hvhe => (&raw const symbols::__kvm_hyp_host_vector).addr(),
        };
        assert_eq!(
            names::get(host.cpu(), "VBAR_EL2"),
            vectors as u64,
            "{mode:?}"
        );
        for (name, before) in el1.into_iter().zip(before) {
            // Under VHE the kernel does not use EL1.
            if mode != Mode::Vhe || name == "MDSCR_EL1" {
                assert_eq!(names::get(host.cpu(), name), before, "{name} {mode:?}");
            }
        }
    }
}

#[test]
fn el2_has_the_host_panic_which_has_its_own_registers_then() {
    for (mode, pkvm) in MODES {
        if mode == Mode::Vhe {
            continue;
        }
        let cpus = all_features(mode, pkvm);
        let mut host = Host::with_guests(cpus, &[plain(Features::default())]);
        let mark = |name| mark("at the end", name);
        for name in ["SPSR_EL2", "ELR_EL2", "PAR_EL1"] {
            names::set(host.cpu(), name, mark(name));
        }
        let message = panic_of(|| {
            host.run(Image::Hyp, 0, |vcpu, _| {
                let why = nvhe::view::panic::Reason::read();
                // SAFETY: The CPU has the distance to what is its own.
                let data = unsafe { nvhe::HostData::this_cpu() };
                assert_eq!(data.running_vcpu(), Some(vcpu));
                nvhe::view::panic::in_host(&data, why)
            })
        });
        let values = ["SPSR_EL2", "ELR_EL2", "PAR_EL1"].map(|name| format!(" {:#x}", mark(name)));
        let expected = format!("__hyp_do_panic:{}", values.concat());
        assert_eq!(message, expected, "{mode:?}");
    }
}

#[test]
fn the_panic_says_what_was_in_the_registers() {
    let cpus = all_features(Mode::Vhe, false);
    let mut host = Host::with_guests(cpus, &[plain(Features::default())]);
    let mark = |name| mark("at the end", name);
    for name in [
        "SPSR_EL2",
        "ELR_EL2",
        "ESR_EL2",
        "FAR_EL2",
        "HPFAR_EL2",
        "PAR_EL1",
    ] {
        names::set(host.cpu(), name, mark(name));
    }
    let message = panic_of(|| {
        host.run(Image::Hyp, 0, |_, _| {
            let why = vhe::panic::Reason::read();
            vhe::panic::now(why, None)
        })
    });
    let expected = [
        "SPSR_EL2",
        "ELR_EL2",
        "ESR_EL2",
        "FAR_EL2",
        "HPFAR_EL2",
        "PAR_EL1",
    ]
    .map(|name| format!(" {:#x}", mark(name)));
    assert_eq!(message, format!("panic:{}", expected.concat()));
}
