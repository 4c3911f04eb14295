/* SPDX-License-Identifier: GPL-2.0-only */
/* Numbers that a seed determines: Steele and others, Fast splittable pseudorandom number
 * generators, OOPSLA 2014. */
#ifndef FUZZ_RANDOM_H
#define FUZZ_RANDOM_H

#include <linux/types.h>
#include <stdbool.h>

struct random {
	__u64 state;
};

static inline __u64 random_word(struct random *random)
{
	__u64 word = random->state += 0x9e3779b97f4a7c15ULL;

	word = (word ^ word >> 30) * 0xbf58476d1ce4e5b9ULL;
	word = (word ^ word >> 27) * 0x94d049bb133111ebULL;
	return word ^ word >> 31;
}

/* 0 to `below` - 1. */
static inline unsigned random_below(struct random *random, unsigned below)
{
	return (random_word(random) >> 32) * below >> 32;
}

/* True once in `times`. */
static inline bool random_once(struct random *random, unsigned times)
{
	return !random_below(random, times);
}

#endif
