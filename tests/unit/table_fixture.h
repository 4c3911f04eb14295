/* SPDX-License-Identifier: GPL-2.0-only */
/* What the tests of loader/table.c share: backends to build tables of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "table.h"

#define BACKENDS 1001
#define SIZE XLB_TABLE_DEFAULT
#define SIZE_LARGE 65537

static struct table_backend backends[BACKENDS];
static __u16 before[XLB_TABLE_MAX], after[XLB_TABLE_MAX];
static unsigned counts[XLB_BACKEND_ID_MAX + 1];

/* The same numbers in each run: what fails once fails again. */
static __u32 random_below(__u32 limit)
{
	static __u64 state = 1;

	state = state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (state >> 32) % limit;
}

/* Backends with ids from 1, all up; `heaviest` bounds their random weights. */
static void backends_make(unsigned count, __u32 heaviest)
{
	for (unsigned i = 0; i < count; i++)
		backends[i] = (struct table_backend){
			.address = { [10] = 0xff, 0xff, 10, 0, i >> 8, i },
			.port = 8080,
			.id = i + 1,
			.weight = 1 + random_below(heaviest),
			.state = XLB_UP,
		};
}

static void build(unsigned count, __u32 size, __u16 *owners)
{
	memset(owners, 0xff, size * sizeof(*owners));	/* none of it is to stay */
	assert_int_equal(table_build(backends, count, size, owners), 0);
}

static void owners_count(const __u16 *owners, __u32 size)
{
	memset(counts, 0, sizeof(counts));
	for (__u32 slot = 0; slot < size; slot++)
		counts[owners[slot]]++;
}

static unsigned owners_differ(__u32 size)
{
	unsigned differ = 0;

	for (__u32 slot = 0; slot < size; slot++)
		differ += before[slot] != after[slot];
	return differ;
}
