// SPDX-License-Identifier: GPL-2.0

//! An SGI to another vCPU, and one back. Both wait for theirs by WFI, so a round is four exits: two
//! writes of ICC_SGI1R_EL1, and two WFIs, at which the CPU goes from one vCPU to the other.
//!
//! PSTATE.I stays set, so no vector is needed: that makes no difference to the host.

/// The guest, as `image!` or `data!`.
#[macro_export]
macro_rules! ipi {
    ($as:ident) => {
        $crate::$as! {
            name: "ipi",
            // Rounds.
            marker: 0x8009,
            setup: "
            ldr     x0, ={GICD}
            // GICD_CTLR: affinity routing, group 1.
            mov     w1, #0x12
            str     w1, [x0]
            bl      6f
            // CPU_ON of the vCPU with the affinity 1, at 5.
            ldr     w0, ={CPU_ON}
            mov     x1, #1
            adr     x2, 5f
            hvc     #0
            cbnz    x0, 3f
            // The first interrupt of each vCPU says that the other is up.
            bl      7f
            ",
            exit: "
            movz    xzr, #0x8000
            // To the vCPU with the affinity 1, SGI 0.
            mov     x0, #2
            msr     icc_sgi1r_el1, x0
            isb
            mov     x28, x30
            bl      7f
            mov     x30, x28
            ",
            more: "
            // The other vCPU.
        5:
            bl      6f
        8:
            // To the vCPU with the affinity 0, SGI 0.
            mov     x0, #1
            msr     icc_sgi1r_el1, x0
            isb
            bl      7f
            b       8b

            // Enables the SGIs of this vCPU. MPIDR_EL1.Aff0 is its number.
        6:
            ldr     x0, ={GICR_SGI}
            mrs     x1, mpidr_el1
            and     x1, x1, #0xff
            mov     x2, #{GICR_SIZE}
            madd    x0, x1, x2, x0
            // GICR_IGROUPR0, GICR_ISENABLER0.
            mov     w1, #-1
            str     w1, [x0, #0x80]
            mov     w1, #1
            str     w1, [x0, #0x100]
            mov     x1, #1
            msr     icc_sre_el1, x1
            isb
            mov     x1, #0xff
            msr     icc_pmr_el1, x1
            mov     x1, #1
            msr     icc_igrpen1_el1, x1
            isb
            ret

            // Waits for SGI 0, and is done with it.
        7:
            wfi
            mrs     x0, icc_iar1_el1
            cmp     w0, #1023
            b.eq    7b
            cbnz    w0, 3f
            msr     icc_eoir1_el1, x0
            isb
            ret

        3:
            ldr     w0, ={SYSTEM_RESET}
            hvc     #0
            .ltorg
            ",
            operands: {
                GICD = const $crate::layout::GIC_DISTRIBUTOR,
                GICR_SGI = const $crate::layout::GIC_REDISTRIBUTOR + 0x1_0000,
                GICR_SIZE = const $crate::layout::GIC_REDISTRIBUTOR_SIZE,
                CPU_ON = const 0xc400_0003u32,
            },
        }
    };
}
