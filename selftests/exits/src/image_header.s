// SPDX-License-Identifier: GPL-2.0
// The header of Documentation/arch/arm64/booting.rst. The code that follows it is
// in .image.text, and begins at the label 1.

.pushsection .image.header, "ax"
.global _start
_start:
	b	1f
	.long	0
	// Offset from RAM, size, and flags: little-endian, 4 KiB pages.
	.quad	0, _image_size, 2
	.quad	0, 0, 0
	.ascii	"ARM\x64"
	.long	0
.popsection
