// SPDX-License-Identifier: GPL-2.0
//! The C structures that the views look into, as far as they do, and the C
//! functions that the views call.
//!
//! All of it is written by hand, so that nothing here needs a configured
//! kernel. Missing from a view that is to be compiled:
//!
//! - a field: add a line to its structure in [`structures!`], with the name
//!   and type that bindgen gives it (`rust/bindings/bindings_generated.rs` in a
//!   build tree). It starts as zeroes. A structure within a structure gets an
//!   entry of its own; pointers and arrays need nothing;
//! - a constant: add it below, with the value that the C header has. The places
//!   of registers (`vcpu_sysreg_*`) and the capabilities (`ARM64_*`) are
//!   generated from the kernel's files;
//! - a function that works something out from registers and flags: add a field
//!   to [`answers`], which a test sets, and a function that returns it;
//! - a function that computes a value from a value: add one that computes
//!   another value than any other function here, so that a mix-up shows;
//! - a function that does something: add it to `functions.rs`.

#![allow(non_camel_case_types, non_upper_case_globals, missing_docs)]

use crate::Zeroable;

macro_rules! structures {
    ($($(#[$doc:meta])* struct $name:ident { $($(#[$of:meta])* $field:ident: $type:ty,)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Debug, PartialEq)]
            pub struct $name { $($(#[$of])* pub $field: $type,)* }

            impl Default for $name {
                fn default() -> Self {
                    Self { $($field: Zeroable::zeroed(),)* }
                }
            }

            // SAFETY: So are all fields, or `default` would not compile.
            unsafe impl Zeroable for $name {}
        )*
    };
}

structures! {
    /// `struct user_pt_regs`.
    struct user_pt_regs {
        regs: [u64; 31],
        sp: u64,
        pc: u64,
        pstate: u64,
    }

    /// `struct user_fpsimd_state`.
    struct user_fpsimd_state {
        vregs: [u128; 32],
        fpsr: u32,
        fpcr: u32,
        __reserved: [u32; 2],
    }

    /// `struct kvm_cpu_context`.
    struct kvm_cpu_context {
        regs: user_pt_regs,
        spsr_abt: u64,
        spsr_und: u64,
        spsr_irq: u64,
        spsr_fiq: u64,
        fp_regs: user_fpsimd_state,
        sys_regs: [u64; crate::vcpu_sysreg_NR_SYS_REGS as usize],
        __hyp_running_vcpu: *mut kvm_vcpu,
        vncr_array: *mut u64,
    }

    /// `struct kvm_vcpu_fault_info`.
    struct kvm_vcpu_fault_info {
        esr_el2: u64,
        far_el2: u64,
        hpfar_el2: u64,
        disr_el1: u64,
    }

    /// `struct kvm_guest_debug_arch`.
    struct kvm_guest_debug_arch {
        dbg_bcr: [u64; 16],
        dbg_bvr: [u64; 16],
        dbg_wcr: [u64; 16],
        dbg_wvr: [u64; 16],
    }

    /// `struct vgic_v3_cpu_if`.
    struct vgic_v3_cpu_if {
        vgic_hcr: u32,
        vgic_vmcr: u32,
        vgic_sre: u32,
        vgic_ap0r: [u32; 4],
        vgic_ap1r: [u32; 4],
        vgic_lr: [u64; 16],
        used_lrs: u32,
    }

    /// `struct vgic_v5_cpu_if`.
    struct vgic_v5_cpu_if {
        vgic_vmcr: u64,
    }

    /// The union in `struct vgic_cpu`.
    struct vgic_cpu__bindgen_ty_1 {
        vgic_v3: vgic_v3_cpu_if,
        vgic_v5: vgic_v5_cpu_if,
    }

    /// `struct vgic_cpu`.
    struct vgic_cpu {
        __bindgen_anon_1: vgic_cpu__bindgen_ty_1,
    }

    /// The elements of `fgt` in `struct kvm_vcpu_arch`.
    struct kvm_vcpu_arch__bindgen_ty_1 {
        r: u64,
        w: u64,
    }

    /// `struct arch_timer_offset`.
    struct arch_timer_offset {
        vm_offset: *mut u64,
        vcpu_offset: *mut u64,
    }

    /// `struct arch_timer_context`.
    struct arch_timer_context {
        offset: arch_timer_offset,
    }

    /// `struct arch_timer_cpu`.
    struct arch_timer_cpu {
        timers: [arch_timer_context; 4],
    }

    /// `struct kvm_pmu_events`.
    struct kvm_pmu_events {
        events_host: u64,
        events_guest: u64,
    }

    /// `struct kvm_pmu`.
    struct kvm_pmu {
        events: kvm_pmu_events,
    }

    /// `struct kvm_vcpu_stat`.
    struct kvm_vcpu_stat {
        fp_host_kept: u64,
        fp_host_saved: u64,
        fp_guest_loaded: u64,
        fp_guest_taken: u64,
        fp_guest_put: u64,
        fp_exits: u64,
    }

    /// `struct kvm_vcpu_arch`.
    struct kvm_vcpu_arch {
        ctxt: kvm_cpu_context,
        sve_state: *mut arm64_sve_state,
        sve_max_vl: u32,
        fp_type: u32,
        hw_mmu: *mut kvm_s2_mmu,
        hcr_el2: u64,
        hcrx_el2: u64,
        mdcr_el2: u64,
        fgt: [kvm_vcpu_arch__bindgen_ty_1; 10],
        fault: kvm_vcpu_fault_info,
        cflags: u8,
        iflags: u8,
        sflags: u16,
        vcpu_debug_state: kvm_guest_debug_arch,
        external_debug_state: kvm_guest_debug_arch,
        external_mdscr_el1: u64,
        debug_owner: u32,
        has_used_fp: bool,
        has_saved_host_fp: bool,
        vgic_cpu: vgic_cpu,
        timer_cpu: arch_timer_cpu,
        pmu: kvm_pmu,
        vsesr_el2: u64,
        pid: pid_t,
        hyp_features: u32,
        /// Not in C.
        answers: answers,
    }

    /// What the C functions below and in `functions.rs` answer for a vCPU.
    struct answers {
        is_hyp_ctxt: bool,
        vcpu_el2_e2h_is_set: bool,
        vserror_state_is_nested: bool,
        is_nested_nv3_ctxt: bool,
        /// The guest may use ERETAA, and its signature is right.
        eretax_is_right: bool,
        /// Where it leads to then.
        eretax_target: u64,
        /// What `__vgic_v3_perform_cpuif_access()` returns.
        vgic_v3_access: i32,
        /// What `__vgic_v2_perform_cpuif_access()` returns.
        vgic_v2_access: i32,
        /// What the handlers of pKVM for protected guests return.
        is_handled_by_pkvm: bool,
        /// A TLBI of EL1 that the guest has, as `sys_reg()` numbers it.
        tlbi_s1e1: u32,
        /// A TLBI of EL2 that the guest has.
        tlbi_s1e2: u32,
    }

    /// `struct kvm_vcpu`.
    struct kvm_vcpu {
        kvm: *mut kvm,
        vcpu_id: i32,
        guest_debug: usize,
        stat: kvm_vcpu_stat,
        arch: kvm_vcpu_arch,
    }

    /// `struct pkvm_hyp_vcpu`.
    struct pkvm_hyp_vcpu {
        vcpu: kvm_vcpu,
        host_vcpu: *mut kvm_vcpu,
    }

    /// `host_debug_state` in `struct kvm_host_data`.
    struct kvm_host_data__bindgen_ty_2 {
        mdcr_el2: u64,
    }

    /// `struct kvm_host_data`.
    struct kvm_host_data {
        flags: usize,
        host_ctxt: kvm_cpu_context,
        sve_regs: *mut arm64_sve_state,
        fp_owner: u32,
        host_debug_state: kvm_host_data__bindgen_ty_2,
    }

    /// `struct kvm_nvhe_init_params`.
    struct kvm_nvhe_init_params {
        hcr_el2: usize,
    }

    /// `atomic_t`.
    struct atomic_t {
        counter: i32,
    }

    /// `atomic64_t`.
    struct atomic64_t {
        counter: i64,
    }

    /// `struct kvm_vmid`.
    struct kvm_vmid {
        id: atomic64_t,
    }

    /// `struct kvm_s2_mmu`.
    struct kvm_s2_mmu {
        vmid: kvm_vmid,
        pgd_phys: u64,
        vtcr: u64,
    }

    /// `struct vgic_dist`.
    struct vgic_dist {
        vgic_model: u32,
    }

    /// `struct host_mmu`.
    struct host_mmu {
        arch: kvm_arch,
    }

    /// `struct kvm_protected_vm`.
    struct kvm_protected_vm {
        is_protected: bool,
    }

    /// `struct kvm_arch`.
    struct kvm_arch {
        mmu: kvm_s2_mmu,
        vgic: vgic_dist,
        flags: u64,
        vcpu_features: [u64; 1],
        id_regs: [u64; 56],
        midr_el1: u64,
        vncr_tlb_count: atomic_t,
        pkvm: kvm_protected_vm,
    }

    /// `struct kvm`.
    struct kvm {
        arch: kvm_arch,
    }
}

pub type pid_t = i32;

/// `struct arm64_sve_state`, behind a pointer.
#[derive(Debug)]
pub enum arm64_sve_state {}

macro_rules! variables {
    ($($(#[$doc:meta])* $name:ident: $type:ty;)*) => {
        $(
            $(#[$doc])*
            // SAFETY: All zeroes are a value: it is `Zeroable`.
            pub static mut $name: $type = unsafe { core::mem::zeroed() };
        )*
    };
}

// Per-CPU variables. Nobody uses these: a CPU's own copies are where the CPU's
// register says that they are, which tests set. All are as far away.
variables! {
    /// What KVM keeps for a CPU.
    kvm_host_data: kvm_host_data;
    /// The registers of the hypervisor while a guest runs.
    kvm_hyp_ctxt: kvm_cpu_context;
    /// Where exceptions of a guest go.
    kvm_hyp_vector: usize;
    /// What EL2 was set up with.
    kvm_init_params: kvm_nvhe_init_params;
    /// Where exceptions of the kernel go.
    this_cpu_vector: *const core::ffi::c_char;
}

// Variables that are the same for all tests.
variables! {
    /// Static key.
    vgic_v2_cpuif_trap: static_key_false;
    /// Static key.
    vgic_v3_cpuif_trap: static_key_false;
    /// Static key.
    broken_cntvoff_key: static_key_false;
    kvm_protected_mode_initialized: static_key_false;
    /// Has a static key.
    kvm_vgic_global_state: vgic_global;
    /// The kernel's vectors. Only where they are matters.
    vectors: [u8; 16];
}

/// The number of bits of a VMID.
pub static mut kvm_arm_vmid_bits: u32 = 16;
/// The longest vector that the host has, in bytes.
pub static mut kvm_host_sve_max_vl: u32 = 64;
/// The same, as EL2 has it.
pub static mut __kvm_nvhe_kvm_host_sve_max_vl: u32 = 0;
/// Stage 2 of the host, with pKVM.
pub static mut host_mmu: host_mmu = {
    // SAFETY: All zeroes are a value: it is `Zeroable`.
    let mut mmu: host_mmu = unsafe { core::mem::zeroed() };
    mmu.arch.mmu.vtcr = 0x1405;
    mmu.arch.mmu.pgd_phys = 0x4005_7000;
    mmu
};

/// `struct static_key_false`. What is enabled is said by
/// [`set_static_keys`](crate::set_static_keys), for one thread.
#[derive(Debug)]
pub struct static_key_false;

/// `struct vgic_global`.
#[derive(Debug)]
pub struct vgic_global {
    /// Static key.
    pub gicv3_cpuif: static_key_false,
}

pub const KVM_ARCH_FLAG_MTE_ENABLED: u32 = 1;
pub const KVM_ARCH_FLAG_HAS_RAN_ONCE: u32 = 2;
pub const KVM_ARCH_FLAG_GUEST_HAS_SVE: u32 = 9;
pub const KVM_ARCH_FLAG_WRITABLE_IMP_ID_REGS: u32 = 10;
pub const KVM_ARM_VCPU_HAS_EL2: u32 = 7;
pub const KVM_GUESTDBG_SINGLESTEP: u32 = 2;
pub const KVM_HOST_DATA_FLAG_HAS_SPE: u32 = 0;
pub const KVM_HOST_DATA_FLAG_TRBE_ENABLED: u32 = 2;
pub const KVM_HOST_DATA_FLAG_EL1_TRACING_CONFIGURED: u32 = 3;
pub const KVM_HOST_DATA_FLAG_VCPU_IN_HYP_CONTEXT: u32 = 4;
pub const KVM_HOST_DATA_FLAG_L1_VNCR_MAPPED: u32 = 5;
pub const KVM_HOST_DATA_FLAG_HAS_BRBE: u32 = 6;
pub const KVM_HOST_DATA_FLAG_CONSTANTS_SAVED: u32 = 7;
pub const KVM_HOST_DATA_FLAG_HAS_AMU: u32 = 8;
pub const kvm_device_type_KVM_DEV_TYPE_ARM_VGIC_V5: u32 = 16;
pub const KVM_ARM_VCPU_SVE: u32 = 4;
pub const KVM_REG_ARM64_SVE_VLS: u64 = 0x6060_0000_0015_ffff;
pub const KVM_REG_ARM64_SVE_ZREG_0: u64 = 0x6080_0000_0015_0000;
pub const KVM_REG_ARM64_SVE_PREG_0: u64 = 0x6050_0000_0015_0400;
pub const KVM_REG_ARM64_SVE_FFR_0: u64 = 0x6050_0000_0015_0600;
pub const KVM_ARM64_SVE_MAX_SLICES: u32 = 32;
pub const SVE_SIG_REGS_SIZE_MAX: u32 = 16 * 546;
pub const VCPU_INITIALIZED: u8 = 1 << 0;
pub const VCPU_SVE_FINALIZED: u8 = 1 << 1;
pub const PMUSERENR_ON_CPU: u16 = 1 << 5;
pub const PAGE_SIZE: usize = 4096;
pub const ARMV8_PMU_USERENR_MASK: u32 = 0xf;
pub const ARM_EXIT_WITH_SERROR_BIT: u32 = 31;
pub const ARM_EXCEPTION_IRQ: u32 = 0;
pub const ARM_EXCEPTION_EL1_SERROR: u32 = 1;
pub const ARM_EXCEPTION_TRAP: u32 = 2;
pub const ARM_EXCEPTION_IL: u32 = 3;
pub const CPTR_EL2_TAM: u32 = 1 << 30;
pub const CPTR_EL2_TTA: u32 = 1 << 20;
pub const CPTR_EL2_TSM: u32 = 1 << 12;
pub const CPTR_EL2_TFP: u32 = 1 << 10;
pub const CPTR_EL2_TZ: u32 = 1 << 8;
pub const ESR_ELx_FSC: u32 = 0x3f;
pub const ESR_ELx_ISV_SHIFT: u32 = 24;
pub const GICV3_PRIO_UNMASKED: u32 = 0xe0;
pub const GICV3_PRIO_IRQ: u32 = 0xc0;
pub const GICV3_PRIO_PSR_I_SET: u32 = 1 << 4;
pub const kvm_arch_timers_TIMER_PTIMER: u32 = 0;
pub const kvm_arch_timers_TIMER_VTIMER: u32 = 1;
pub const kvm_arch_timers_TIMER_HVTIMER: u32 = 2;
pub const kvm_arch_timers_TIMER_HPTIMER: u32 = 3;
pub const fgt_group_id_HFGRTR_GROUP: u32 = 1;
pub const fgt_group_id_HDFGRTR_GROUP: u32 = 2;
pub const fgt_group_id_HFGITR_GROUP: u32 = 3;
pub const fgt_group_id_HAFGRTR_GROUP: u32 = 4;
pub const fgt_group_id_HFGRTR2_GROUP: u32 = 5;
pub const fgt_group_id_HDFGRTR2_GROUP: u32 = 6;
pub const fgt_group_id_HFGITR2_GROUP: u32 = 7;
pub const fgt_group_id_ICH_HFGRTR_GROUP: u32 = 8;
pub const fgt_group_id_ICH_HFGITR_GROUP: u32 = 9;
pub const PSR_F_BIT: u32 = 1 << 6;
pub const PSR_I_BIT: u32 = 1 << 7;
pub const PSR_MODE_MASK: u32 = 0xf;
pub const PSR_MODE32_BIT: u32 = 0x10;
pub const PSR_MODE_EL0t: u32 = 0;
pub const PSR_MODE_EL1t: u32 = 4;
pub const PSR_MODE_EL1h: u32 = 5;
pub const PSR_MODE_EL2t: u32 = 8;
pub const PSR_MODE_EL2h: u32 = 9;
pub const PSR_IL_BIT: u32 = 1 << 20;
pub const kvm_vcpu_arch_VCPU_DEBUG_FREE: u32 = 0;
pub const kvm_vcpu_arch_VCPU_DEBUG_HOST_OWNED: u32 = 1;
pub const kvm_vcpu_arch_VCPU_DEBUG_GUEST_OWNED: u32 = 2;
pub const kvm_host_data_FP_STATE_FREE: u32 = 0;
pub const kvm_host_data_FP_STATE_HOST_OWNED: u32 = 1;
pub const kvm_host_data_FP_STATE_GUEST_OWNED: u32 = 2;
pub const PKVM_HOST_STATE_DIRTY: u8 = 1 << 4;
pub const PKVM_HCR_EL2_HOST_PVM: u64 = (1 << 13) | (1 << 14) | (1 << 8);
pub const PKVM_HCR_EL2_HOST_NPVM: u64 = PKVM_HCR_EL2_HOST_PVM
    | (1 << 7)
    | (1 << 6)
    | (1 << 26)
    | (1 << 17)
    | (1 << 49)
    | (1 << 58)
    | (1 << 55);
pub const BUGFLAG_ONCE: u32 = 1 << 1;
pub const TAINT_WARN: u32 = 9;
pub const ICC_SRE_EL1_SRE: u32 = 1 << 0;
pub const ICC_SRE_EL1_DFB: u32 = 1 << 1;
pub const ICC_SRE_EL1_DIB: u32 = 1 << 2;
pub const CNTHCTL_EL1PCTEN: u32 = 1 << 0;
pub const CNTHCTL_EL1PCEN: u32 = 1 << 1;
pub const CNTHCTL_EL1TVT: u32 = 1 << 13;
pub const CNTHCTL_EL1TVCT: u32 = 1 << 14;
pub const PENDING_EXCEPTION: u8 = 1 << 0;
pub const INCREMENT_PC: u8 = 1 << 1;
pub const SYSREGS_ON_CPU: u16 = 1 << 2;
pub const CNTKCTL_VALID_BITS: u64 = (1 << 17) | 0x3ff;

macro_rules! answers {
    ($($(#[$doc:meta])* $function:ident: $field:ident,)*) => {
        $(
            $(#[$doc])*
            ///
            /// # Safety
            ///
            /// `vcpu` must be valid for reading.
            pub unsafe fn $function(vcpu: *const kvm_vcpu) -> bool {
                // SAFETY: By the safety requirement.
                unsafe { (*vcpu).arch.answers.$field }
            }
        )*
    };
}

answers! {
    /// C's `is_hyp_ctxt()`.
    kvm_is_hyp_ctxt: is_hyp_ctxt,
    /// C's `vcpu_el2_e2h_is_set()`.
    kvm_vcpu_el2_e2h_is_set: vcpu_el2_e2h_is_set,
    /// C's `vserror_state_is_nested()`.
    kvm_vserror_state_is_nested: vserror_state_is_nested,
    /// C's `is_nested_nv3_ctxt()`.
    kvm_is_nested_nv3_ctxt: is_nested_nv3_ctxt,
}

/// C's function of that name: clears the bits of a value that a register does
/// not have, and sets those that are always set. Which ones that is depends on
/// `register` here, not on a VM.
///
/// # Safety
///
/// None here.
///
/// # Panics
///
/// For a register that the kernel keeps no masks for.
pub unsafe fn kvm_vcpu_apply_reg_masks(_: *const kvm_vcpu, register: u32, value: u64) -> u64 {
    assert!(
        (crate::vcpu_sysreg___SANITISED_REG_START__..crate::vcpu_sysreg_NR_SYS_REGS)
            .contains(&register),
        "no masks for register {register}"
    );
    // Lengths stay what they are.
    if [crate::vcpu_sysreg_ZCR_EL1, crate::vcpu_sysreg_ZCR_EL2].contains(&register) {
        return value & 0xf;
    }
    let bits = u64::from(register).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let (res0, res1) = (bits & 0x1111_1111_1111_1111, !bits & 0x2222_2222_2222_2222);
    (value & !res0) | res1
}

macro_rules! translations {
    ($($function:ident: $value:ident => $result:expr,)*) => {
        $(
            #[doc = concat!("In place of C's `", stringify!($function), "()`.")]
            ///
            /// # Safety
            ///
            /// None here.
            pub unsafe fn $function($value: u64) -> u64 {
                $result
            }
        )*
    };
}

translations! {
    translate_sctlr_el2_to_sctlr_el1: value => value.rotate_left(3) ^ 0x5c71,
    translate_cptr_el2_to_cpacr_el1: value => value.rotate_left(5) ^ 0xc97a,
    translate_ttbr0_el2_to_ttbr0_el1: value => value.rotate_left(7) ^ 0x77b0,
    translate_tcr_el2_to_tcr_el1: value => value.rotate_left(11) ^ 0x7c20,
}
