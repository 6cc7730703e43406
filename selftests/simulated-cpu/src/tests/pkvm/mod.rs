// SPDX-License-Identifier: GPL-2.0
//! What passes between the host and EL2 around a run of a vCPU under pKVM.

mod c;
mod copied;
mod hostile;
mod read_once;
mod same_as_c;
mod used_by_c;

use super::host::{Host, Image};
use crate::arm64::world::Nvhe;
use crate::hyp::exits::ExitCode;
use crate::hyp::view::HostData;
use crate::nvhe::{fp, pkvm, HypVcpu};
use crate::pkvm_hyp_vcpu;

/// The number of list registers that the CPUs have.
pub(super) const NR_LR: u32 = 5;

impl Host {
    /// Runs code of EL2 on its vCPU `hyp`, which the host calls `vcpu`.
    pub(super) fn at_pkvm(
        &mut self,
        vcpu: usize,
        hyp: usize,
        code: impl FnOnce(&mut HypVcpu<'_>, &mut HostData<'_, Nvhe>),
    ) {
        let host_vcpu = &raw mut *self.vcpus[vcpu].vcpu;
        self.run(Image::Hyp, hyp, |mut vcpu, _| {
            // SAFETY: Nobody else uses it.
            let vcpu = unsafe { vcpu.as_mut() };
            let mut whole = Box::new(pkvm_hyp_vcpu {
                vcpu: std::mem::take(vcpu),
                host_vcpu,
            });
            // SAFETY: Both are there, and used by nobody else meanwhile. The
            // CPU has the distance to what is its own.
            unsafe {
                code(
                    &mut HypVcpu::from_raw(&raw mut *whole),
                    &mut HostData::this_cpu(),
                );
            }
            *vcpu = whole.vcpu;
        });
    }

    /// `flush_hyp_vcpu()`.
    pub(super) fn flush(&mut self, vcpu: usize, hyp: usize) {
        self.at_pkvm(vcpu, hyp, |vcpu, data| pkvm::flush(vcpu, data, NR_LR));
    }

    /// `sync_hyp_vcpu()`, after `fpsimd_sve_sync()`, for an exit with a code.
    pub(super) fn sync(&mut self, vcpu: usize, hyp: usize, code: u64) {
        self.at_pkvm(vcpu, hyp, |vcpu, data| {
            fp::sync(&mut vcpu.contexts(data).0, data);
            pkvm::sync(vcpu, ExitCode(code));
        });
    }

    /// `sync_hyp_vcpu_state()`.
    pub(super) fn sync_registers(&mut self, vcpu: usize, hyp: usize) {
        self.at_pkvm(vcpu, hyp, |vcpu, _| pkvm::sync_registers(vcpu));
    }
}
