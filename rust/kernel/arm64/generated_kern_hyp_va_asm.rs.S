/* SPDX-License-Identifier: GPL-2.0 */

#include <asm/alternative-macros.h>
#include <asm/cpucaps.h>

// Cut here.

::kernel::concat_literals!(ALTERNATIVE_CB(
	"and {address}, {address}, #1\n"
	"ror {address}, {address}, #1\n"
	"add {address}, {address}, #0\n"
	"add {address}, {address}, #0, lsl 12\n"
	"ror {address}, {address}, #63",
	ARM64_ALWAYS_SYSTEM, kvm_update_va_mask))
