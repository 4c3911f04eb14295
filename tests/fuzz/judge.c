// SPDX-License-Identifier: GPL-2.0-only
/* What a frame is, and thereby what may become of it; answers on their way back. */
#include <linux/bpf.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "judge.h"

bool complain(struct court *court, const char *format, ...)
{
	va_list words;

	va_start(words, format);
	vsnprintf(court->complaint, sizeof(court->complaint), format, words);
	va_end(words);
	return false;
}

bool is_untouched(struct court *court, struct trial *trial, const char *why)
{
	court->outcome = "untouched";
	court->reason = REASON_NONE;
	if (trial->verdict != XDP_PASS)
		return complain(court, "%s: verdict %u, wanted to pass", why, trial->verdict);
	if (trial->out_size != trial->in_size ||
	    memcmp(trial->out, trial->in, trial->in_size) != 0)
		return complain(court, "%s: was changed", why);
	return true;
}

bool is_dropped(struct court *court, struct trial *trial, int reason, const char *why)
{
	court->outcome = "dropped";
	court->reason = reason;
	if (trial->verdict != XDP_DROP)
		return complain(court, "%s: verdict %u, wanted a drop: %s", why, trial->verdict,
				court->world->drops[reason]);
	return trial->drops[reason] == 1 ||
	       complain(court, "%s: not counted as %s", why, court->world->drops[reason]);
}

bool is_dropped_for_faults(struct court *court, struct trial *trial)
{
	static const struct {
		unsigned fault;
		int reason;
	} reasons[] = {
		{ FAULT_LENGTH, REASON(bad_length) },
		{ FAULT_SOURCE, REASON(bad_source) },
		{ FAULT_LAND, REASON(land) },
	};

	for (unsigned i = 0; i < 3; i++)
		if (trial->view.faults & reasons[i].fault &&
		    is_dropped(court, trial, reasons[i].reason, "malformed"))
			return true;
	return false;
}

/* A packet that only a VIP would mind. */
static bool for_vip(struct court *court, struct trial *trial, int reason, const char *why)
{
	if (world_is_vip(court->world, &trial->view.flow.destination))
		return is_dropped(court, trial, reason, why);
	return is_untouched(court, trial, "malformed, but for no VIP");
}

static void court_begin(struct court *court)
{
	court->in = court->connection = NULL;
	court->connection_maybe = false;
	court->learnt = false;
	court->either_count = 0;
	court->either_out = false;
	court->outcome = "";
	court->reason = REASON_NONE;
}

/* A client may have asked from the port of a service on any address. */
static bool judge_any(struct court *court, struct trial *trial, struct service *service)
{
	switch (answers(court, &trial->view.flow)) {
	case ANSWERS_NOT:
		return judge_forward(court, trial, service);
	case ANSWERS_MAYBE:
		if (judge_forward(court, trial, service))
			return true;
		court_begin(court);
		break;
	case ANSWERS:
		break;
	}
	return judge_reply(court, trial);
}

bool judge_flow(struct court *court, struct trial *trial)
{
	static const __u8 any[16];
	struct service *service = world_service(court->world, &trial->view.flow);

	if (!service)
		return judge_reply(court, trial);
	return memcmp(service->address.bytes, any, sizeof(any))
		       ? judge_forward(court, trial, service)
		       : judge_any(court, trial, service);
}

static bool judge_kind(struct court *court, struct trial *trial)
{
	struct view *view = &trial->view;

	switch (view->kind) {
	case KIND_BAD_HEADER:
		return for_vip(court, trial, REASON(bad_header), "a bad header");
	case KIND_CUT:
		return for_vip(court, trial, REASON(bad_length), "cut short");
	case KIND_ICMP:
		return judge_icmp(court, trial);
	case KIND_LATER:
		if (!memory_fragment_later(court->memory, view))
			return for_vip(court, trial, REASON(fragment), "no first fragment");
		return judge_flow(court, trial);
	case KIND_PACKET:
		if (view->fragment && !view->faults)
			memory_fragment_first(court->memory, view);
		return judge_flow(court, trial);
	default:
		return is_untouched(court, trial, "not for xlb");
	}
}

/* Nothing is counted but what was said. */
static bool drops_right(struct court *court, const struct trial *trial)
{
	for (unsigned i = 0; i < court->world->drop_count; i++)
		if (trial->drops[i] != ((int)i == court->reason))
			return complain(court, "%s: counted %llu times as %s", court->outcome,
					(unsigned long long)trial->drops[i],
					court->world->drops[i]);
	return true;
}

bool judge(struct court *court, struct trial *trial)
{
	court_begin(court);
	view_read(&trial->view, trial->in, trial->in_size);
	if (trial->link == LINK_LO)
		trial->view.faults &= FAULT_LENGTH;
	if (trial->verdict == XDP_ABORTED || trial->verdict > XDP_REDIRECT)
		return complain(court, "verdict %u", trial->verdict);
	return judge_kind(court, trial) && drops_right(court, trial);
}
