// SPDX-License-Identifier: GPL-2.0
//! The C structures that the views look into, as far as they do.
//!
//! Fields have the names and types that `bindgen` gives them. What only C code
//! can tell is told by a field of the stand-in.

#![allow(non_camel_case_types, non_upper_case_globals, missing_docs)]

/// `struct user_pt_regs`.
#[derive(Clone, Default)]
pub struct user_pt_regs {
    pub pc: u64,
    pub pstate: u64,
}

/// `struct kvm_cpu_context`.
#[derive(Clone)]
pub struct kvm_cpu_context {
    pub regs: user_pt_regs,
    pub spsr_abt: u64,
    pub spsr_und: u64,
    pub spsr_irq: u64,
    pub spsr_fiq: u64,
    pub sys_regs: [u64; vcpu_sysreg_NR_SYS_REGS as usize],
    pub __hyp_running_vcpu: *mut kvm_vcpu,
    pub vncr_array: *mut u64,
}

impl Default for kvm_cpu_context {
    fn default() -> Self {
        Self {
            regs: user_pt_regs::default(),
            spsr_abt: 0,
            spsr_und: 0,
            spsr_irq: 0,
            spsr_fiq: 0,
            sys_regs: [0; vcpu_sysreg_NR_SYS_REGS as usize],
            __hyp_running_vcpu: core::ptr::null_mut(),
            vncr_array: core::ptr::null_mut(),
        }
    }
}

/// `struct kvm_vcpu_arch`.
#[derive(Clone, Default)]
pub struct kvm_vcpu_arch {
    pub ctxt: kvm_cpu_context,
    pub hcr_el2: u64,
    pub debug_owner: u32,
    pub external_mdscr_el1: u64,
    pub sysreg_features: u32,
    pub sflags: u16,
}

/// `struct kvm_vcpu`.
#[derive(Clone)]
pub struct kvm_vcpu {
    pub kvm: *mut kvm,
    pub arch: kvm_vcpu_arch,
}

/// `struct kvm_arch`.
#[derive(Clone)]
pub struct kvm_arch {
    pub flags: u64,
    pub vcpu_features: [u64; 1],
    pub id_regs: [u64; 56],
    pub midr_el1: u64,
}

/// `struct kvm`.
#[derive(Clone)]
pub struct kvm {
    pub arch: kvm_arch,
}

pub const KVM_ARCH_FLAG_MTE_ENABLED: u32 = 1;
pub const KVM_ARCH_FLAG_WRITABLE_IMP_ID_REGS: u32 = 10;
pub const KVM_ARM_VCPU_HAS_EL2: u32 = 7;
pub const PSR_MODE_MASK: u32 = 0xf;
pub const PSR_MODE32_BIT: u32 = 0x10;
pub const PSR_MODE_EL1t: u32 = 4;
pub const PSR_MODE_EL1h: u32 = 5;
pub const PSR_MODE_EL2t: u32 = 8;
pub const PSR_MODE_EL2h: u32 = 9;
pub const PSR_IL_BIT: u32 = 1 << 20;
pub const kvm_vcpu_arch_VCPU_DEBUG_FREE: u32 = 0;
pub const kvm_vcpu_arch_VCPU_DEBUG_HOST_OWNED: u32 = 1;

macro_rules! places {
    ($($name:ident)*) => {
        #[allow(clippy::upper_case_acronyms)]
        #[repr(u32)]
        enum Place { $($name,)* }
        $(::paste::paste! {
            pub const [<vcpu_sysreg_ $name>]: u32 = Place::$name as u32;
        })*
    };
}

// The order is not the kernel's. What counts is on which side of the marks a
// register is.
places! {
    __INVALID_SYSREG__ MPIDR_EL1 TPIDR_EL0 TPIDRRO_EL0 TPIDR_EL1 CNTKCTL_EL1 PAR_EL1 DISR_EL1
    TFSRE0_EL1 POR_EL0 DACR32_EL2 IFSR32_EL2 DBGVCR32_EL2
    __SANITISED_REG_START__ HCR_EL2
    __VNCR_START__ SCTLR_EL1 CPACR_EL1 TTBR0_EL1 TTBR1_EL1 TCR_EL1 TCR2_EL1 SCTLR2_EL1 ESR_EL1
    AFSR0_EL1 AFSR1_EL1 FAR_EL1 MAIR_EL1 VBAR_EL1 CONTEXTIDR_EL1 AMAIR_EL1 MDSCR_EL1 ELR_EL1 SP_EL1
    SPSR_EL1 TFSR_EL1 VPIDR_EL2 VMPIDR_EL2 NVHCR_EL2 PIR_EL1 PIRE0_EL1 POR_EL1 VDISR_EL2
    NR_SYS_REGS
}

/// As C's `vserror_state_is_nested()`: no guest here has a virtual EL2.
///
/// # Safety
///
/// Not called.
pub unsafe fn kvm_vserror_state_is_nested(_: *mut kvm_vcpu) -> bool {
    unreachable!("only guests with a virtual EL2 are asked")
}

/// As C's `is_nested_nv3_ctxt()`.
///
/// # Safety
///
/// Not called.
pub unsafe fn kvm_is_nested_nv3_ctxt(_: *mut kvm_vcpu) -> bool {
    unreachable!("only guests with a virtual EL2 are asked")
}
