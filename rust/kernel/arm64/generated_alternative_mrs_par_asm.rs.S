/* SPDX-License-Identifier: GPL-2.0 */

#include <asm/alternative.h>
#include <asm/cpucaps.h>

// Cut here.

::kernel::concat_literals!(
	ALTERNATIVE("nop", "dmb sy", ARM64_WORKAROUND_1508412)
	"\nmrs {value}, S{op0}_{op1}_C{crn}_C{crm}_{op2}\n"
	ALTERNATIVE("nop", "dmb sy", ARM64_WORKAROUND_1508412))
