// SPDX-License-Identifier: GPL-2.0
//! A CPU with a kernel on it, and vCPUs that take turns.

use super::machine::{fill_context, Cpus, Vcpu};
use crate::arm64::registers::{TPIDR_EL1, TPIDR_EL2};
use crate::{kvm_cpu_context, kvm_host_data, kvm_vcpu, Cpu, Mode};
use std::ptr::NonNull;

/// Whose code and per-CPU variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Image {
    /// The kernel's.
    Kernel,
    /// The hypervisor's. Under VHE it is in the kernel's image.
    Hyp,
}

/// A CPU that runs the host, what is kept for that CPU, and vCPUs.
pub(super) struct Host {
    pub(super) cpus: Cpus,
    cpu: Option<Cpu>,
    /// The kernel's, and the hypervisor's if that is not the kernel.
    data: [Box<kvm_host_data>; 2],
    pub(super) vcpus: Vec<Vcpu>,
}

impl Host {
    /// One that has run no vCPU yet.
    pub(super) fn new(cpus: Cpus, vcpus: Vec<Vcpu>) -> Self {
        let data = ["the kernel's", "stale"].map(|name| {
            let mut data = Box::<kvm_host_data>::default();
            fill_context(&mut data.host_ctxt, name);
            data
        });
        let mut host = Self {
            cpus,
            cpu: Some(cpus.cpu()),
            data,
            vcpus,
        };
        host.set_this_cpu_offsets();
        host
    }

    /// What an image keeps for this CPU.
    pub(super) fn data(&mut self, image: Image) -> &mut kvm_host_data {
        let kernel = image == Image::Kernel && self.cpus.mode != Mode::Vhe;
        &mut self.data[usize::from(!kernel)]
    }

    /// The host's context on this CPU that an image has.
    pub(super) fn context(&mut self, image: Image) -> &mut kvm_cpu_context {
        &mut self.data(image).host_ctxt
    }

    /// Puts the distances to what is this CPU's where images look for them.
    pub(super) fn set_this_cpu_offsets(&mut self) {
        let [kernel, hyp] = [Image::Kernel, Image::Hyp].map(|image| {
            let data = (&raw mut *self.data(image)).expose_provenance();
            data.wrapping_sub((&raw mut bindings::kvm_host_data).expose_provenance())
        });
        self.cpu().set(TPIDR_EL2::from(hyp as u64));
        if self.cpus.mode != Mode::Vhe {
            self.cpu().set(TPIDR_EL1::from(kernel as u64));
        }
    }

    /// The CPU.
    pub(super) fn cpu(&mut self) -> &mut Cpu {
        self.cpu.as_mut().expect("a CPU")
    }

    /// Runs code of an image on the CPU, with a vCPU noted in the host's
    /// context, as the world switch does.
    pub(super) fn run<R>(
        &mut self,
        image: Image,
        vcpu: usize,
        code: impl FnOnce(NonNull<kvm_vcpu>, NonNull<kvm_cpu_context>) -> R,
    ) -> R {
        let cpu = self.cpu.take().expect("a CPU");
        let vcpu = &mut self.vcpus[vcpu];
        vcpu.link();
        let vcpu = NonNull::from(&mut *vcpu.vcpu);
        let context = self.context(image);
        context.__hyp_running_vcpu = vcpu.as_ptr();
        let context = NonNull::from(context);
        let (cpu, result) = cpu.run(|| code(vcpu, context));
        self.cpu = Some(cpu);
        result
    }
}
