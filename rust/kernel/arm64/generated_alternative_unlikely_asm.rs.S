/* SPDX-License-Identifier: GPL-2.0 */

#include <asm/alternative.h>

// Cut here.

::kernel::concat_literals!(ALTERNATIVE("nop", "b {l_yes}", {cpucap}))
