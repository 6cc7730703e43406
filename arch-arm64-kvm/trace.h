/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What becomes of the FP registers while a vCPU is loaded: see fp_event.rs.
 */

#undef TRACE_SYSTEM
#define TRACE_SYSTEM kvm

#if !defined(_KVM_ARM64_RUST_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _KVM_ARM64_RUST_TRACE_H

#include <linux/tracepoint.h>

TRACE_EVENT(kvm_fp,
	TP_PROTO(int vcpu_id, unsigned int event),
	TP_ARGS(vcpu_id, event),
	TP_STRUCT__entry(
		__field(int, vcpu_id)
		__field(unsigned int, event)
	),
	TP_fast_assign(
		__entry->vcpu_id = vcpu_id;
		__entry->event = event;
	),
	TP_printk("vcpu: %d, %s", __entry->vcpu_id,
		  __print_symbolic(__entry->event,
				   { 0, "host kept" },
				   { 1, "host saved" },
				   { 2, "guest loaded" },
				   { 3, "guest taken" },
				   { 4, "guest put" }))
);

#endif /* _KVM_ARM64_RUST_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH ../../arch/arm64/kvm/rust
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace

/* This part must be outside protection */
#include <trace/define_trace.h>
