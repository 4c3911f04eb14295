/* SPDX-License-Identifier: GPL-2.0-only */
/* How probe.bpf.c is told whom a packet is for: by the mark of its socket. */
#ifndef XLB_PROBE_MARK_H
#define XLB_PROBE_MARK_H

#define PROBE_MARK 0x78600000u		/* what is a probe's */
#define PROBE_MARK_MASK 0xfff00000u
#define PROBE_MARK_MODE 0x000f0000u	/* enum xlb_mode */
#define PROBE_MARK_MODE_SHIFT 16
#define PROBE_MARK_BACKEND 0x0000ffffu	/* id */

#endif
