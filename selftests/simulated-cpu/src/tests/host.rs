// SPDX-License-Identifier: GPL-2.0
//! A CPU with a kernel on it, and vCPUs that take turns.

use super::machine::{fill_context, mark, Cpus, Vcpu};
use super::per_cpu::PerCpu;
use crate::arm64::registers::{
    CNTHCTL_EL2, HCR_EL2, MIDR_EL1, TPIDR_EL1, TPIDR_EL2, VPIDR_EL2, ZCR_EL2,
};
use crate::{bindings, kvm_cpu_context, kvm_host_data, kvm_vcpu, Cpu, Mode};
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
    data: [PerCpu; 2],
    /// Where pKVM's EL2 keeps the host's SVE registers.
    pub(super) sve_regs: Vec<u8>,
    pub(super) vcpus: Vec<Vcpu>,
}

/// Where the hypervisor's vectors for a guest are.
pub(super) const HYP_VECTOR: usize = 0xffff_8000_0001_0800;

/// Where the kernel's vectors are, on this CPU.
pub(super) const THIS_CPU_VECTOR: usize = 0xffff_8000_0002_0000;

/// What is in `HCR_EL2` while the host runs.
pub(super) fn host_hcr(mode: Mode) -> HCR_EL2 {
    let hcr = HCR_EL2::from(0).with_rw(true);
    match mode {
        Mode::Vhe => hcr
            .with_tge(true)
            .with_e2h(true)
            .with_amo(true)
            .with_imo(true)
            .with_fmo(true),
        Mode::Nvhe => hcr.with_api(true).with_apk(true),
        Mode::Hvhe => hcr.with_api(true).with_apk(true).with_e2h(true),
    }
}

/// The value of `ZCR_EL2` for the host's longest vector.
pub(super) fn host_zcr() -> u64 {
    // SAFETY: Nobody writes it.
    u64::from(unsafe { bindings::kvm_host_sve_max_vl } / 16 - 1)
}

impl Host {
    /// One that has run no vCPU yet.
    pub(super) fn new(cpus: Cpus, vcpus: Vec<Vcpu>) -> Self {
        let mut sve_regs = vec![0; crate::FpRegisters::sve_size(256)];
        let data = ["the kernel's", "stale"].map(|name| {
            let mut image = PerCpu::new();
            let data = image.of(&raw mut bindings::kvm_host_data);
            fill_context(&mut data.host_ctxt, name);
            data.host_debug_state.mdcr_el2 = mark(name, "mdcr_el2");
            data.sve_regs = sve_regs.as_mut_ptr().cast();
            *image.of(&raw mut bindings::kvm_hyp_vector) = HYP_VECTOR;
            *image.of(&raw mut bindings::this_cpu_vector) =
                std::ptr::without_provenance(THIS_CPU_VECTOR);
            let hcr: u64 = host_hcr(cpus.mode).into();
            image.of(&raw mut bindings::kvm_init_params).hcr_el2 = hcr as usize;
            image
        });
        let mut cpu = cpus.cpu();
        cpu.set(host_hcr(cpus.mode));
        if cpus.have.sve {
            cpu.set(ZCR_EL2::from(host_zcr()));
        }
        // As when a CPU has come up: el2_setup.h.
        let midr: u64 = cpu.get::<MIDR_EL1>().into();
        cpu.set(VPIDR_EL2::from(midr));
        cpu.set(CNTHCTL_EL2::from(
            0b11 << if cpus.mode == Mode::Nvhe { 0 } else { 10 },
        ));
        let mut host = Self {
            cpus,
            cpu: Some(cpu),
            data,
            sve_regs,
            vcpus,
        };
        host.set_this_cpu_offsets();
        crate::fp_core::reset();
        host
    }

    /// What an image keeps for this CPU.
    pub(super) fn data(&mut self, image: Image) -> &mut kvm_host_data {
        self.image(image).of(&raw mut bindings::kvm_host_data)
    }

    /// The per-CPU variables of an image.
    pub(super) fn image(&mut self, image: Image) -> &mut PerCpu {
        let kernel = image == Image::Kernel && self.cpus.mode != Mode::Vhe;
        &mut self.data[usize::from(!kernel)]
    }

    /// The host's context on this CPU that an image has.
    pub(super) fn context(&mut self, image: Image) -> &mut kvm_cpu_context {
        &mut self.data(image).host_ctxt
    }

    /// Puts the distances to what is this CPU's where images look for them.
    pub(super) fn set_this_cpu_offsets(&mut self) {
        let [kernel, hyp] = [Image::Kernel, Image::Hyp].map(|image| self.image(image).distance());
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
        let context = NonNull::from(self.context(image));
        self.run_unnoted(vcpu, |vcpu| {
            // SAFETY: It is there, and used by nobody else meanwhile.
            unsafe { (*context.as_ptr()).__hyp_running_vcpu = vcpu.as_ptr() };
            code(vcpu, context)
        })
    }

    /// Runs code on the CPU for a vCPU, which is noted nowhere.
    pub(super) fn run_unnoted<R>(
        &mut self,
        vcpu: usize,
        code: impl FnOnce(NonNull<kvm_vcpu>) -> R,
    ) -> R {
        let cpu = self.cpu.take().expect("a CPU");
        let vcpu = &mut self.vcpus[vcpu];
        vcpu.link();
        let vcpu = NonNull::from(&mut *vcpu.vcpu);
        let (cpu, result) = cpu.run(|| code(vcpu));
        self.cpu = Some(cpu);
        result
    }
}
