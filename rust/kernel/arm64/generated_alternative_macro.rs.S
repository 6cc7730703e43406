/* SPDX-License-Identifier: GPL-2.0 */

#include <asm/alternative.h>

/* An attribute at the beginning of a line would be a preprocessor directive. */

// Cut here.

mod generated { #[macro_export] #[doc = "`$old`, which the alternatives patch into `$new` on a system that has the capability with the number `$cpucap`: C's `ALTERNATIVE()`, for the text of `global_asm!`.\n\nBoth must have as many instructions. `$cpucap` is the name of a `const` operand, in braces."]
    macro_rules! alternative_asm {
        ($old:literal, $new:literal, $cpucap:literal) => {
            $crate::concat_literals!(".set .Lcpucap, " $cpucap "\n" ALTERNATIVE($old, $new, .Lcpucap))
        };
    }
}
