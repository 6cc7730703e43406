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
#include <clocksource/arm_arch_timer.h>
#include <linux/kvm_host.h>

const u16 RUST_CONST_HELPER_IN_NESTED_ERET = unpack_vcpu_flag(IN_NESTED_ERET);
const u16 RUST_CONST_HELPER_IN_NESTED_EXCEPTION = unpack_vcpu_flag(IN_NESTED_EXCEPTION);
const u16 RUST_CONST_HELPER_SYSREGS_ON_CPU = unpack_vcpu_flag(SYSREGS_ON_CPU);
const u64 RUST_CONST_HELPER_CNTKCTL_VALID_BITS = CNTKCTL_VALID_BITS;
