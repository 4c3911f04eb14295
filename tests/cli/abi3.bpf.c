// SPDX-License-Identifier: GPL-2.0-only
/* The maps of ABI 3. */
#include "xlb_abi.h"

struct service_old {
	struct xlb_table table;
	__u64 settle_until;
	__u64 changed;
	__u32 settle;
	enum xlb_mode mode;
	enum xlb_hash hash;
	__u8 updating;
	__u8 echo;
	enum xlb_fail fail;
	__u8 reserved[5];
	__u16 warmup;
};

#define vip_old xlb_vip
#define backend_old xlb_backend

#include "older.h"
