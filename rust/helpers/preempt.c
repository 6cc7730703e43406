// SPDX-License-Identifier: GPL-2.0

#include <linux/irqflags.h>
#include <linux/kprobes.h>
#include <linux/lockdep.h>
#include <linux/preempt.h>

__rust_helper bool rust_helper_irqs_disabled(void)
{
	return irqs_disabled();
}

__rust_helper void rust_helper_preempt_disable(void)
{
	preempt_disable();
}

__rust_helper void rust_helper_preempt_enable(void)
{
	preempt_enable();
}

__rust_helper void rust_helper_lockdep_assert_preemption_disabled(void)
{
	lockdep_assert_preemption_disabled();
}

#ifndef CONFIG_RUST_INLINE_HELPERS
/* KVM asks for it where a probe is an exception that nobody expects. */
NOKPROBE_SYMBOL(rust_helper_lockdep_assert_preemption_disabled);
#endif
