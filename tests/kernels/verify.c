// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the running kernel's verifier thinks of each program of objects: how many
 * instructions it looked at, the deepest stack of functions that call each other, and
 * whether older kernels know its loops for such.
 *
 *	verify INSTRUCTIONS_MAX OBJECT...
 *
 * TAP: not ok is a program that does not load, is over the bound, or has more stack or
 * other loops than an older kernel allows, whatever this one does.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "object.h"

#define LOG_STATISTICS 4 /* <linux/bpf_verifier.h>: BPF_LOG_STATS */
#define LOG_SIZE (1 << 16)
#define FUNCTIONS_MAX 256
#define CALLS_MAX 8	  /* MAX_CALL_FRAMES */
#define STACK_MAX 512	  /* MAX_BPF_STACK */
#define FRAME_ROUNDING 32 /* what kernels up to 6.1 round each function's frame to */

struct functions {
	unsigned count;
	unsigned start[FUNCTIONS_MAX + 1]; /* ascending; the last is the end */
	unsigned frame[FUNCTIONS_MAX];	   /* bytes */
};

static unsigned checks;
static bool failed;

static void check(bool ok, const char *label, const char *what)
{
	printf("%sok %u - %s: %s\n", ok ? "" : "not ", ++checks, label, what);
	failed |= !ok;
}

static void skip(const char *label, const char *what)
{
	printf("ok %u - %s: %s # SKIP not on this kernel: since 5.18\n", ++checks, label, what);
}

static bool insn_calls(const struct bpf_insn *insn)
{
	return insn->code == (BPF_JMP | BPF_CALL) && insn->src_reg == BPF_PSEUDO_CALL;
}

static int ascending(const void *left, const void *right)
{
	const unsigned *a = left, *b = right;

	return (*a > *b) - (*a < *b);
}

/* Functions begin where calls lead. */
static int functions_find(struct functions *functions, const struct bpf_insn *insns, unsigned count)
{
	unsigned unique = 1;

	functions->count = 1;
	functions->start[0] = 0;
	for (unsigned at = 0; at < count; at++) {
		if (!insn_calls(&insns[at]))
			continue;
		if (functions->count == FUNCTIONS_MAX)
			return -E2BIG;
		functions->start[functions->count++] = at + 1 + insns[at].imm;
		qsort(functions->start, functions->count, sizeof(unsigned), ascending);
		unique = 1;
		for (unsigned i = 1; i < functions->count; i++) {
			if (functions->start[i] != functions->start[unique - 1])
				functions->start[unique++] = functions->start[i];
		}
		functions->count = unique;
	}
	functions->start[functions->count] = count;
	return 0;
}

/* "stack depth 96+0+176": a frame each, in the order of the functions. */
static int frames_read(struct functions *functions, const char *log)
{
	const char *at = strstr(log, "stack depth ");

	if (!at)
		return -ENODATA;
	at += strlen("stack depth ");
	for (unsigned i = 0; i < functions->count; i++) {
		char *end;

		functions->frame[i] = strtoul(at, &end, 10);
		if (end == at)
			return -ENODATA;
		at = end + (*end == '+');
	}
	return 0;
}

/* The most that a function and what it calls have on the stack at once. */
static unsigned stack_deepest(const struct functions *functions, const struct bpf_insn *insns,
			      unsigned function, unsigned calls)
{
	unsigned frame = functions->frame[function] ?: 1, deepest = 0;

	for (unsigned at = functions->start[function]; calls && at < functions->start[function + 1];
	     at++) {
		unsigned target = at + 1 + insns[at].imm, stack;
		const unsigned *called;

		if (!insn_calls(&insns[at]))
			continue;
		called = bsearch(&target, functions->start, functions->count, sizeof(unsigned),
				 ascending);
		stack = stack_deepest(functions, insns, called - functions->start, calls - 1);
		if (stack > deepest)
			deepest = stack;
	}
	return deepest + (frame + FRAME_ROUNDING - 1) / FRAME_ROUNDING * FRAME_ROUNDING;
}

enum visit {
	VISIT_NONE,
	VISIT_OPEN, /* on the way from the start to where we are */
	VISIT_DONE,
};

static bool insn_jumps(const struct bpf_insn *insn)
{
	unsigned class = BPF_CLASS(insn->code);

	return (class == BPF_JMP || class == BPF_JMP32) && BPF_OP(insn->code) != BPF_CALL;
}

/* The ways on from an instruction: how many, at most two; the first is the next one. */
static unsigned ways_on(const struct bpf_insn *insns, unsigned at, unsigned ways[2])
{
	ways[0] = at + 1;
	ways[1] = at + 1 + insns[at].off;
	if (!insn_jumps(&insns[at]))
		return 1;
	switch (BPF_OP(insns[at].code)) {
	case BPF_EXIT:
		return 0;
	case BPF_JA:
		ways[0] = ways[1];
		return 1;
	default:
		return 2;
	}
}

/*
 * Linux 5.10 knows a loop by the jump back, and refuses one whose last instruction just
 * goes on to its first ("back-edge"): that instruction, or 0.
 */
static unsigned loop_falling(const struct functions *functions, const struct bpf_insn *insns)
{
	unsigned count = functions->start[functions->count], depth, found = 0, ways[2];
	unsigned char *visits = calloc(count + 1, 1), *taken = calloc(count + 1, 1);
	unsigned *path = calloc(count + 1, sizeof(*path));

	for (unsigned i = 0; visits && taken && path && i < functions->count; i++) {
		path[0] = functions->start[i];
		visits[path[0]] = VISIT_OPEN;
		for (depth = 1; depth;) {
			unsigned at = path[depth - 1], next;

			if (taken[at] == ways_on(insns, at, ways)) {
				visits[at] = VISIT_DONE;
				depth--;
				continue;
			}
			next = ways[taken[at]++];
			if (visits[next] == VISIT_OPEN && !insn_jumps(&insns[at]))
				found = at;
			if (visits[next] != VISIT_NONE)
				continue;
			visits[next] = VISIT_OPEN;
			path[depth++] = next;
		}
	}
	free(visits);
	free(taken);
	free(path);
	return found;
}

static void report(const char *label, const struct bpf_program *program, const char *log,
		   unsigned long bound)
{
	const struct bpf_insn *insns = bpf_program__insns(program);
	const char *processed = strstr(log, "processed ");
	struct functions functions;
	unsigned long verified;
	unsigned stack, loop;
	char line[80];

	if (!processed || functions_find(&functions, insns, bpf_program__insn_cnt(program)) ||
	    frames_read(&functions, log)) {
		check(false, label, "the verifier's log is not understood");
		printf("# %s\n", log);
		return;
	}
	verified = strtoul(processed + strlen("processed "), NULL, 10);
	snprintf(line, sizeof(line), "instructions = %lu", verified);
	check(verified <= bound, label, line);
	stack = stack_deepest(&functions, insns, 0, CALLS_MAX);
	snprintf(line, sizeof(line), "stack = %u", stack);
	check(stack <= STACK_MAX, label, line);
	loop = loop_falling(&functions, insns);
	snprintf(line, sizeof(line), loop ? "Linux 5.10 takes its loops, but that at %u"
					  : "Linux 5.10 takes its loops", loop);
	check(!loop, label, line);
}

/* The last lines tell why. */
static void log_print(const char *log)
{
	size_t length = strlen(log);
	const char *at = log + (length > 2000 ? length - 2000 : 0);

	while (*at) {
		int line = strcspn(at, "\n");

		printf("# %.*s\n", line, at);
		at += line + (at[line] == '\n');
	}
}

/* One program of the object, the others left out, without pinning anything. */
static struct bpf_program *program_prepare(struct bpf_object *object, const char *name)
{
	struct bpf_program *program, *wanted = NULL;
	struct bpf_map *map;

	bpf_object__for_each_program(program, object)
	{
		bool is = !strcmp(bpf_program__name(program), name);

		/* What `ip` loads without `sec`, from a section that libbpf does not know. */
		if (bpf_program__type(program) == BPF_PROG_TYPE_UNSPEC)
			bpf_program__set_type(program, BPF_PROG_TYPE_XDP);
		bpf_program__set_autoload(program, is);
		if (is)
			wanted = program;
	}
	bpf_object__for_each_map(map, object) bpf_map__set_pin_path(map, NULL);
	return wanted;
}

static void program_verify(const char *path, const char *name, bool frags, unsigned long bound)
{
	const char *file = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
	struct bpf_object *object = bpf_object__open_file(path, NULL);
	struct bpf_program *program = program_prepare(object, name);
	char *log = calloc(1, LOG_SIZE), label[80];
	int error = frags ? object_set_frags(object, program) : 0;

	snprintf(label, sizeof(label), "%s %s%s", file, name, frags ? " for frames in pieces" : "");
	if (error == -ENODATA)
		goto out;
	bpf_program__set_log_level(program, LOG_STATISTICS);
	bpf_program__set_log_buf(program, log, LOG_SIZE);
	error = bpf_object__load(object);
	if (frags && error == -EINVAL && !*log) {
		skip(label, "instructions");
		skip(label, "stack");
		skip(label, "Linux 5.10 takes its loops");
	} else if (error) {
		check(false, label, strerror(-error));
		log_print(log);
	} else {
		report(label, program, log, bound);
	}
out:
	free(log);
	bpf_object__close(object);
}

static int object_verify(const char *path, unsigned long bound)
{
	struct bpf_object *object = bpf_object__open_file(path, NULL);
	struct bpf_program *program;

	if (!object)
		return -errno;
	bpf_object__for_each_program(program, object)
	{
		program_verify(path, bpf_program__name(program), false, bound);
		/* The one that tools load. */
		if (!strcmp(bpf_program__section_name(program), "xdp"))
			program_verify(path, bpf_program__name(program), true, bound);
	}
	bpf_object__close(object);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc < 3) {
		fprintf(stderr, "usage: verify INSTRUCTIONS_MAX OBJECT...\n");
		return 1;
	}
	libbpf_set_print(NULL);
	for (int i = 2; i < argc; i++) {
		int error = object_verify(argv[i], strtoul(argv[1], NULL, 10));

		if (error)
			check(false, argv[i], strerror(-error));
	}
	printf("1..%u\n", checks);
	return failed ? 2 : 0;
}
