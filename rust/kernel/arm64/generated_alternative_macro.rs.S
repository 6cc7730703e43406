/* SPDX-License-Identifier: GPL-2.0 */

#include <asm/alternative.h>

/*
 * `$old`, which the alternatives patch into `$new` on a system that has the
 * capability with the number `$cpucap`. Both must have as many instructions.
 * `$cpucap` is the name of a `const` operand, in braces.
 *
 * An attribute at the beginning of a line would be a preprocessor directive.
 */

// Cut here.

mod generated { #[macro_export] #[doc = "C's `ALTERNATIVE()`, for the text of `global_asm!`."]
    macro_rules! alternative_asm {
        ($old:literal, $new:literal, $cpucap:literal) => {
            $crate::concat_literals!(".set .Lcpucap, " $cpucap "\n"
                                     ALTERNATIVE($old, $new, .Lcpucap))
        };
    }
}
