// SPDX-License-Identifier: GPL-2.0
//! Where a guest hypervisor finds its `HCR_EL2`, and what KVM takes from there.

use super::super::host::{Host, Image};
use super::super::machine::{mark, Level};
use super::super::names;
use super::fp_state::kept;
use super::{nested, IRQ};
use crate::bindings;

/// A host with a guest at virtual EL2.
fn host(e2h: bool, nv3: bool) -> Host {
    let mut host = nested(Level::VirtualEl2 { e2h });
    if nv3 {
        host.cpu().add_capability(bindings::ARM64_HAS_NV3);
    }
    host
}

#[test]
fn nested_hcr_el2_is_in_the_cpu_with_nv3_and_otherwise_in_the_page() {
    for (e2h, nv3) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut host = host(e2h, nv3);
        let in_cpu = nv3 && e2h;
        let set = mark("guest", "HCR_EL2");
        *host.vcpus[0].kept("HCR_EL2") = set;
        let set = host.vcpus[0].sanitised("HCR_EL2", set);
        let in_page = host.vcpus[0].sanitised("NVHCR_EL2", set);
        host.load(0);
        let later = mark("later", "HCR_EL2");
        let context = format!("{e2h} {nv3}");
        host.enter(0, &mut |cpu, vcpu| {
            names::set(cpu, "SPSR_EL2", 0x3c5);
            if in_cpu {
                assert_eq!(names::get(cpu, "NVHCR_EL2"), set, "{context}");
                names::set(cpu, "NVHCR_EL2", later);
            } else {
                assert_eq!(*kept(vcpu, "NVHCR_EL2"), in_page, "{context}");
                *kept(vcpu, "NVHCR_EL2") = later;
                // Whose it is there, is not the guest's.
                names::set(cpu, "NVHCR_EL2", !later);
            }
            IRQ
        });
        let taken = match in_cpu {
            true => later,
            false => host.vcpus[0].sanitised("NVHCR_EL2", later),
        };
        let expected = host.vcpus[0].sanitised("HCR_EL2", taken);
        assert_eq!(*host.vcpus[0].kept("HCR_EL2"), expected, "{context}");
    }
}

#[test]
fn nested_vncr_page_of_l2_cannot_be_mapped_for_virtual_el2() {
    let mut host = host(true, false);
    host.load(0);
    host.data(Image::Hyp).flags |= 1 << bindings::KVM_HOST_DATA_FLAG_L1_VNCR_MAPPED;
    let message = super::super::panic_of(|| {
        host.enter(0, &mut |_, _| IRQ);
    });
    assert_eq!(message, "BUG()");
}
