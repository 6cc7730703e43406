// SPDX-License-Identifier: GPL-2.0
//! All that is in a CPU of an FP state.

use super::super::host::{host_zcr, Host};
use super::super::machine::{mark, place, VNCR_START};
use super::super::names;
use crate::arm64::registers::{FPCR, FPMR, FPSR};
use crate::{fp_core, Cpu, FpRegisters, Mode};

/// The registers beside the register files.
const STATUS: [&str; 3] = ["FPSR", "FPCR", "FPMR"];

/// An FP state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FpState {
    registers: FpRegisters,
    status: [u64; 3],
}

impl FpState {
    /// One that is `owner`'s.
    pub(super) fn of(owner: &str) -> Self {
        Self {
            registers: FpRegisters::filled(mark(owner, "FP")),
            // Bits 63 to 32 are RES0 in two of them.
            status: STATUS.map(|name| mark(owner, name) & 0xffff_ffff),
        }
    }

    /// One that no other seed gives.
    pub(super) fn of_seed(seed: u64) -> Self {
        Self {
            registers: FpRegisters::filled(seed),
            status: [1, 2, 3].map(|n| seed.wrapping_mul(0x9e37_79b9).wrapping_add(n) & 0xffff_ffff),
        }
    }

    /// The one that is in a CPU.
    pub(super) fn in_cpu(cpu: &Cpu) -> Self {
        Self {
            registers: cpu.fp().clone(),
            status: [
                cpu.get::<FPSR>().into(),
                cpu.get::<FPCR>().into(),
                cpu.get::<FPMR>().into(),
            ],
        }
    }

    /// Puts it into a CPU, all of it.
    pub(super) fn put(&self, cpu: &mut Cpu) {
        *cpu.fp_mut() = self.registers.clone();
        let [fpsr, fpcr, fpmr] = self.status;
        cpu.set(FPSR::from(fpsr));
        cpu.set(FPCR::from(fpcr));
        cpu.set(FPMR::from(fpmr));
    }

    /// The part of it that is FP and Advanced SIMD.
    pub(super) fn v(&self) -> ([u8; 512], [u64; 2]) {
        (self.registers.v(), [self.status[0], self.status[1]])
    }

    /// The part of it that there is with a vector length.
    pub(super) fn sve(&self, length: usize) -> (Vec<u8>, [u64; 2]) {
        (self.registers.sve(length), [self.status[0], self.status[1]])
    }

    /// FPMR.
    pub(super) fn fpmr(&self) -> u64 {
        self.status[2]
    }
}

impl Host {
    /// A softirq uses the FP registers: the FP core saves what is in them, as it
    /// was told to. With SVE the vector length that it was told must be in force
    /// for the kernel then.
    pub(super) fn kernel_uses_fp(&mut self) {
        fp_core::kernel_neon_begin(self.cpu());
        FpState::of("softirq").put(self.cpu());
    }

    /// Puts an FP state and the vector lengths of the host into the CPU: those
    /// of the task that is about to run a vCPU.
    pub(super) fn give_fp_to_host(&mut self, state: &FpState) {
        if self.cpus.have.sve {
            let zcr = host_zcr();
            names::set(self.cpu(), "ZCR_EL2", zcr);
            if self.cpus.mode != Mode::Vhe {
                names::set(self.cpu(), "ZCR_EL1", zcr - 1);
            }
        }
        state.put(self.cpu());
        fp_core::task_ran(self.cpu());
    }

    /// Gives a vCPU an FP state in memory.
    pub(super) fn set_fp_in_memory(&mut self, vcpu: usize, state: &FpState) {
        let guest = &mut self.vcpus[vcpu];
        let length = guest.vcpu.arch.sve_max_vl as usize;
        guest.sve_state = state.sve(length).0;
        let (v, [fpsr, fpcr]) = state.v();
        let fp_regs = &mut guest.vcpu.arch.ctxt.fp_regs;
        fp_regs.set_v(&v);
        fp_regs.fpsr = fpsr as u32;
        fp_regs.fpcr = fpcr as u32;
        *guest.kept("FPMR") = state.fpmr();
    }
}

/// Where a register of a vCPU that runs is kept.
pub(super) fn kept<'a>(vcpu: &'a mut crate::kvm_vcpu, name: &str) -> &'a mut u64 {
    let context = &mut vcpu.arch.ctxt;
    match place(name).checked_sub(VNCR_START) {
        Some(in_page) if !context.vncr_array.is_null() => {
            // SAFETY: The page belongs to the vCPU, and has all these places.
            unsafe { &mut *context.vncr_array.add(in_page) }
        }
        _ => &mut context.sys_regs[place(name)],
    }
}
