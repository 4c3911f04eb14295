// SPDX-License-Identifier: GPL-2.0-only
/* From results of probes to the health of a backend. */
#include "probe_health.h"

bool health_judge(struct health *health, enum result result, unsigned rise, unsigned fall)
{
	bool up = result != RESULT_DOWN, first = !health->known;

	if (result == RESULT_UNKNOWN)
		return false;
	health->known = true;
	if (up == health->up) {
		health->contrary = 0;
		return false;
	}
	if (!first && ++health->contrary < (up ? rise : fall))
		return false;
	health->up = up;
	health->contrary = 0;
	return true;
}

__u32 interval_jittered(__u32 interval, unsigned jitter, __u32 random)
{
	__u64 most = (__u64)interval * jitter / 100;

	return interval - most + ((random * (2 * most + 1)) >> 32);
}
