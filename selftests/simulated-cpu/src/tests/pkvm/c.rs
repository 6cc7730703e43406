// SPDX-License-Identifier: GPL-2.0
//! What the C does, from `arch/arm64/kvm/hyp/nvhe/hyp-main.c` and
//! `hyp/include/nvhe/pkvm.h` of Linux 7.3, written without a look at the Rust.

use super::super::host::host_zcr;
use super::super::machine::{place, Vcpu};
use super::super::names;
use crate::{kvm_host_data, kvm_vcpu, Cpu};

/// `HCR_EL2_TWI | HCR_EL2_TWE | HCR_EL2_VSE`.
pub(super) const HCR_OF_HOST_PROTECTED: u64 = (1 << 13) | (1 << 14) | (1 << 8);
/// That, and `HCR_EL2_VI | HCR_EL2_VF | HCR_EL2_TVM | HCR_EL2_TID2 |
/// HCR_EL2_TID4 | HCR_EL2_TID5 | HCR_EL2_TTLBOS`.
pub(super) const HCR_OF_HOST: u64 = HCR_OF_HOST_PROTECTED
    | (1 << 7)
    | (1 << 6)
    | (1 << 26)
    | (1 << 17)
    | (1 << 49)
    | (1 << 58)
    | (1 << 55);
/// `PKVM_HOST_STATE_DIRTY`.
const DIRTY: u8 = 1 << 4;
/// `FP_STATE_HOST_OWNED`.
pub(super) const FP_STATE_HOST_OWNED: u32 = 1;
/// `FP_STATE_GUEST_OWNED`.
pub(super) const FP_STATE_GUEST_OWNED: u32 = 2;
/// `ICC_SRE_EL1_DIB | ICC_SRE_EL1_DFB | ICC_SRE_EL1_SRE`.
pub(super) const SRE: u32 = 7;

/// The timer's registers, which `__copy_vcpu_state()` leaves alone.
pub(super) const TIMER: [&str; 5] = [
    "CNTVOFF_EL2",
    "CNTV_CVAL_EL0",
    "CNTV_CTL_EL0",
    "CNTP_CVAL_EL0",
    "CNTP_CTL_EL0",
];

/// `__copy_vcpu_state()`
fn copy_vcpu_state(from: &kvm_vcpu, to: &mut kvm_vcpu) {
    let (from, to) = (&from.arch.ctxt, &mut to.arch.ctxt);
    to.regs = from.regs.clone();
    to.spsr_abt = from.spsr_abt;
    to.spsr_und = from.spsr_und;
    to.spsr_irq = from.spsr_irq;
    to.spsr_fiq = from.spsr_fiq;
    to.fp_regs = from.fp_regs.clone();
    let timer = TIMER.map(place);
    for i in (1..from.sys_regs.len()).filter(|i| !timer.contains(i)) {
        to.sys_regs[i] = from.sys_regs[i];
    }
}

/// `sync_hyp_vcpu_state()`
pub(super) fn sync_hyp_vcpu_state(hyp: &kvm_vcpu, host: &mut kvm_vcpu) {
    copy_vcpu_state(hyp, host);
}

/// `flush_hyp_vcpu()`, with `hyp_gicv3_nr_lr`.
pub(super) fn flush_hyp_vcpu(
    hyp: &mut kvm_vcpu,
    host: &kvm_vcpu,
    is_protected: bool,
    fp_owner: &mut u32,
    nr_lr: u32,
) {
    // fpsimd_sve_flush()
    *fp_owner = FP_STATE_HOST_OWNED;
    // flush_debug_state()
    hyp.arch.debug_owner = host.arch.debug_owner;
    match hyp.arch.debug_owner {
        2 => hyp.arch.vcpu_debug_state = host.arch.vcpu_debug_state.clone(),
        1 => {
            hyp.arch.external_debug_state = host.arch.external_debug_state.clone();
            hyp.arch.external_mdscr_el1 = host.arch.external_mdscr_el1;
        }
        _ => (),
    }

    let mut host_hcr_mask = HCR_OF_HOST_PROTECTED;
    if !is_protected {
        if host.arch.iflags & DIRTY != 0 {
            copy_vcpu_state(host, hyp);
        }
        host_hcr_mask = HCR_OF_HOST;
    } else {
        hyp.arch.ctxt = host.arch.ctxt.clone();
    }
    hyp.arch.ctxt.__hyp_running_vcpu = std::ptr::null_mut();

    hyp.arch.mdcr_el2 = host.arch.mdcr_el2;
    hyp.arch.hcr_el2 &= !host_hcr_mask;
    hyp.arch.hcr_el2 |= host.arch.hcr_el2 & host_hcr_mask;
    hyp.arch.iflags = host.arch.iflags;
    hyp.arch.vsesr_el2 = host.arch.vsesr_el2;

    // flush_hyp_vgic_state()
    let host_cpu_if = &host.arch.vgic_cpu.__bindgen_anon_1.vgic_v3;
    let hyp_cpu_if = &mut hyp.arch.vgic_cpu.__bindgen_anon_1.vgic_v3;
    let used_lrs = host_cpu_if.used_lrs.min(nr_lr);
    hyp_cpu_if.vgic_hcr = host_cpu_if.vgic_hcr;
    hyp_cpu_if.vgic_sre = SRE;
    hyp_cpu_if.used_lrs = used_lrs;
    for i in 0..used_lrs as usize {
        hyp_cpu_if.vgic_lr[i] = host_cpu_if.vgic_lr[i];
    }

    hyp.arch.pid = host.arch.pid;
}

/// `fpsimd_sve_sync()`, with what it leaves behind. `sve_regs` is where the
/// host's SVE registers are kept.
pub(super) fn fpsimd_sve_sync(
    cpu: &mut Cpu,
    hyp: &mut Vcpu,
    data: &mut kvm_host_data,
    sve_regs: &[u8],
    system_supports_sve: bool,
) {
    if data.fp_owner != FP_STATE_GUEST_OWNED {
        return;
    }
    let has = hyp.features;
    let host = &mut data.host_ctxt;
    let guest = &mut hyp.vcpu.arch.ctxt;
    let host_vl = (host_zcr() as usize + 1) * 16;

    guest.fp_regs.fpsr = names::get(cpu, "FPSR") as u32;
    guest.fp_regs.fpcr = names::get(cpu, "FPCR") as u32;
    if has.sve {
        // __hyp_sve_save_guest()
        guest.sys_regs[place("ZCR_EL1")] = names::get(cpu, "ZCR_EL1");
        hyp.sve_state = cpu.fp().sve(hyp.vcpu.arch.sve_max_vl as usize);
    } else {
        guest.fp_regs.set_v(&cpu.fp().v());
    }
    if has.fpmr {
        guest.sys_regs[place("FPMR")] = names::get(cpu, "FPMR");
    }

    if system_supports_sve {
        // __hyp_sve_restore_host()
        names::set(cpu, "ZCR_EL2", host_zcr());
        cpu.fp_mut()
            .set_sve(&sve_regs[..crate::FpRegisters::sve_size(host_vl)], host_vl);
        names::set(cpu, "ZCR_EL1", host.sys_regs[place("ZCR_EL1")]);
    } else {
        cpu.fp_mut().set_v(&host.fp_regs.v(), 16);
    }
    names::set(cpu, "FPSR", host.fp_regs.fpsr.into());
    names::set(cpu, "FPCR", host.fp_regs.fpcr.into());
    if has.fpmr {
        names::set(cpu, "FPMR", host.sys_regs[place("FPMR")]);
    }
    data.fp_owner = FP_STATE_HOST_OWNED;
}

/// `sync_hyp_vcpu()`, after `fpsimd_sve_sync()`.
pub(super) fn sync_hyp_vcpu(hyp: &mut kvm_vcpu, host: &mut kvm_vcpu, is_protected: bool) {
    // sync_debug_state()
    match hyp.arch.debug_owner {
        2 => host.arch.vcpu_debug_state = hyp.arch.vcpu_debug_state.clone(),
        1 => host.arch.external_debug_state = hyp.arch.external_debug_state.clone(),
        _ => (),
    }

    if is_protected {
        host.arch.ctxt = hyp.arch.ctxt.clone();
    } else {
        host.arch.ctxt.regs.pc = hyp.arch.ctxt.regs.pc;
        host.arch.ctxt.regs.pstate = hyp.arch.ctxt.regs.pstate;
    }
    host.arch.fault = hyp.arch.fault.clone();
    host.arch.iflags = hyp.arch.iflags;

    // sync_hyp_vgic_state()
    let host_cpu_if = &mut host.arch.vgic_cpu.__bindgen_anon_1.vgic_v3;
    let hyp_cpu_if = &hyp.arch.vgic_cpu.__bindgen_anon_1.vgic_v3;
    host_cpu_if.vgic_hcr = hyp_cpu_if.vgic_hcr;
    host_cpu_if.vgic_vmcr = hyp_cpu_if.vgic_vmcr;
    for i in 0..hyp_cpu_if.used_lrs as usize {
        host_cpu_if.vgic_lr[i] = hyp_cpu_if.vgic_lr[i];
    }
}
