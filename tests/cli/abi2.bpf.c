// SPDX-License-Identifier: GPL-2.0-only
/* The maps of ABI 2. */
#include "xlb_abi.h"

struct service_old {
	struct xlb_table table;
	__u64 settle_until;
	__u64 changed;
	__u32 settle;
	enum xlb_mode mode;
	enum xlb_hash hash;
	__u8 updating;
	__u8 reserved;
};

struct vip_old {
	__u32 services;
};

struct backend_old {
	__u32 weight;
	__u16 id;
	enum xlb_state admin;
	enum xlb_state health;
};

#include "older.h"
