/* SPDX-License-Identifier: GPL-2.0 */

#include <asm/alternative-macros.h>

// Cut here.

::kernel::concat_literals!(ALTERNATIVE_CB("b {l_no}", {cpucap}, alt_cb_patch_nops))
