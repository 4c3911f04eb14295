/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the maps hold, in memory: commands edit it, state_commit() writes the
 * difference.  Nothing here reports; all return 0 or -errno.
 */
#ifndef XLB_STATE_H
#define XLB_STATE_H

#include <stdbool.h>

#include "endpoint.h"
#include "maps.h"

struct rule;
struct service;

struct backend {
	struct service *service;	/* NULL for one that is deleted */
	struct backend *next;		/* of the service, or deleted */
	struct endpoint end;		/* its address, port and protocol */
	struct xlb_backend_key key;
	struct xlb_backend value;
	enum xlb_mode stood;		/* its service's in the maps; 0: it is not there */
	bool written;			/* stands in xlb_backends */
	bool edited;			/* not as it stands there */
	bool stood_up;			/* stands there as backend_up() */
	bool by_flow;			/* its flows are to be recorded (reply.h) */
};

/* An entry of xlb_replies*; its backend is 0 where there is none. */
struct reply {
	struct endpoint end;
	struct xlb_reply stands, wanted;
};

struct service {
	struct service *next;		/* deleted */
	bool yields;			/* deleted, and its slots may be another's: it goes first */
	struct endpoint endpoint;
	struct xlb_service value;
	struct backend *backends;
	unsigned count;			/* backends */
	enum xlb_mode stood;		/* mode in xlb_services*; 0: is not there */
	bool written;			/* stands in xlb_services* */
	bool edited;			/* not as it stands there */
	__u32 stood_rules;		/* its value's as it stands there */
	__u32 rules;			/* and as it is to stand, once they are written */
	bool placed;			/* its slots stand where the table says */
	bool rebuild;			/* backends changed: who owns which slot? */
	bool unheeded;			/* health counts for nothing: service_judge() */
	bool collect;			/* drop its stale records, clear settled marks */
	bool flush;			/* drop all of its records, clear all marks */
	/* What state_plan() finds out. */
	struct xlb_slot *slots;		/* to be written; NULL: they stay */
	bool *held;			/* marks that some record still needs */
	bool recorded;			/* there may be records */
	bool moved;			/* some slot changes its owner */
	bool marked;			/* some slot becomes marked */
	bool cleared;			/* some slot is marked no more */
};

struct state {
	struct maps maps;
	struct xlb_config config;	/* filled with defaults if fresh */
	struct xlb_config config_stands;	/* as xlb_config has it */
	__u32 step_due;			/* milliseconds from state_warm() on; 0: none is */
	bool repair;			/* a writer died: something is left over */
	struct xlb_slot *slots;		/* xlb_slots, mapped; writable under the lock */
	bool slots_copied;		/* or a copy of those of services, to be looked at */
	struct xlb_target *targets;	/* by id, as they stand */
	struct backend **by_id;
	void *services;			/* tree (tsearch) by endpoint */
	void *backends;			/* tree by key */
	struct service **list;		/* all services, in no order */
	unsigned count;
	struct service *deleted_services;
	struct backend *deleted_backends;
	struct reply *replies;		/* by end; room for `reply_room` */
	unsigned reply_count, reply_room;
	bool untold;			/* flows were recorded that need it no more */
	struct rule **rules;		/* for sources, in no order (rule.h) */
	unsigned rule_count;
	void *rule_tree;		/* the same by service and prefix */
	bool rules_known;		/* all of them */
	bool rules_edited;		/* some are not as they stand in the maps */
	__u32 rules4, rules6;		/* the configuration's, once they are written */
	bool *numbers;			/* of services, the taken ones; NULL: find out */
	__u32 number_last;		/* the last that a service got */
	unsigned used[MAP_COUNT];	/* entries, deleted backends and rules included */
	struct xlb_table *ranges;	/* slots in use, by first (pool.c) */
	unsigned range_count;
	__u16 *free_ids;		/* in the order to give them out (pool.c) */
	unsigned free_count, free_next;
};

/*
 * Reads the maps, for one of the uses of maps_open().  On error *state is NULL or has only
 * maps, for maps_fail(); free it, too.  -EUCLEAN: the maps contradict themselves.
 */
int state_open(struct state **state, const char *pin, enum maps_use use);

/* To look at what the maps are going to hold that are on their way to this ABI version. */
int state_open_aside(struct state **state, const char *folder);

void state_free(struct state *state);

/*
 * A state of the same sizes in which nothing is configured, as those of fresh maps.
 * It can be edited and looked at, but not written.
 */
int state_blank(struct state **state, const char *pin);

/* How a backend stands, operator and checker together, once its service is judged. */
enum xlb_state backend_state(const struct backend *backend);

/* Do operator and checker both have it up? */
bool backend_up(const struct xlb_backend *value);

/*
 * Does health count?  Not where the service fails open and nobody is healthy of those
 * that the operator wants to serve.
 */
void service_judge(struct service *service);

/* Has it come to that, and does some backend serve whose health is down? */
bool service_failed_open(const struct service *service);

/* Slots that a table takes in xlb_slots, and the length of that map in bytes. */
__u32 table_room(__u32 size);
size_t slots_length(const struct state *state);

/* Does the mode of a service that stands change? */
bool service_mode_changes(const struct service *service);

struct service *state_service(const struct state *state, const struct endpoint *endpoint);

/* The service that a packet to this destination reaches, or NULL. */
struct service *state_service_match(const struct state *state, const struct endpoint *to);

/* The service's backend with this end, or NULL.  Other services may have one, too. */
struct backend *state_backend(const struct state *state, const struct service *service,
			      const struct endpoint *end);

/* The service's slots as they stand, if it is placed. */
struct xlb_slot *state_slots(const struct state *state, const struct service *service);

struct backend *state_backend_by_key(const struct state *state,
				     const struct xlb_backend_key *key);

void backend_key_fill(struct xlb_backend_key *key, const struct service *service,
		      const struct endpoint *end);

/* What a look-up is to find, or not any more: 0, -EEXIST, -ENOMEM. */
int state_service_index(struct state *state, struct service *service);
void state_service_unindex(struct state *state, struct service *service);
int state_backend_index(struct state *state, struct backend *backend);
void state_backend_unindex(struct state *state, struct backend *backend);

/*
 * Slots for a table of this size, and what else is in use then: 0, -ENOMEM, and
 * -ENOSPC, or -EUCLEAN if they are in use already.  Those of a service that is deleted
 * stay in use as long as there are others, so that one added again can take its place.
 */
int range_take(struct state *state, __u32 size, __u32 *first);
int range_reserve(struct state *state, const struct xlb_table *table);
void range_release(struct state *state, __u32 first);

/* The id that has been free for longest: 0, -ENOMEM, -ENOSPC. */
int id_take(struct state *state, __u16 *id);

/*
 * -ENOSPC: *full says which map.  The value's table size must be valid; where it
 * lies is decided here.
 */
int state_service_add(struct state *state, const struct endpoint *endpoint,
		      const struct xlb_service *value, enum map *full);
/* Only while the service has no backend; its old slots stay in use for this commit. */
int state_service_resize(struct state *state, struct service *service, __u32 size,
			 enum map *full);
/* With its backends and rules; 0 or what reading those says.  If it is added again, it
 * keeps its number, and packets find either. */
int state_service_delete(struct state *state, struct service *service);

/* The service must not have it yet; the value's id is given here. */
int state_backend_add(struct state *state, struct service *service, const struct endpoint *end,
		      const struct xlb_backend *value, enum map *full);
/* After its value was edited. */
void state_backend_touch(struct backend *backend);
void state_backend_delete(struct state *state, struct backend *backend);

/*
 * Has backends that came up again warm up, as far as the time says, and finds out when
 * there is more to do.  0 or what asking for the time says.
 */
int state_warm(struct state *state);

/*
 * Works out what the slots of touched services become, in memory.  0, -ENOMEM or
 * what reading records says.
 */
int state_plan(struct state *state);

/*
 * Writes what was edited, stage by stage, such that every prefix is a state that
 * packets can live with and the next commit completes.  Once only: then free it.
 */
int state_commit(struct state *state);

#endif
