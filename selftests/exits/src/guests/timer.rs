// SPDX-License-Identifier: GPL-2.0

//! The virtual timer, set to fire at once. The physical interrupt exits; the
//! virtual one is acknowledged through the vgic. PSTATE.I stays set, so no
//! vector is needed: that makes no difference to the host.

/// The guest, as `image!` or `data!`.
#[macro_export]
macro_rules! timer {
    ($as:ident) => {
        $crate::$as! {
            name: "timer",
            marker: 4,
            setup: "
            ldr     x0, ={GICD}
            // GICD_CTLR: affinity routing, group 1.
            mov     w1, #0x12
            str     w1, [x0]
            // The SGI frame of the redistributor: GICR_IGROUPR0, GICR_ISENABLER0.
            ldr     x0, ={GICR_SGI}
            mov     w1, #-1
            str     w1, [x0, #0x80]
            mov     w1, #1 << 27
            str     w1, [x0, #0x100]
            mov     x1, #1
            msr     icc_sre_el1, x1
            isb
            mov     x1, #0xff
            msr     icc_pmr_el1, x1
            mov     x1, #1
            msr     icc_igrpen1_el1, x1
            isb
            ",
            exit: "
            msr     cntv_cval_el0, xzr
            mov     x0, #1
            msr     cntv_ctl_el0, x0
            isb
        4:
            mrs     x0, icc_iar1_el1
            cmp     w0, #27
            b.eq    5f
            // Spurious: the interrupt has not arrived yet.
            cmp     w0, #1023
            b.eq    4b
            b       3f
        5:
            msr     cntv_ctl_el0, xzr
            isb
            msr     icc_eoir1_el1, x0
            isb
            ",
            operands: {
                GICD = const $crate::layout::GIC_DISTRIBUTOR,
                GICR_SGI = const $crate::layout::GIC_REDISTRIBUTOR + 0x1_0000,
            },
        }
    };
}
