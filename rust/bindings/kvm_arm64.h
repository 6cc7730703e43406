/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What KVM/arm64 in Rust needs of the C headers: prototypes that #[export]
 * checks its functions against, the structures that the views read, and, as
 * constants, the values that exist only as macros bindgen cannot evaluate.
 */

#include <asm/fpsimd.h>
#include <asm/kvm_hyp.h>
#include <asm/neon.h>
#include <asm/simd.h>
#include <asm/vectors.h>
#include <clocksource/arm_arch_timer.h>
#include <linux/irqchip/arm-gic-v3.h>
#include <linux/irqchip/arm-gic-v3-prio.h>
#include <linux/kvm_host.h>
#include <asm/kvm_mmu.h>
#include <nvhe/mem_protect.h>
#include <nvhe/pkvm.h>
#ifdef CONFIG_KVM_ARM64_RUST
#include <../arch/arm64/kvm/rust/trace.h>
#endif

const u16 RUST_CONST_HELPER_IN_NESTED_ERET = unpack_vcpu_flag(IN_NESTED_ERET);
const u16 RUST_CONST_HELPER_IN_NESTED_EXCEPTION = unpack_vcpu_flag(IN_NESTED_EXCEPTION);
const u8 RUST_CONST_HELPER_PENDING_EXCEPTION = unpack_vcpu_flag(PENDING_EXCEPTION);
const u8 RUST_CONST_HELPER_INCREMENT_PC = unpack_vcpu_flag(INCREMENT_PC);
const u16 RUST_CONST_HELPER_SYSREGS_ON_CPU = unpack_vcpu_flag(SYSREGS_ON_CPU);
const u64 RUST_CONST_HELPER_CNTKCTL_VALID_BITS = CNTKCTL_VALID_BITS;
const u8 RUST_CONST_HELPER_PKVM_HOST_STATE_DIRTY = unpack_vcpu_flag(PKVM_HOST_STATE_DIRTY);
const u64 RUST_CONST_HELPER_PKVM_HCR_EL2_HOST_NPVM = PKVM_HCR_EL2_HOST_NPVM;
const u64 RUST_CONST_HELPER_PKVM_HCR_EL2_HOST_PVM = PKVM_HCR_EL2_HOST_PVM;
const u16 RUST_CONST_HELPER_PMUSERENR_ON_CPU = unpack_vcpu_flag(PMUSERENR_ON_CPU);
const u8 RUST_CONST_HELPER_VCPU_INITIALIZED = unpack_vcpu_flag(VCPU_INITIALIZED);
const u8 RUST_CONST_HELPER_VCPU_SVE_FINALIZED = unpack_vcpu_flag(VCPU_SVE_FINALIZED);
const u64 RUST_CONST_HELPER_KVM_REG_ARM64_SVE_VLS = KVM_REG_ARM64_SVE_VLS;
const u64 RUST_CONST_HELPER_KVM_REG_ARM64_SVE_ZREG_0 = KVM_REG_ARM64_SVE_ZREG(0, 0);
const u64 RUST_CONST_HELPER_KVM_REG_ARM64_SVE_PREG_0 = KVM_REG_ARM64_SVE_PREG(0, 0);
const u64 RUST_CONST_HELPER_KVM_REG_ARM64_SVE_FFR_0 = KVM_REG_ARM64_SVE_FFR(0);
const u32 RUST_CONST_HELPER_SVE_SIG_REGS_SIZE_MAX = SVE_SIG_REGS_SIZE(sve_vq_from_vl(VL_ARCH_MAX));
