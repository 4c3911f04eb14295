// SPDX-License-Identifier: GPL-2.0-only
/* What xlb.o is to `xlb load`, with a program that the verifier has little to do with. */
#include "maps.h"
#include "uses.h"

SEC("xdp")
int xlb_xdp(void *context)
{
	(void)context;
	use_all();
	return XDP_PASS;
}

char test_license[] SEC("license") = "GPL";
