# SPDX-License-Identifier: GPL-2.0-only
# Somebody else's XDP program, which passes everything: section xdp.
	.section xdp, "ax"
	.globl other
	.type other, @function
other:	r0 = 2
	exit
	.size other, 16
	.section license, "aw"
	.asciz "GPL"
