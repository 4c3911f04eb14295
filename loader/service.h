/* SPDX-License-Identifier: GPL-2.0-only */
/* What other objects want of services. */
#ifndef XLB_SERVICE_H
#define XLB_SERVICE_H

#include "output.h"
#include "state.h"

/* Keywords that the configuration has the defaults of. */
#define TABLE_KEYWORD \
	{ .name = "table", .type = KEYWORD_NUMBER, .minimum = XLB_TABLE_MIN, \
	  .maximum = XLB_TABLE_MAX }
#define SETTLE_KEYWORD \
	{ .name = "settle", .type = KEYWORD_NUMBER, .maximum = 86400 }
#define SERVICE_KEYWORD { .name = "service", .type = KEYWORD_WORD }

/* STATUS_USAGE after saying so, unless the size is prime or not given. */
enum status table_check(const struct args *args, const struct keyword *keyword);

/* Parses the value of a `service` keyword, if it is given; STATUS_USAGE. */
enum status service_argument(const struct args *args, const struct keyword *keyword,
			     struct endpoint *endpoint);

/*
 * The service of such a keyword or, if it is not given, the only one there is.
 * NULL after saying what is wrong.
 */
struct service *service_choose(const struct args *args, const struct state *state,
			       const struct keyword *keyword);

/*
 * The same for commands that are about all services if none is named: false
 * after saying what is wrong, else true and *service may be NULL.
 */
bool service_filter(const struct args *args, const struct state *state,
		    const struct keyword *keyword, struct service **service);

/* Says what an error of state_*_add() means; STATUS_REFUSED. */
enum status full_fail(const struct args *args, const struct state *state, enum map full,
		      int error);

/* Says what an error of rule_number() or rule_get() means, after these words. */
enum status number_fail(const struct args *args, const char *what, int error);

/*
 * What `set` or `add` would take, as words or as fields of JSON: what is shown and
 * what is saved.
 */
void config_fields(struct output *output, const struct xlb_config *config);
void service_fields(struct output *output, const struct service *service);
void backend_fields(struct output *output, const struct backend *backend);

/* By endpoint. */
void services_sort(struct state *state);

/* A service's backends by endpoint, NULL at the end; the caller frees. */
struct backend **backends_sorted(const struct service *service);

/* Slots that are marked; adds those that each backend has to slots[id]. */
unsigned service_marks(const struct state *state, const struct service *service);
void service_count_slots(const struct state *state, const struct service *service,
			 unsigned *slots);

#endif
