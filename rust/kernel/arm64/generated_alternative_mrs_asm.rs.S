/* SPDX-License-Identifier: GPL-2.0 */

#include <asm/alternative-macros.h>

// Cut here.

::kernel::concat_literals!(ALTERNATIVE(
	"mrs {value}, S{old_op0}_{old_op1}_C{old_crn}_C{old_crm}_{old_op2}",
	"mrs {value}, S{new_op0}_{new_op1}_C{new_crn}_C{new_crm}_{new_op2}",
	{cpucap}))
