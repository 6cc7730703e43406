// SPDX-License-Identifier: GPL-2.0
//! Whole world switches: from `vcpu_load()` to `vcpu_put()`, with guests that
//! are played by closures.

mod c;
mod cptr;
mod exits;
mod faults;
mod fp;
mod fp_hooks;
mod fp_state;
mod hyp_fp;
mod mops;
mod mpam;
mod nested_fp;
mod nested_hcr;
mod order;
pub(super) mod runs;
mod serror;
mod speculative_at;
mod symbols;
mod synchronised;
mod sysregs;
mod timer;
mod traps;
mod unexpected;
mod vgic;

use super::functions::{NVHE_LOAD, NVHE_PUT};
use super::host::{Host, Image};
use super::machine::{self, Cpus, DebugOwner, Features, Level, Vcpu};
use super::names;
use super::pkvm::NR_LR;
use crate::{bindings, nvhe, vhe, with_guest, Access, Cpu, Guest, Mode};

/// Exit codes of `__guest_enter()`.
pub(super) const IRQ: u64 = 0;
pub(super) const TRAP: u64 = 2;
pub(super) const SERROR_PENDING: u64 = 1 << 31;

/// Exception classes.
pub(super) const FP_ASIMD: u64 = 0x07;
const HVC64: u64 = 0x16;
const SYS64: u64 = 0x18;
pub(super) const SVE: u64 = 0x19;

/// Leaves the guest by an exception of a class, with a 32-bit instruction.
pub(super) fn trap(cpu: &mut Cpu, class: u64, iss: u64) -> u64 {
    names::set(cpu, "ESR_EL2", (class << 26) | (1 << 25) | iss);
    TRAP
}

/// A guest that traps by an exception of a class, and is left for an interrupt
/// whenever it goes on.
fn traps_once(class: u64) -> impl FnMut(&mut Cpu, &mut crate::kvm_vcpu) -> u64 {
    let mut has_trapped = false;
    move |cpu, _| match std::mem::replace(&mut has_trapped, true) {
        false => trap(cpu, class, 0),
        true => IRQ,
    }
}

/// How often a register was written by a name.
fn writes(cpu: &Cpu, by: &str) -> usize {
    let is_write = |access: &&Access| matches!(access, Access::Write { name, .. } if *name == by);
    cpu.trace().iter().filter(is_write).count()
}

/// What comes right after the last write to a register by a name.
fn behind_last_write<'a>(cpu: &'a Cpu, by: &str) -> Option<&'a Access> {
    let is_write = |access: &Access| matches!(access, Access::Write { name, .. } if *name == by);
    let trace = cpu.trace();
    trace.get(trace.iter().rposition(is_write)? + 1)
}

/// The ISS of a trapped system register access.
fn access(encoding: [u64; 5], rt: u64, is_read: bool) -> u64 {
    let [op0, op1, crn, crm, op2] = encoding;
    (op0 << 20)
        | (op2 << 17)
        | (op1 << 14)
        | (crn << 10)
        | (rt << 5)
        | (crm << 1)
        | u64::from(is_read)
}

/// CPUs that have everything, in a mode.
pub(super) fn all_features(mode: Mode, pkvm: bool) -> Cpus {
    Cpus {
        mode,
        have: Features::from_bits(!0),
        nv2p1: false,
        mpam: true,
        speculative_at: false,
        pkvm,
    }
}

/// A guest at EL1 with features, and no virtual EL2.
pub(super) fn plain(has: Features) -> machine::Guest {
    machine::Guest {
        has: Features { nv: false, ..has },
        level: Level::El1,
        pstate: 0x3c5,
        aarch32: false,
        debug_owner: DebugOwner::Free,
        writable_imp_id_regs: false,
        is_protected: false,
    }
}

/// A host with a guest at a level, on CPUs that have everything.
fn nested(level: Level) -> Host {
    let has = Features {
        nv: level != Level::El1,
        ..Features::from_bits(!0)
    };
    let guest = machine::Guest {
        has,
        level,
        ..plain(has)
    };
    Host::with_guests(all_features(Mode::Vhe, false), &[guest])
}

/// A guest in AArch32 state.
fn aarch32(has: Features) -> machine::Guest {
    machine::Guest {
        aarch32: true,
        pstate: 0x1d3,
        ..plain(has)
    }
}

/// The modes that there are, each with and without pKVM where that can be.
pub(super) const MODES: [(Mode, bool); 5] = [
    (Mode::Vhe, false),
    (Mode::Nvhe, false),
    (Mode::Hvhe, false),
    (Mode::Nvhe, true),
    (Mode::Hvhe, true),
];

impl Host {
    /// A host of CPUs with vCPUs. With pKVM EL2 has one of its own for each, in
    /// the second half.
    pub(super) fn with_guests(cpus: Cpus, guests: &[machine::Guest]) -> Self {
        let mut vcpus = Vec::new();
        let keepers: &[&str] = if cpus.pkvm {
            &["host's", "EL2's"]
        } else {
            &[""]
        };
        for keeper in keepers {
            for (number, guest) in guests.iter().enumerate() {
                vcpus.push(Vcpu::new(&format!("{keeper} {number}"), &cpus, *guest));
            }
        }
        Self::new(cpus, vcpus)
    }

    /// The number of the vCPU that is run for one of the host's: pKVM's EL2 has
    /// its own.
    pub(super) fn runs(&self, vcpu: usize) -> usize {
        match self.cpus.pkvm {
            true => vcpu + self.vcpus.len() / 2,
            false => vcpu,
        }
    }

    /// `vcpu_load()`.
    pub(super) fn load(&mut self, vcpu: usize) {
        self.load_switch(vcpu);
        self.load_fp(vcpu);
    }

    /// What the world switch has to do with it.
    pub(super) fn load_switch(&mut self, vcpu: usize) {
        self.cpu().clear_trace();
        match self.cpus.mode {
            Mode::Vhe => self.run(Image::Hyp, vcpu, |vcpu, _| {
                // SAFETY: The vCPU is there, and used by nobody else; the CPU
                // has the distance to what is its own.
                unsafe {
                    let mut guest = vhe::GuestContext::of_loading(vcpu);
                    let mut data = vhe::HostData::this_cpu();
                    data.set_loaded_vcpu(Some(vcpu));
                    let mut host = vhe::HostContext::for_vcpu(data.context(), vcpu);
                    vhe::switch::load(&mut guest, &mut host, &mut data);
                }
            }),
            Mode::Nvhe | Mode::Hvhe => self.call(vcpu, NVHE_LOAD),
        }
    }

    /// `vcpu_put()`.
    pub(super) fn put(&mut self, vcpu: usize) {
        self.cpu().clear_trace();
        self.put_fp(vcpu);
        self.put_switch(vcpu);
    }

    /// What the world switch has to do with it.
    pub(super) fn put_switch(&mut self, vcpu: usize) {
        match self.cpus.mode {
            Mode::Vhe => self.run(Image::Hyp, vcpu, |vcpu, _| {
                // SAFETY: As for `load`.
                unsafe {
                    let mut guest = vhe::GuestContext::of(vcpu);
                    let mut data = vhe::HostData::this_cpu();
                    let mut host = vhe::HostContext::for_vcpu(data.context(), vcpu);
                    vhe::switch::put(&mut guest, &mut host, &data);
                    data.set_loaded_vcpu(None);
                }
            }),
            Mode::Nvhe | Mode::Hvhe => self.call(vcpu, NVHE_PUT),
        }
    }

    /// Runs a vCPU that is loaded, as the loop in `kvm_arch_vcpu_ioctl_run()` does: again, where it
    /// was only left for the kernel to save the host's FP registers. Returns the exit code.
    pub(super) fn enter(&mut self, vcpu: usize, guest: &mut Guest<'_>) -> u64 {
        self.cpu().clear_trace();
        loop {
            let (code, wants_fp) = self.enter_once(vcpu, guest);
            if !wants_fp {
                return code;
            }
            assert_eq!(code, IRQ, "the kernel has nothing to emulate");
        }
    }

    /// What the loop does once. Returns the exit code, and whether the guest was left for the
    /// kernel to save the host's FP registers.
    pub(super) fn enter_once(&mut self, vcpu: usize, guest: &mut Guest<'_>) -> (u64, bool) {
        self.ctxflush_fp(vcpu);
        let code = self.switch(vcpu, guest);
        let wants_fp = self.wants_fp_of_host(vcpu);
        self.ctxsync_fp(vcpu);
        (code, wants_fp)
    }

    /// Whether the guest was left because the FP registers are the host's.
    fn wants_fp_of_host(&mut self, vcpu: usize) -> bool {
        let uses_fp = self.vcpus[vcpu].vcpu.arch.has_used_fp;
        uses_fp && *self.owner_for_kernel() == bindings::kvm_host_data_FP_STATE_HOST_OWNED
    }

    /// What the hypervisor has to do with it.
    fn switch(&mut self, vcpu: usize, guest: &mut Guest<'_>) -> u64 {
        if self.cpus.pkvm {
            let mut code = 0;
            let hyp = self.runs(vcpu);
            self.at_pkvm(vcpu, hyp, |vcpu, data| {
                code = with_guest(guest, || nvhe::switch::run_hyp_vcpu(vcpu, data, NR_LR)).0;
            });
            return code;
        }
        let mode = self.cpus.mode;
        self.run(Image::Hyp, vcpu, |vcpu, _| {
            with_guest(guest, || {
                // SAFETY: As for `load`; its features have been worked out then.
                unsafe {
                    if mode == Mode::Vhe {
                        let mut data = vhe::HostData::this_cpu();
                        let mut host = vhe::HostContext::for_vcpu(data.context(), vcpu);
                        let mut guest = vhe::GuestContext::of(vcpu);
                        return vhe::switch::run(&mut guest, &mut host, &mut data).0;
                    }
                    let mut data = nvhe::HostData::this_cpu();
                    let mut host = data.host_context(vcpu);
                    let mut guest = nvhe::GuestContext::of(vcpu);
                    nvhe::switch::run_host_vcpu(&mut guest, &mut host, &mut data).0
                }
            })
        })
    }

    /// A vCPU's structure, as it is run.
    fn vcpu(&mut self, vcpu: usize) -> &mut crate::kvm_vcpu {
        let runs = self.runs(vcpu);
        &mut self.vcpus[runs].vcpu
    }

    /// Whether the guest owns the FP registers.
    fn guest_owns_fp(&mut self) -> bool {
        self.data(Image::Hyp).fp_owner == bindings::kvm_host_data_FP_STATE_GUEST_OWNED
    }
}
