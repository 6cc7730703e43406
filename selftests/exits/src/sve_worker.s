/* SPDX-License-Identifier: GPL-2.0 */
// A guest that works on all registers of SVE without end, and looks whether they
// are what it made of them. x19 is the number of the round.
//
// It starts at EL1 with x0: where it says what it found; x1: memory for a Z
// register; x5: which bits of FPSR it works with. What it stores at x0 is x19, or
// 1 << 62 and the number of a check that failed: 0 to 31 for Z registers, 32 to 47
// for P registers, 48 for FFR, 49 for FPSR, 50 for FPCR, 51 for the vector length;
// and 8 bytes behind it, what the last three were.

.arch_extension sve
.global sve_guest_start
.global sve_guest_end

sve_guest_start:
	mov	x2, #0x330000		// CPACR_EL1: FP, SIMD and SVE do not trap
	msr	cpacr_el1, x2
	isb
	mov	x2, #15
	msr	zcr_el1, x2
	isb
	rdvl	x24, #1
	mov	x19, #0

1:	// Another round: registers that depend on its number.
	add	x19, x19, #1
	lsl	x20, x19, #8
	ptrue	p0.b
	.irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
	add	x2, x20, #\n
	index	z\n\().d, x2, #1
	.endr
	.irp n,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
	add	x2, x19, #\n
	and	x2, x2, #0xff
	whilelo	p\n\().b, xzr, x2
	.endr
	wrffr	p2.b
	and	x2, x19, x5
	msr	fpsr, x2
	and	x2, x19, #3
	lsl	x2, x2, #22
	msr	fpcr, x2

	bl	2f
	tst	x19, #63
	b.ne	1b
	str	x19, [x0]
	// The VMM may have changed all of them.
	bl	2f
	b	1b

2:	// Are they what they must be? All end as they were.
	lsl	x20, x19, #8
	mov	x6, #51
	rdvl	x2, #1
	cmp	x2, x24
	b.ne	3f
	mov	x6, #49
	mrs	x2, fpsr
	and	x3, x19, x5
	cmp	x2, x3
	b.ne	3f
	mov	x6, #50
	mrs	x2, fpcr
	and	x3, x19, #3
	cmp	x2, x3, lsl #22
	b.ne	3f
	// P0: all true. P1 is what others are compared with, and made again.
	mov	x6, #32
	add	x4, x19, #1
	and	x4, x4, #0xff
	cntp	x2, p0, p0.b
	cmp	x2, x24
	b.ne	3f
	mov	x6, #33
	cntp	x2, p0, p1.b
	cmp	x4, x24
	csel	x3, x4, x24, lo
	cmp	x2, x3
	b.ne	3f
	.irp n,2,3,4,5,6,7,8,9,10,11,12,13,14,15
	mov	x6, #32 + \n
	add	x2, x19, #\n
	and	x2, x2, #0xff
	whilelo	p1.b, xzr, x2
	eors	p1.b, p0/z, p1.b, p\n\().b
	b.ne	3f
	.endr
	mov	x6, #48
	rdffr	p1.b
	eors	p1.b, p0/z, p1.b, p2.b
	b.ne	3f
	// Z31 is what others are compared with, and then Z30 is for Z31.
	str	z31, [x1]
	.irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30
	mov	x6, #\n
	add	x2, x20, #\n
	index	z31.d, x2, #1
	cmpne	p1.d, p0/z, z31.d, z\n\().d
	b.ne	3f
	.endr
	mov	x6, #31
	ldr	z31, [x1]
	add	x2, x20, #31
	index	z30.d, x2, #1
	cmpne	p1.d, p0/z, z31.d, z30.d
	b.ne	3f
	add	x2, x20, #30
	index	z30.d, x2, #1
	whilelo	p1.b, xzr, x4
	ret

3:	orr	x3, x6, #(1 << 62)
	str	x3, [x0]
	str	x2, [x0, #8]
	b	3b
sve_guest_end:
