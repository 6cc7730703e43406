// SPDX-License-Identifier: GPL-2.0

//! A host that lies to EL2, for tests that pKVM must pass.
//!
//! Compiled in only under `CONFIG_KVM_ARM64_RUST_FAULTS`. Under pKVM the host's copy of a vCPU's
//! state is in memory that the host can write to at any time. A lie that is switched on, by writing
//! its name to `kvm_arm64_rust/lie` in debugfs, is told at each entry to a guest, right before EL2
//! is called, and taken back right after. EL2 must mask, bound or refuse what it is told.
//!
//! `kvm_arm64_rust/lies_told` says how often a lie was told, and how often something came back that
//! shows that EL2 believed it.

#![forbid(unsafe_code)]

use crate::{
    hyp::pstate::MODE,
    selector::{
        selectable,
        Selector,
        SelectorFile, //
    },
    view::{
        host_copy,
        HostCopy,
        Vcpu, //
    }, //
};
use kernel::{
    bindings,
    debugfs::{
        Dir,
        File,
        Reader,
        Writer, //
    },
    fmt,
    interrupt::LocalInterruptDisabled,
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
    uaccess::UserSliceReader, //
};

selectable! {
    /// What the host lies about.
    enum Lie {
        /// More list registers in use than there are, by far.
        UsedLrsHuge = "used_lrs_huge",
        /// All list registers in use, those included that the CPU does not have, with all bits set.
        ListRegistersOnes = "list_registers_ones",
        /// An owner of the debug registers that does not exist.
        DebugOwnerUnknown = "debug_owner_unknown",
        /// Every control of the guest on.
        HcrOnes = "hcr_el2_ones",
        /// Every control of the guest off, stage 2 and all traps with them.
        HcrZero = "hcr_el2_zero",
        /// Every debug and PMU control of the guest on.
        MdcrOnes = "mdcr_el2_ones",
        /// A synchronous exception to EL2 to be injected.
        IflagsEl2Sync = "iflags_el2_sync",
        /// An interrupt to EL2 to be injected.
        IflagsEl2Irq = "iflags_el2_irq",
        /// An SError to EL2 to be injected.
        IflagsEl2Serror = "iflags_el2_serror",
        /// The guest is at EL2, on its own stack pointer.
        PstateEl2h = "pstate_el2h",
        /// The guest is at EL2, on SP_EL0.
        PstateEl2t = "pstate_el2t",
        /// The guest is at EL3.
        PstateEl3h = "pstate_el3h",
        /// The guest is in AArch32 Hyp mode.
        PstateAarch32Hyp = "pstate_aarch32_hyp",
        /// The guest is in AArch32 Monitor mode.
        PstateAarch32Monitor = "pstate_aarch32_monitor",
        /// Vectors longer than any, long after EL2 took the length.
        SveMaxVlHuge = "sve_max_vl_huge",
        /// Vectors of no length, long after EL2 took the length.
        SveMaxVlZero = "sve_max_vl_zero",
        /// SVE registers kept elsewhere, long after EL2 pinned the memory for them.
        SveStateElsewhere = "sve_state_elsewhere",
        /// All system registers of the guest with all bits set.
        SystemRegistersOnes = "system_registers_ones",
        /// The guest's vCPU is another one.
        MpidrOfAnother = "mpidr_of_another",
        /// A page of registers of a nested guest, where there is nothing.
        VncrArrayElsewhere = "vncr_array_elsewhere",
        /// A running vCPU noted in a guest's context, which makes it look like a host's.
        RunningVcpuElsewhere = "running_vcpu_elsewhere",
        /// A virtual SError pending with any syndrome, and a thread that does not exist.
        VsesrAndPidOnes = "vsesr_and_pid_ones",
        /// What EL2 reads changes all the time, by the hand of another CPU.
        OtherCpuWrites = "other_cpu_writes",
        /// Vectors of no length, before EL2 takes the length.
        SetUpWithVlZero = "set_up_with_vl_zero",
        /// Vectors whose length is no multiple of 16, before EL2 takes the length.
        SetUpWithVlOdd = "set_up_with_vl_odd",
        /// SVE registers kept nowhere, before EL2 pins the memory for them.
        SetUpWithoutSveState = "set_up_without_sve_state",
        /// SVE registers kept in memory that is not shared, before EL2 pins the memory for them.
        SetUpWithSveStateElsewhere = "set_up_with_sve_state_elsewhere",
    }
}

static ACTIVE: Selector<Lie> = Selector::new();

static TOLD: Atomic<usize> = Atomic::new(0);
static BELIEVED: Atomic<usize> = Atomic::new(0);
static ENTRIES: Atomic<usize> = Atomic::new(0);

/// An address at which nobody has anything: in user memory, and not aligned.
const NOWHERE: usize = 0x0dea_dbee_f001;

/// Bits of `iflags` that ask for an exception, `PENDING_EXCEPTION` and `EXCEPT_MASK`.
const PENDING_EXCEPTION: u8 = 1 << 0;
const EXCEPT_SHIFT: u32 = 1;
const EXCEPT_MASK: u8 = 7 << EXCEPT_SHIFT;

/// Values of `EXCEPT_MASK`.
const EXCEPT_AA64_EL2_SYNC: u8 = 4;
const EXCEPT_AA64_EL2_IRQ: u8 = 5;
const EXCEPT_AA64_EL2_SERR: u8 = 7;

/// Monitor mode, for which the kernel has no name.
const AARCH32_MONITOR: u32 = 0x16;

/// A virtual SError is pending.
const HCR_VSE: u64 = 1 << 8;

/// Returns the mode of a lie about PSTATE.
fn mode(lie: Lie) -> Option<u32> {
    match lie {
        Lie::PstateEl2h => Some(bindings::PSR_MODE_EL2h),
        Lie::PstateEl2t => Some(bindings::PSR_MODE_EL2t),
        Lie::PstateEl3h => Some(bindings::PSR_MODE_EL3h),
        Lie::PstateAarch32Hyp => Some(bindings::PSR_AA32_MODE_HYP),
        Lie::PstateAarch32Monitor => Some(AARCH32_MONITOR),
        _ => None,
    }
}

/// Returns whether a lie is about registers of the guest. For a non-protected guest, these
/// are the host's only when EL2 was asked for them: at other times the host has old ones, and
/// telling those would end the guest by itself.
fn is_of_registers(lie: Lie) -> bool {
    mode(lie).is_some() || matches!(lie, Lie::SystemRegistersOnes | Lie::MpidrOfAnother)
}

fn ask_for_exception(copy: &HostCopy<'_>, exception: u8) {
    let others = copy.iflags() & !(PENDING_EXCEPTION | EXCEPT_MASK);
    copy.set_iflags(others | PENDING_EXCEPTION | exception << EXCEPT_SHIFT);
}

fn tell(lie: Lie, copy: &HostCopy<'_>, irqs: &LocalInterruptDisabled) {
    if let Some(mode) = mode(lie) {
        copy.set_pstate((copy.pstate() & !MODE) | u64::from(mode));
        return;
    }
    match lie {
        Lie::UsedLrsHuge => {
            if !copy.run_with_used_lrs(u32::MAX, irqs) {
                BELIEVED.fetch_add(1, Relaxed);
            }
        }
        // Not more than the host's own array holds, as the host looks through them after the run.
        Lie::ListRegistersOnes => {
            copy.set_used_lrs(bindings::VGIC_V3_MAX_LRS);
            copy.set_list_registers(u64::MAX);
        }
        Lie::DebugOwnerUnknown => copy.set_debug_owner(u32::MAX),
        Lie::HcrOnes => copy.set_hcr_el2(u64::MAX),
        Lie::HcrZero => copy.set_hcr_el2(0),
        Lie::MdcrOnes => copy.set_mdcr_el2(u64::MAX),
        Lie::IflagsEl2Sync => ask_for_exception(copy, EXCEPT_AA64_EL2_SYNC),
        Lie::IflagsEl2Irq => ask_for_exception(copy, EXCEPT_AA64_EL2_IRQ),
        Lie::IflagsEl2Serror => ask_for_exception(copy, EXCEPT_AA64_EL2_SERR),
        Lie::SveMaxVlHuge => copy.set_sve_max_vl(u32::MAX),
        Lie::SveMaxVlZero => copy.set_sve_max_vl(0),
        Lie::SveStateElsewhere => copy.set_sve_state(NOWHERE),
        Lie::SystemRegistersOnes => copy.set_all_registers(u64::MAX),
        Lie::MpidrOfAnother => copy.set_mpidr(1 << 31 | 1),
        Lie::VncrArrayElsewhere => copy.set_vncr_array(NOWHERE),
        Lie::RunningVcpuElsewhere => copy.set_running_vcpu(NOWHERE),
        Lie::VsesrAndPidOnes => {
            copy.set_hcr_el2(copy.hcr_el2() | HCR_VSE);
            copy.set_vsesr_el2(u64::MAX);
            copy.set_pid(-1);
        }
        _ => {}
    }
}

/// Returns whether a lie is about what EL2 takes when a vCPU is set up.
fn is_of_set_up(lie: Lie) -> bool {
    matches!(
        lie,
        Lie::SetUpWithVlZero
            | Lie::SetUpWithVlOdd
            | Lie::SetUpWithoutSveState
            | Lie::SetUpWithSveStateElsewhere
    )
}

/// Lies about the other vCPU of the VM that `vcpu` belongs to, if the lie is one of set-up, as
/// nothing here is called before a vCPU's own set-up. Otherwise takes back such a lie.
pub(crate) fn load(vcpu: &Vcpu<'_>) {
    if !vcpu.is_kept_by_hyp() {
        return;
    }
    match ACTIVE.active() {
        Some(lie) if is_of_set_up(lie) => {
            let tell = |copy: &HostCopy<'_>| match lie {
                Lie::SetUpWithVlZero => copy.set_sve_max_vl(0),
                Lie::SetUpWithVlOdd => copy.set_sve_max_vl(17),
                Lie::SetUpWithoutSveState => copy.set_sve_state(0),
                _ => copy.set_sve_state(NOWHERE),
            };
            if vcpu.tamper_with_other(tell) {
                TOLD.fetch_add(1, Relaxed);
            }
        }
        _ => vcpu.put_back_other(),
    }
}

/// Tells the lie that is on; to be called right before EL2 is asked to run `vcpu`.
pub(crate) fn ctxflush(vcpu: &Vcpu<'_>, irqs: &LocalInterruptDisabled) {
    let Some(lie) = ACTIVE.active() else {
        return;
    };
    if !vcpu.is_kept_by_hyp()
        || is_of_set_up(lie)
        || (is_of_registers(lie) && !vcpu.gives_registers_to_hyp())
    {
        return;
    }
    // The interrupt that goes with this lie is taken after the run proper, which the guest needs.
    if lie == Lie::UsedLrsHuge && ENTRIES.fetch_add(1, Relaxed) % 2 == 0 {
        return;
    }
    if vcpu.tamper(irqs, |copy| tell(lie, copy, irqs)) {
        TOLD.fetch_add(1, Relaxed);
    }
}

/// Takes the lie back; to be called after EL2 ran `vcpu`.
pub(crate) fn ctxsync(vcpu: &Vcpu<'_>, irqs: &LocalInterruptDisabled) {
    let lie = ACTIVE.active();
    vcpu.put_back(irqs, |copy| {
        let mode = copy.pstate() & MODE;
        let at_el2 = [bindings::PSR_MODE_EL2h, bindings::PSR_MODE_EL2t].map(u64::from);
        // Such a guest runs at EL1, so that is what must come back.
        if matches!(lie, Some(Lie::PstateEl2h | Lie::PstateEl2t)) && at_el2.contains(&mode) {
            BELIEVED.fetch_add(1, Relaxed);
        }
    });
}

/// Values that the other CPU writes in turn.
const OWNERS: [u32; 4] = [
    bindings::kvm_vcpu_arch_VCPU_DEBUG_FREE,
    u32::MAX,
    bindings::kvm_vcpu_arch_VCPU_DEBUG_GUEST_OWNED,
    bindings::kvm_vcpu_arch_VCPU_DEBUG_HOST_OWNED,
];

/// How often the other CPU writes before its thread gets a chance to end.
const WRITES: usize = 20_000;

/// The contents of `kvm_arm64_rust/write_now`.
struct OtherCpu;

impl Reader for OtherCpu {
    /// Changes the copy of the vCPU that is lied about, if that is [`Lie::OtherCpuWrites`], while
    /// another CPU enters and leaves the guest.
    fn read_from_slice(&self, _: &mut UserSliceReader) -> Result {
        for turn in 0..WRITES {
            if ACTIVE.active() != Some(Lie::OtherCpuWrites) {
                break;
            }
            let all = if turn % 2 == 0 { 0 } else { u64::MAX };
            host_copy::with_tampered(|copy| {
                for owner in OWNERS {
                    copy.set_debug_owner(owner);
                }
                copy.set_hcr_el2(all);
                copy.set_mdcr_el2(all);
                copy.set_vsesr_el2(all);
                copy.set_sve_max_vl(all as u32);
                copy.set_sve_state(all as usize);
            });
        }
        Ok(())
    }
}

/// The contents of `kvm_arm64_rust/lies_told`.
struct Told;

impl Writer for Told {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (told, believed) = (TOLD.load(Relaxed), BELIEVED.load(Relaxed));
        writeln!(f, "{{\"told\": {told}, \"believed\": {believed}}}")
    }
}

/// The files in debugfs.
#[pin_data]
pub(crate) struct Control {
    #[pin]
    lie: File<SelectorFile<Lie>>,
    #[pin]
    told: File<Told>,
    #[pin]
    write_now: File<OtherCpu>,
}

impl Control {
    /// Makes the files in `dir`.
    pub(crate) fn new(dir: &Dir) -> impl PinInit<Self, Error> + '_ {
        host_copy::set_up();
        try_pin_init!(Self {
            lie <- dir.read_write_file(c"lie", SelectorFile(&ACTIVE)),
            told <- dir.read_only_file(c"lies_told", Told),
            write_now <- dir.write_only_file(c"write_now", OtherCpu),
        })
    }
}
