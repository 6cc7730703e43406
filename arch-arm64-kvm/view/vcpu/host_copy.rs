// SPDX-License-Identifier: GPL-2.0

//! The host's copy of a vCPU's state, to write nonsense to, as a hostile host could.
//!
//! Under pKVM this is what EL2 reads. The host itself believes its copy, too, so what it would
//! choke on is put back before it looks: one vCPU at a time is tampered with, and what it had is
//! kept.
//!
//! Only for `hostile_host`.

use super::Vcpu;
use core::{
    marker::PhantomData,
    ptr::NonNull, //
};
use kernel::{
    bindings,
    interrupt::LocalInterruptDisabled,
    prelude::*,
    sync::atomic::{
        Atomic,
        Full, //
    }, //
};

kernel::sync::global_lock! {
    // SAFETY: `set_up()` initialises it, and nobody comes here before that has been called: it is
    // called while the kernel boots, before anything can open /dev/kvm.
    unsafe(uninit) static TAMPERED: SpinLock<Option<Tampered>> = None;
}

/// The vCPU that is tampered with.
struct Tampered {
    vcpu: NonNull<bindings::kvm_vcpu>,
    originals: Originals,
}

// SAFETY: What the pointer leads to is only used under the lock, as `HostCopy` describes.
unsafe impl Send for Tampered {}

/// Gets this module ready; must be called while the kernel boots.
pub(crate) fn set_up() {
    static DONE: Atomic<i32> = Atomic::new(0);
    if DONE.xchg(1, Full) == 0 {
        // SAFETY: Only the first call comes here.
        unsafe { TAMPERED.init() };
    }
}

/// How many list registers there can be.
const LIST_REGISTERS: usize = bindings::VGIC_V3_MAX_LRS as usize;

/// What stands in list registers that EL2 must not write to.
const UNTOUCHED: u64 = 0x5a5a_0000_0000_5a5a;

/// What the host must find as it was.
///
/// Not here are the registers of the guest, `iflags` and the vgic's. What EL2 makes of those that
/// it copies is the guest's state from then on, and so are those that it does not look at. The host
/// looks at the vgic's before anything can be put back.
#[derive(Clone, Copy)]
struct Originals {
    debug_owner: u32,
    hcr_el2: u64,
    mdcr_el2: u64,
    vsesr_el2: u64,
    pid: bindings::pid_t,
    sve_max_vl: u32,
    sve_state: usize,
    vncr_array: usize,
    running_vcpu: usize,
}

/// The host's copy of the state of a vCPU.
///
/// # Invariants
///
/// `vcpu` is alive for `'a`, and EL2 is the only one to use the fields that can be set here, until
/// they are put back.
pub(crate) struct HostCopy<'a> {
    vcpu: NonNull<bindings::kvm_vcpu>,
    _vcpu: PhantomData<&'a bindings::kvm_vcpu>,
}

/// Gives access to fields of the vCPU, whatever the value.
macro_rules! fields {
    ($($(#[$doc:meta])* $get:ident, $set:ident: $type:ty = $($field:ident).+;)*) => {
        impl HostCopy<'_> {
            $(
                $(#[$doc])*
                pub(crate) fn $get(&self) -> $type {
                    // SAFETY: A field of the vCPU, by the type invariant.
                    unsafe { (&raw const (*self.vcpu.as_ptr()).arch.$($field).+).read_volatile() }
                }

                /// Sets it.
                pub(crate) fn $set(&self, value: $type) {
                    // SAFETY: As for reading. EL2 must cope with any value, and the host sees it
                    // put back, by the type invariant.
                    unsafe {
                        (&raw mut (*self.vcpu.as_ptr()).arch.$($field).+).write_volatile(value)
                    }
                }
            )*
        }
    };
}

fields! {
    /// Returns PSTATE.
    pstate, set_pstate: u64 = ctxt.regs.pstate;
    /// Returns `HCR_EL2` for the guest.
    hcr_el2, set_hcr_el2: u64 = hcr_el2;
    /// Returns `MDCR_EL2` for the guest.
    mdcr_el2, set_mdcr_el2: u64 = mdcr_el2;
    /// Returns the syndrome of a pending virtual SError.
    vsesr_el2, set_vsesr_el2: u64 = vsesr_el2;
    /// Returns what is asked of the hypervisor for the next entry.
    iflags, set_iflags: u8 = iflags;
    /// Returns the ID of the thread that runs the vCPU.
    pid, set_pid: bindings::pid_t = pid;
    /// Returns who uses the debug registers.
    debug_owner, set_debug_owner: u32 = debug_owner;
    /// Returns how many list registers are in use.
    used_lrs, set_used_lrs: u32 = vgic_cpu.__bindgen_anon_1.vgic_v3.used_lrs;
    /// Returns the longest SVE vector, in bytes.
    sve_max_vl, set_sve_max_vl: u32 = sve_max_vl;
}

/// Gives access to pointers in the vCPU, as addresses.
macro_rules! pointers {
    ($($(#[$doc:meta])* $get:ident, $set:ident = $($field:ident).+;)*) => {
        impl HostCopy<'_> {
            $(
                $(#[$doc])*
                pub(crate) fn $get(&self) -> usize {
                    // SAFETY: A field of the vCPU, by the type invariant.
                    let pointer = unsafe {
                        (&raw const (*self.vcpu.as_ptr()).arch.$($field).+).read_volatile()
                    };
                    pointer.expose_provenance()
                }

                /// Sets it.
                pub(crate) fn $set(&self, address: usize) {
                    let pointer = core::ptr::with_exposed_provenance_mut(address);
                    // SAFETY: As for the other fields.
                    unsafe {
                        (&raw mut (*self.vcpu.as_ptr()).arch.$($field).+).write_volatile(pointer)
                    }
                }
            )*
        }
    };
}

pointers! {
    /// Returns where the SVE registers are kept.
    sve_state, set_sve_state = sve_state;
    /// Returns the page of registers of a nested guest.
    vncr_array, set_vncr_array = ctxt.vncr_array;
    /// Returns the vCPU that runs, which only the context of a host notes.
    running_vcpu, set_running_vcpu = ctxt.__hyp_running_vcpu;
}

impl HostCopy<'_> {
    /// # Safety
    ///
    /// As the type invariant says.
    unsafe fn new(vcpu: NonNull<bindings::kvm_vcpu>) -> Self {
        // INVARIANT: By the safety requirement.
        Self {
            vcpu,
            _vcpu: PhantomData,
        }
    }

    fn originals(&self) -> Originals {
        Originals {
            debug_owner: self.debug_owner(),
            hcr_el2: self.hcr_el2(),
            mdcr_el2: self.mdcr_el2(),
            vsesr_el2: self.vsesr_el2(),
            pid: self.pid(),
            sve_max_vl: self.sve_max_vl(),
            sve_state: self.sve_state(),
            vncr_array: self.vncr_array(),
            running_vcpu: self.running_vcpu(),
        }
    }

    fn put_back(&self, originals: &Originals) {
        self.set_debug_owner(originals.debug_owner);
        self.set_hcr_el2(originals.hcr_el2);
        self.set_mdcr_el2(originals.mdcr_el2);
        self.set_vsesr_el2(originals.vsesr_el2);
        self.set_pid(originals.pid);
        self.set_sve_max_vl(originals.sve_max_vl);
        self.set_sve_state(originals.sve_state);
        self.set_vncr_array(originals.vncr_array);
        self.set_running_vcpu(originals.running_vcpu);
    }

    /// Sets what EL2 takes for a virtual CPU's number.
    pub(crate) fn set_mpidr(&self, value: u64) {
        self.set_register(bindings::vcpu_sysreg_MPIDR_EL1 as usize, value);
    }

    /// Sets all system registers of the context.
    pub(crate) fn set_all_registers(&self, value: u64) {
        for place in 0..bindings::vcpu_sysreg_NR_SYS_REGS as usize {
            self.set_register(place, value);
        }
    }

    fn set_register(&self, place: usize, value: u64) {
        // SAFETY: Within the array of a vCPU that is alive by the type invariant.
        unsafe {
            let registers = &raw mut (*self.vcpu.as_ptr()).arch.ctxt.sys_regs;
            registers.cast::<u64>().add(place).write_volatile(value);
        }
    }

    /// Sets all list registers, those that the CPU does not have as well.
    pub(crate) fn set_list_registers(&self, value: u64) {
        for index in 0..LIST_REGISTERS {
            // SAFETY: As for the registers.
            unsafe { self.list_register(index).write_volatile(value) };
        }
    }

    fn list_register(&self, index: usize) -> *mut u64 {
        // SAFETY: Within the array, which has `LIST_REGISTERS` elements.
        unsafe {
            let vgic = &raw mut (*self.vcpu.as_ptr()).arch.vgic_cpu.__bindgen_anon_1.vgic_v3;
            (&raw mut (*vgic).vgic_lr).cast::<u64>().add(index)
        }
    }

    /// Has EL2 run the vCPU with `used_lrs` list registers in use and an interrupt pending on this
    /// CPU, so that the guest is left before its first instruction.
    ///
    /// The host looks at its list registers right after a run, before anything can be put back in
    /// `ctxsync`. This run comes in addition, and for the guest and for the rest of KVM it is as if
    /// an interrupt had come. Returns whether EL2 left the list registers alone that the CPU does
    /// not have, and said that it was an interrupt.
    pub(crate) fn run_with_used_lrs(&self, used_lrs: u32, _: &LocalInterruptDisabled) -> bool {
        // SAFETY: Constant since the vgic was probed.
        let present = unsafe { (&raw const bindings::kvm_vgic_global_state.nr_lr).read() };
        let absent = (present as usize)..LIST_REGISTERS;
        for index in absent.clone() {
            // SAFETY: Within the array. The host's vgic uses none that the CPU does not have.
            unsafe { self.list_register(index).write_volatile(UNTOUCHED) };
        }
        let in_use = self.used_lrs();
        self.set_used_lrs(used_lrs);
        // SAFETY: Interrupts are off, so that it is pending on this CPU until after the run, and
        // the vCPU is loaded on this CPU and ready to be run, as this is called right
        // before it is.
        let exit = unsafe {
            bindings::arch_smp_send_reschedule(bindings::raw_smp_processor_id() as i32);
            bindings::kvm_run_vcpu_at_el2(self.vcpu.as_ptr())
        };
        self.set_used_lrs(in_use);
        // EL2 has the guest's registers now, changed or not.
        self.set_iflags(self.iflags() & !bindings::PKVM_HOST_STATE_DIRTY);
        let mut left_alone = true;
        for index in absent {
            // SAFETY: As above.
            left_alone &= unsafe { self.list_register(index).read_volatile() } == UNTOUCHED;
        }
        left_alone && exit == bindings::ARM_EXCEPTION_IRQ as i32
    }
}

impl Vcpu<'_> {
    /// Returns whether EL2 keeps a state of its own of the vCPU, as it does under pKVM.
    pub(crate) fn is_kept_by_hyp(&self) -> bool {
        // SAFETY: The VM lives at least as long as the vCPU, and is known to EL2 before it runs.
        unsafe { (*(*self.ptr.as_ptr()).kvm).arch.pkvm.handle != 0 }
    }

    /// Returns whether pKVM protects the guest from the host.
    pub(crate) fn is_protected(&self) -> bool {
        // SAFETY: The VM lives at least as long as the vCPU, and the field is set when it is made.
        unsafe { (*(*self.ptr.as_ptr()).kvm).arch.pkvm.is_protected }
    }

    /// Returns whether EL2 takes the guest's registers from the host at the next entry.
    pub(crate) fn gives_registers_to_hyp(&self) -> bool {
        // SAFETY: A field of the vCPU.
        let iflags = unsafe { (&raw const (*self.arch()).iflags).read_volatile() };
        self.is_protected() || iflags & bindings::PKVM_HOST_STATE_DIRTY != 0
    }

    /// Keeps what the host has of the vCPU and calls `f` to change it. Does nothing, and returns
    /// false, while another vCPU is tampered with.
    ///
    /// Interrupts are off until [`Self::put_back`], so that only EL2 sees the changes.
    pub(crate) fn tamper(&self, _: &LocalInterruptDisabled, f: impl FnOnce(&HostCopy<'_>)) -> bool {
        tamper_with(self.ptr, f)
    }

    /// Puts back what the host had of the vCPU, if it was tampered with, after calling `f`.
    pub(crate) fn put_back(&self, _: &LocalInterruptDisabled, f: impl FnOnce(&HostCopy<'_>)) {
        let mut tampered = TAMPERED.lock();
        if let Some(own) = tampered.take_if(|t| t.vcpu == self.ptr) {
            // SAFETY: The vCPU is alive, and the lock is held.
            let copy = unsafe { HostCopy::new(self.ptr) };
            f(&copy);
            copy.put_back(&own.originals);
        }
    }

    /// Another vCPU of the VM.
    fn other(&self) -> Option<NonNull<bindings::kvm_vcpu>> {
        // SAFETY: The VM lives at least as long as the vCPU, and its vCPUs as long as the VM.
        unsafe {
            let vcpus = &raw mut (*(*self.ptr.as_ptr()).kvm).vcpu_array;
            (0..2)
                .filter_map(|index| NonNull::new(bindings::xa_load(vcpus, index).cast()))
                .find(|vcpu| *vcpu != self.ptr)
        }
    }

    /// As [`Self::tamper`], with the VM's other vCPU, which nobody must run meanwhile.
    pub(crate) fn tamper_with_other(&self, f: impl FnOnce(&HostCopy<'_>)) -> bool {
        self.other().is_some_and(|other| tamper_with(other, f))
    }

    /// As [`Self::put_back`], for the VM's other vCPU.
    pub(crate) fn put_back_other(&self) {
        let other = self.other();
        let mut tampered = TAMPERED.lock();
        if let Some(own) = tampered.take_if(|t| Some(t.vcpu) == other) {
            // SAFETY: The vCPU belongs to this VM, so it is alive, and the lock is held.
            unsafe { HostCopy::new(own.vcpu) }.put_back(&own.originals);
        }
    }
}

fn tamper_with(vcpu: NonNull<bindings::kvm_vcpu>, f: impl FnOnce(&HostCopy<'_>)) -> bool {
    let mut tampered = TAMPERED.lock();
    if tampered.is_some() {
        return false;
    }
    // SAFETY: The callers' vCPU is alive until it is put back, and the lock is held.
    let copy = unsafe { HostCopy::new(vcpu) };
    *tampered = Some(Tampered {
        vcpu,
        originals: copy.originals(),
    });
    f(&copy);
    true
}

/// Calls `f` with the vCPU that is tampered with, if one is: from any CPU, while the guest runs.
pub(crate) fn with_tampered(f: impl FnOnce(&HostCopy<'_>)) {
    if let Some(tampered) = TAMPERED.lock().as_ref() {
        // SAFETY: The vCPU is put back, by its own thread, before it can go away, and that waits
        // for the lock.
        f(&unsafe { HostCopy::new(tampered.vcpu) });
    }
}
