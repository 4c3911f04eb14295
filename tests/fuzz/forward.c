// SPDX-License-Identifier: GPL-2.0-only
/* From client to backend: to which of them, and what else may happen. */
#include <linux/bpf.h>
#include <string.h>

#include "attempt.h"
#include "rules.h"

/* Must the flow stay where it was?  Whoever opens one anew need not. */
static bool flow_stays(const struct court *court, const struct trial *trial,
		       const struct known *known)
{
	const struct backend *backend = known->backend;

	if (!backend || backend->life != known->life || backend->state == XLB_DOWN ||
	    !backend->state)
		return false;
	if (!trial->view.opening)
		return true;
	if (known->closing || (known->service->mode == XLB_NAT && court->memory->closed_unseen))
		return false;
	return known->change == court->memory->change;
}

static bool may_go_to(const struct backend *backend, const struct trial *trial,
		      const struct known *known)
{
	if (!backend->state || backend->state == XLB_DOWN)
		return false;
	/* Nobody that drains, or has no weight, gets a new flow. */
	return known || !trial->view.opening || (backend->state == XLB_UP && backend->weight);
}

/* Is there anybody for new flows? */
static bool anybody_new(const struct service *service)
{
	for (unsigned i = 0; i < service->count; i++)
		if (service->backends[i].state == XLB_UP && service->backends[i].weight)
			return true;
	return false;
}

/* The packet was of this flow, and may have made a record that nobody has told of. */
static void remember_try(struct court *court, struct trial *trial, struct service *service,
			 bool stays)
{
	struct known *known = memory_know(court->memory, &trial->view.flow);

	/* A FIN or RST closes, even if it goes no further than here. */
	if (known && trial->view.closing)
		known->closing = true;
	if (!known || stays || court->learnt)
		return;
	known->service = service;
	known->backend = NULL;
	known->source_port = 0;
}

/* How much a complaint tells: most does what was wrong with a frame that went there. */
static int complaint_weight(const char *complaint)
{
	if (strstr(complaint, "verdict"))
		return 0;
	if (strstr(complaint, "bytes, wanted") || strstr(complaint, "not counted"))
		return 1;
	return strstr(complaint, ": byte ") ? 2 : 3;
}

/* Does the end at any backend that the packet may go to explain what happened? */
static bool backends_judge(struct court *court, struct trial *trial, struct service *service,
			   struct known *known, bool stays)
{
	char complaint[sizeof(court->complaint)] = "verdict";
	bool tried = false;

	for (unsigned i = 0; i < service->count; i++) {
		struct backend *backend = &service->backends[i];
		struct attempt attempt = { .service = service, .backend = backend };
		struct known before = known ? *known : (struct known){};

		if (stays ? backend != known->backend : !may_go_to(backend, trial, known))
			continue;
		tried = true;
		attempt.known = stays ? known : NULL;
		attempt.end = attempt_end(court, trial, service, backend);
		if (attempt_judge(court, trial, &attempt) ||
		    (attempt.end.fate <= FATE_STACK && attempt_conflicts(court, trial, &attempt)))
			return true;
		if (known)
			*known = before;
		if (complaint_weight(court->complaint) >= complaint_weight(complaint))
			memcpy(complaint, court->complaint, sizeof(complaint));
	}
	memcpy(court->complaint, complaint, sizeof(complaint));
	return !tried && is_dropped(court, trial, REASON(no_backend), "no backend to go to");
}

/* UDP does not tell what opens a connection, so there each packet counts. */
static bool counts(const struct trial *trial)
{
	return trial->view.opening ||
	       (trial->view.flow.protocol == PROTOCOL_UDP && !trial->error);
}

bool judge_forward(struct court *court, struct trial *trial, struct service *service)
{
	static const struct address any[2] = { { .v6 = false }, { .v6 = true } };
	struct known *known = memory_known(court->memory, &trial->view.flow);
	bool right, stays;

	if (address_same(&service->address, &any[service->address.v6]) && trial->link != LINK_LO &&
	    address_impossible(&trial->view.flow.destination))
		return is_dropped(court, trial, REASON(bad_destination), "an odd destination");
	if (trial->view.faults)
		return is_dropped_for_faults(court, trial);
	if (rules_deny(court->world, &trial->view.flow.source, service))
		return is_dropped(court, trial, REASON(denied), "denied");
	if (limit_reached(service, &trial->view.flow.source) && counts(trial))
		return is_dropped(court, trial, REASON(limited), "limited");
	if (known && known->service != service)
		known = NULL;
	stays = known && flow_stays(court, trial, known);
	if (trial->error && service->mode == XLB_NAT && !stays &&
	    (is_untouched(court, trial, "an error about a flow without record") || !known))
		return trial->verdict == XDP_PASS;
	right = backends_judge(court, trial, service, known, stays);
	if (!right && trial->verdict == XDP_DROP && !anybody_new(service) && !stays)
		right = is_dropped(court, trial, REASON(no_backend), "no backend for new flows");
	if (!right && trial->verdict == XDP_DROP && !court->world->sources &&
	    (service->mode == XLB_NAT || service->mode >= XLB_IPIP))
		right = is_dropped(court, trial, REASON(no_source), "no source");
	if (right && !trial->error)
		remember_try(court, trial, service, stays);
	return right;
}
