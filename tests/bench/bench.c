// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a packet costs above XDP_PASS: all programs in one run, taking short
 * turns in random order, so that what else the machine does hits them alike.
 * tests/bench/run makes the network that it wants.
 */
#define _GNU_SOURCE	/* CPU_SET */
#include <bpf/bpf.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rows.h"

/* Turns, packets a turn. */
#define NUMBER_MAX 1000000000

struct options {
	unsigned turns;
	unsigned packets;	/* a turn */
	int cpu;		/* -1: the last one there is */
	bool json;
	const char *only;	/* part of the names of the rows to run */
	const char *object;
};

struct summary {
	double min, median, max;
};

static int usage(FILE *to)
{
	fprintf(to, "usage: tests/bench/run [ -j ] [ -t TURNS ] [ -n PACKETS ] [ -c CPU ]\n"
		    "                       [ -r PART-OF-ROW-NAME ] [ XLB-OBJECT ]\n");
	return to == stderr;
}

static bool number_parse(const char *text, unsigned *number)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	*number = value;
	return !*end && end != text && value <= NUMBER_MAX;
}

/* False: there is no such option, or what it is given makes no sense. */
static bool option_set(struct options *options, int option)
{
	unsigned cpu;

	switch (option) {
	case 'j':
		options->json = true;
		return true;
	case 't':
		return number_parse(optarg, &options->turns) && options->turns;
	case 'n':
		return number_parse(optarg, &options->packets) && options->packets;
	case 'c':
		if (!number_parse(optarg, &cpu))
			return false;
		options->cpu = cpu;
		return true;
	case 'r':
		options->only = optarg;
		return true;
	default:
		return false;
	}
}

static int cpu_pin(int cpu)
{
	cpu_set_t allowed;

	if (cpu < 0) {
		if (sched_getaffinity(0, sizeof(allowed), &allowed))
			return -1;
		for (cpu = CPU_SETSIZE - 1; !CPU_ISSET(cpu, &allowed);)
			cpu--;
	}
	CPU_ZERO(&allowed);
	CPU_SET(cpu, &allowed);
	return sched_setaffinity(0, sizeof(allowed), &allowed);
}

static int by_size(const void *a, const void *b)
{
	double difference = *(const double *)a - *(const double *)b;

	return (difference > 0) - (difference < 0);
}

static struct summary summarise(double *samples, unsigned count)
{
	qsort(samples, count, sizeof(*samples), by_size);
	return (struct summary){
		.min = samples[0],
		.median = (samples[(count - 1) / 2] + samples[count / 2]) / 2,
		.max = samples[count - 1],
	};
}

static void shuffle(unsigned *order, unsigned count)
{
	unsigned i, j, kept;

	for (i = count - 1; i > 0; i--) {
		j = random() % (i + 1);
		kept = order[i];
		order[i] = order[j];
		order[j] = kept;
	}
}

/* Which rows to run; how many. */
static unsigned rows_choose(const struct options *options, unsigned *order)
{
	unsigned i, count = 0;

	for (i = 0; i < row_count; i++)
		if (!options->only || strstr(rows[i].name, options->only))
			order[count++] = i;
	return count;
}

static bool rows_want(const unsigned *order, unsigned count, enum program program)
{
	while (count--)
		if (rows[order[count]].program == program)
			return true;
	return false;
}

/* `passes` takes a value a row and turn. */
static int rows_measure(const struct world *world, const struct options *options,
			unsigned *order, unsigned count, double *passes)
{
	unsigned turn, i;

	for (turn = 0; turn < options->turns; turn++) {
		shuffle(order, count);
		for (i = 0; i < count; i++) {
			struct row *row = &rows[order[i]];

			if (row_measure(world, row, options->packets, &row->samples[turn],
					passes++))
				return -1;
		}
	}
	return 0;
}

static void table_print(const struct options *options, struct summary pass)
{
	unsigned i;

	printf("%u turns of %u packets.  Restoring one, XDP_PASS and its share of the system call:\n"
	       "%.1f ns (%.1f to %.1f), taken off below.\n\n%-44s %7s %7s %7s\n", options->turns, options->packets,
	       pass.median, pass.min, pass.max, "ns per packet above XDP_PASS", "min", "median",
	       "max");
	for (i = 0; i < row_count; i++) {
		struct summary ns;

		if (!rows[i].samples)
			continue;
		ns = summarise(rows[i].samples, options->turns);
		printf("%-44s %7.1f %7.1f %7.1f", rows[i].name, ns.min, ns.median, ns.max);
		if (rows[i].target)
			printf("   at most %.0f: %s", rows[i].target,
			       ns.median <= rows[i].target ? "reached" : "missed");
		putchar('\n');
	}
}

static void json_print(const struct options *options, struct summary pass)
{
	const char *separator = "";
	unsigned i;

	printf("{\"turns\":%u,\"packets\":%u,\"pass\":{\"min\":%.2f,\"median\":%.2f,\"max\":%.2f},"
	       "\"rows\":[", options->turns, options->packets, pass.min, pass.median, pass.max);
	for (i = 0; i < row_count; i++) {
		struct summary ns;

		if (!rows[i].samples)
			continue;
		ns = summarise(rows[i].samples, options->turns);
		printf("%s{\"name\":\"%s\",\"min\":%.2f,\"median\":%.2f,\"max\":%.2f", separator,
		       rows[i].name, ns.min, ns.median, ns.max);
		separator = ",";
		if (rows[i].target)
			printf(",\"target\":%.0f", rows[i].target);
		putchar('}');
	}
	printf("]}\n");
}

/* How large xlb is: its instructions, what the JIT made of them, what verifying took. */
static void size_print(const struct world *world)
{
	struct bpf_prog_info info = {};
	__u32 length = sizeof(info);

	if (bpf_obj_get_info_by_fd(world->programs[XLB], &info, &length))
		return;
	printf("\nxlb_xdp: %zu instructions, %u bytes of machine code; the verifier processed %u.\n",
	       info.xlated_prog_len / sizeof(struct bpf_insn), info.jited_prog_len,
	       info.verified_insns);
}

/* All of it, once everything is in place: the exit status. */
static int bench(const struct world *world, const struct options *options, unsigned *order,
		 unsigned count)
{
	double *passes = calloc(count * options->turns, sizeof(double));
	struct summary pass;
	unsigned i;

	rows_prepare();
	for (i = 0; i < count; i++) {
		rows[order[i]].samples = calloc(options->turns, sizeof(double));
		if (!rows[order[i]].samples || row_verify(world, &rows[order[i]]))
			return 1;
	}
	if (!passes || rows_measure(world, options, order, count, passes))
		return 1;
	pass = summarise(passes, count * options->turns);
	if (options->json) {
		json_print(options, pass);
		return 0;
	}
	table_print(options, pass);
	size_print(world);
	return 0;
}

int main(int argc, char **argv)
{
	struct options options = { .turns = 31, .packets = 300000, .cpu = -1,
				   .object = "bpf/xlb.o" };
	unsigned count, order[row_count];
	struct world world;
	int option;

	while ((option = getopt(argc, argv, "jt:n:c:r:h")) != -1) {
		if (option == 'h')
			return usage(stdout);
		if (!option_set(&options, option))
			return usage(stderr);
	}
	count = rows_choose(&options, order);
	if (!count || argc - optind > 1)
		return usage(stderr);
	if (optind < argc)
		options.object = argv[optind];
	if (cpu_pin(options.cpu)) {
		perror("bench: CPU");
		return 1;
	}
	return world_open(&world, options.object, rows_want(order, count, XLB_ROOMY)) ||
	       bench(&world, &options, order, count);
}
