// SPDX-License-Identifier: GPL-2.0
/*
 * Inline functions and macros of the headers that KVM/arm64 in Rust calls.
 * With CONFIG_RUST_INLINE_HELPERS they are inlined into their callers, as they
 * are in C.
 */

#include <asm/daifflags.h>
#include <asm/fixmap.h>
#include <asm/fpsimd.h>
#include <asm/kvm_emulate.h>
#include <asm/simd.h>
#include <linux/kprobes.h>
#include <linux/kvm_host.h>
#include <linux/thread_info.h>

__rust_helper bool rust_helper_test_thread_flag(int flag)
{
	return test_thread_flag(flag);
}

__rust_helper void rust_helper_set_thread_flag(int flag)
{
	set_thread_flag(flag);
}

__rust_helper void rust_helper_clear_thread_flag(int flag)
{
	clear_thread_flag(flag);
}

__rust_helper void rust_helper_local_daif_mask(void)
{
	local_daif_mask();
}

__rust_helper void rust_helper_local_daif_restore(unsigned long flags)
{
	local_daif_restore(flags);
}

__rust_helper bool rust_helper_may_use_simd(void)
{
	return may_use_simd();
}

__rust_helper u64 rust_helper_read_svcr(void)
{
	return read_sysreg_s(SYS_SVCR);
}

__rust_helper struct cpu_fp_state *rust_helper_this_cpu_fpsimd_last_state(void)
{
	return this_cpu_ptr(&fpsimd_last_state);
}

__rust_helper int rust_helper_sve_max_vl(void)
{
	return sve_max_vl();
}

__rust_helper int rust_helper_sve_max_virtualisable_vl(void)
{
	return sve_max_virtualisable_vl();
}

__rust_helper bool rust_helper_sve_vq_available(unsigned int vq)
{
	return sve_vq_available(vq);
}

#ifdef CONFIG_KVM
__rust_helper struct kvm_host_data *rust_helper_kvm_this_cpu_host_data(void)
{
	/* fp_owner is as good as any other field: only the base is asked for. */
	return container_of(host_data_ptr(fp_owner), struct kvm_host_data, fp_owner);
}

__rust_helper bool rust_helper_kvm_vcpu_has_sve(struct kvm_vcpu *vcpu)
{
	return vcpu_has_sve(vcpu);
}

__rust_helper u64 *rust_helper_kvm_ctxt_sys_reg(struct kvm_cpu_context *ctxt,
						enum vcpu_sysreg reg)
{
	return __ctxt_sys_reg(ctxt, reg);
}

__rust_helper bool rust_helper_kvm_is_hyp_ctxt(const struct kvm_vcpu *vcpu)
{
	return is_hyp_ctxt(vcpu);
}

__rust_helper bool rust_helper_kvm_vcpu_el2_e2h_is_set(const struct kvm_vcpu *vcpu)
{
	return vcpu_el2_e2h_is_set(vcpu);
}

__rust_helper bool rust_helper_kvm_vserror_state_is_nested(struct kvm_vcpu *vcpu)
{
	return vserror_state_is_nested(vcpu);
}

__rust_helper bool rust_helper_kvm_is_nested_nv3_ctxt(struct kvm_vcpu *vcpu)
{
	return is_nested_nv3_ctxt(vcpu);
}

__rust_helper u64 rust_helper_translate_sctlr_el2_to_sctlr_el1(u64 val)
{
	return translate_sctlr_el2_to_sctlr_el1(val);
}

__rust_helper u64 rust_helper_translate_cptr_el2_to_cpacr_el1(u64 val)
{
	return translate_cptr_el2_to_cpacr_el1(val);
}

__rust_helper u64 rust_helper_translate_ttbr0_el2_to_ttbr0_el1(u64 val)
{
	return translate_ttbr0_el2_to_ttbr0_el1(val);
}

__rust_helper u64 rust_helper_translate_tcr_el2_to_tcr_el1(u64 val)
{
	return translate_tcr_el2_to_tcr_el1(val);
}

__rust_helper u64 rust_helper_kvm_vncr_fixmap_address(void)
{
	return __fix_to_virt(vncr_fixmap(smp_processor_id()));
}

__rust_helper bool rust_helper_kvm_eretax_target(struct kvm_vcpu *vcpu, u64 *elr)
{
	return vcpu_has_ptrauth(vcpu) && kvm_auth_eretax(vcpu, elr);
}

__rust_helper bool rust_helper_kvm_supported_tlbi_s1e1_op(struct kvm_vcpu *vcpu, u32 instr)
{
	return kvm_supported_tlbi_s1e1_op(vcpu, instr);
}

__rust_helper bool rust_helper_kvm_supported_tlbi_s1e2_op(struct kvm_vcpu *vcpu, u32 instr)
{
	return kvm_supported_tlbi_s1e2_op(vcpu, instr);
}

/*
 * Where they are not inlined: they run while exceptions go to the hypervisor's
 * vectors, to which a probe is an exception that nobody expects.
 */
#ifndef CONFIG_RUST_INLINE_HELPERS
NOKPROBE_SYMBOL(rust_helper_kvm_this_cpu_host_data);
NOKPROBE_SYMBOL(rust_helper_kvm_vcpu_has_sve);
NOKPROBE_SYMBOL(rust_helper_kvm_ctxt_sys_reg);
NOKPROBE_SYMBOL(rust_helper_kvm_is_hyp_ctxt);
NOKPROBE_SYMBOL(rust_helper_kvm_vcpu_el2_e2h_is_set);
NOKPROBE_SYMBOL(rust_helper_kvm_vserror_state_is_nested);
NOKPROBE_SYMBOL(rust_helper_kvm_is_nested_nv3_ctxt);
NOKPROBE_SYMBOL(rust_helper_translate_sctlr_el2_to_sctlr_el1);
NOKPROBE_SYMBOL(rust_helper_translate_cptr_el2_to_cpacr_el1);
NOKPROBE_SYMBOL(rust_helper_translate_ttbr0_el2_to_ttbr0_el1);
NOKPROBE_SYMBOL(rust_helper_translate_tcr_el2_to_tcr_el1);
NOKPROBE_SYMBOL(rust_helper_kvm_vncr_fixmap_address);
NOKPROBE_SYMBOL(rust_helper_kvm_eretax_target);
NOKPROBE_SYMBOL(rust_helper_kvm_supported_tlbi_s1e1_op);
NOKPROBE_SYMBOL(rust_helper_kvm_supported_tlbi_s1e2_op);
#endif

#ifdef CONFIG_KVM_ARM64_RUST_FAULTS
__rust_helper int rust_helper_kvm_run_vcpu_at_el2(struct kvm_vcpu *vcpu)
{
	return kvm_call_hyp_nvhe(__kvm_vcpu_run, vcpu);
}
#endif
#endif
