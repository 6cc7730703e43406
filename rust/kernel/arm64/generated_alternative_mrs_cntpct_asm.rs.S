/* SPDX-License-Identifier: GPL-2.0 */

#include <asm/alternative.h>
#include <asm/cpucaps.h>

// Cut here.

::kernel::concat_literals!(ALTERNATIVE(
	"isb\nmrs {value}, cntpct_el0",
	"nop\nmrs {value}, S3_3_C14_C0_5",
	ARM64_HAS_ECV))
