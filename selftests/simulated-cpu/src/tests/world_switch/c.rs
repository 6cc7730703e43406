// SPDX-License-Identifier: GPL-2.0
//! What the C writes to `CPTR_EL2`, from
//! `arch/arm64/kvm/hyp/include/hyp/switch.h` of Linux 7.3, written without a look
//! at the Rust.

/// `CPTR_EL2_TAM`, in both layouts.
const TAM: u64 = 1 << 30;
/// `CPTR_EL2_TCPAC`, in both layouts.
const TCPAC: u64 = 1 << 31;
/// `CPACR_EL1_TTA`.
const E2H_TTA: u64 = 1 << 28;
/// `CPACR_EL1_FPEN`.
const FPEN: u64 = 0b11 << 20;
/// `CPACR_EL1_ZEN`.
const ZEN: u64 = 0b11 << 16;
/// `CPACR_EL1_SMEN`.
const SMEN: u64 = 0b11 << 24;
/// `CPACR_EL1_E0POE`.
const E0POE: u64 = 1 << 29;
/// `CPTR_NVHE_EL2_RES1`.
const RES1: u64 = (1 << 13) | (1 << 9) | 0xff;
/// `CPTR_EL2_TTA`.
const TTA: u64 = 1 << 20;
/// `CPTR_EL2_TSM`.
const TSM: u64 = 1 << 12;
/// `CPTR_EL2_TFP`.
const TFP: u64 = 1 << 10;
/// `CPTR_EL2_TZ`.
const TZ: u64 = 1 << 8;

/// What a guest with a virtual EL2 adds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Nested {
    /// `is_hyp_ctxt()`
    pub(super) is_hyp_ctxt: bool,
    /// `vcpu_el2_e2h_is_set()`
    pub(super) e2h: bool,
    /// `ARM64_HAS_NV2P1`
    pub(super) nv2p1: bool,
    /// The guest has S1POE.
    pub(super) s1poe: bool,
    /// `vcpu_sanitised_cptr_el2()`
    pub(super) cptr: u64,
}

/// `__activate_cptr_traps_vhe()`
pub(super) fn activate_e2h(owns: bool, has_sve: bool, nested: Option<Nested>) -> u64 {
    let mut val = TAM | E2H_TTA;
    if owns {
        val |= FPEN;
        if has_sve {
            val |= ZEN;
        }
    }
    let Some(nested) = nested else {
        return val;
    };
    if !nested.nv2p1 && nested.e2h && nested.is_hyp_ctxt {
        val |= TCPAC;
    }
    if nested.is_hyp_ctxt {
        return val;
    }
    if nested.cptr & (1 << 20) == 0 {
        val &= !FPEN;
    }
    if nested.cptr & (1 << 16) == 0 {
        val &= !ZEN;
    }
    if nested.s1poe {
        val |= nested.cptr & E0POE;
    }
    val | (nested.cptr & TCPAC)
}

/// `__activate_cptr_traps_nvhe()`
pub(super) fn activate_nvhe(owns: bool, has_sve: bool) -> u64 {
    let mut val = RES1 | TAM | TTA | TSM;
    if !has_sve || !owns {
        val |= TZ;
    }
    if !owns {
        val |= TFP;
    }
    val
}

/// `__deactivate_cptr_traps_vhe()`
pub(super) fn deactivate_e2h(sve: bool, sme: bool, poe: bool) -> u64 {
    let bit = |has: bool, bits: u64| if has { bits } else { 0 };
    FPEN | bit(sve, ZEN) | bit(sme, SMEN) | bit(poe, E0POE)
}

/// `__deactivate_cptr_traps_nvhe()`
pub(super) fn deactivate_nvhe(sve: bool, sme: bool) -> u64 {
    let bit = |has: bool, bits: u64| if has { 0 } else { bits };
    RES1 | bit(sve, TZ) | bit(sme, TSM)
}
