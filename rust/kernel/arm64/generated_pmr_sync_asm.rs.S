/* SPDX-License-Identifier: GPL-2.0 */

#include <asm/alternative.h>
#include <asm/cpucaps.h>

// Cut here.

::kernel::concat_literals!(ALTERNATIVE_CB("dsb sy",
	ARM64_HAS_GIC_PRIO_RELAXED_SYNC, alt_cb_patch_nops))
