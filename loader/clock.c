// SPDX-License-Identifier: GPL-2.0-only
/* The packet path's clock, and waiting for packets that are on their way. */
#include <errno.h>
#include <linux/bpf.h>
#include <linux/membarrier.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <bpf/bpf.h>

#include "clock.h"

#define INSTRUCTION(operation, to, from, distance, constant) \
	{ .code = (operation), .dst_reg = (to), .src_reg = (from), .off = (distance), \
	  .imm = (constant) }

/*
 * A classifier that leaves the jiffies as its packet's time.  Who stores them in the packet
 * has to compare pointers, which takes CAP_PERFMON on Linux 5.10.
 */
static const struct bpf_insn jiffies_program[] = {
	INSTRUCTION(BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_6, BPF_REG_1, 0, 0),
	INSTRUCTION(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_jiffies64),
	INSTRUCTION(BPF_STX | BPF_MEM | BPF_DW, BPF_REG_6, BPF_REG_0,
		    offsetof(struct __sk_buff, tstamp), 0),
	INSTRUCTION(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 0),
	INSTRUCTION(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),
};

__u32 clock_hz(void)
{
	struct timespec tick = {};

	/* The coarse clock moves once a jiffy. */
	clock_getres(CLOCK_MONOTONIC_COARSE, &tick);
	return tick.tv_nsec ? (1000000000 + tick.tv_nsec / 2) / tick.tv_nsec : 100;
}

int clock_open(void)
{
	return bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "xlb_jiffies", "GPL", jiffies_program,
			     sizeof(jiffies_program) / sizeof(jiffies_program[0]), NULL);
}

int clock_read(int clock, __u64 *jiffies)
{
	struct __sk_buff left = {};
	__u8 packet[64] = {};
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = packet, .data_size_in = sizeof(packet),
		    .ctx_out = &left, .ctx_size_out = sizeof(left), .repeat = 1);
	int error = bpf_prog_test_run_opts(clock, &options);

	*jiffies = left.tstamp;
	return error;
}

int clock_jiffies(__u64 *jiffies)
{
	int clock = clock_open(), error;

	if (clock < 0)
		return clock;
	error = clock_read(clock, jiffies);
	close(clock);
	return error;
}

/* The kernel's INITIAL_JIFFIES: they wrap five minutes after it has started. */
static __u64 jiffies_first(void)
{
	return (__u32)(-300 * (__s64)clock_hz());
}

int clock_jiffies_about(__u64 *jiffies)
{
	int error = clock_jiffies(jiffies);

	if (error == -EPERM || error == -EACCES) {
		*jiffies = jiffies_first() + clock_milliseconds() * clock_hz() / 1000;
		error = 0;
	}
	return error;
}

__u64 clock_nanoseconds(clockid_t clock)
{
	struct timespec now = {};

	clock_gettime(clock, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec;
}

__s64 clock_milliseconds(void)
{
	return clock_nanoseconds(CLOCK_MONOTONIC) / 1000000;
}

/*
 * The kernel returns from an update of a map of maps only when no program can be
 * using what stood there before.
 */
static int grace_by_map(void)
{
	LIBBPF_OPTS(bpf_map_create_opts, options);
	int inner, outer, error;
	__u32 zero = 0;

	inner = bpf_map_create(BPF_MAP_TYPE_ARRAY, "xlb_grace_inner", sizeof(zero), sizeof(zero),
			       1, NULL);
	if (inner < 0)
		return inner;
	options.inner_map_fd = inner;
	outer = bpf_map_create(BPF_MAP_TYPE_ARRAY_OF_MAPS, "xlb_grace", sizeof(zero),
			       sizeof(inner), 1, &options);
	error = outer < 0 ? outer : bpf_map_update_elem(outer, &zero, &inner, BPF_ANY);
	if (outer >= 0)
		close(outer);
	close(inner);
	return error;
}

int clock_grace(void)
{
	if (!syscall(__NR_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0))
		return 0;
	/* Not with nohz_full, nor where a container's filter forbids it. */
	return grace_by_map();
}
