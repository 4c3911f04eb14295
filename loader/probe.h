/* SPDX-License-Identifier: GPL-2.0-only */
/* The prober: a check for each backend, which is probed again and again. */
#ifndef XLB_PROBE_H
#define XLB_PROBE_H

#include <curl/curl.h>
#include <signal.h>
#include <sys/types.h>

#include "probe_config.h"
#include "probe_health.h"
#include "probe_loop.h"
#include "probe_way.h"

/* Room for what is kept of a command's output. */
#define SAID_SIZE 160

struct prober {
	struct loop loop;
	const char *file;		/* the configuration's */
	const char *netns;		/* -n, or NULL */
	const char *pin;		/* -pin, or NULL */
	bool once;
	sigset_t signals;		/* those that the loop takes */
	struct probe_config config;
	void *tree;			/* checks by key */
	struct check *checks;		/* the same as a list */
	unsigned count;
	unsigned unprobed;		/* those that have no result yet */
	bool lost;			/* the maps could not be read last time */
	struct timer follow;		/* when to read them again */
	CURLM *multi;			/* NULL until it is wanted */
	struct timer multi_timer;
	struct way way;			/* to VIPs */
	enum status status;
};

/* What a probe that is under way holds, or what several of a check share. */
struct attempt_tcp {
	int file;			/* -1: none */
};

struct attempt_http {
	CURL *easy;			/* kept for the next one */
	struct curl_slist *connect_to, *headers;
	char *body;			/* what has come of it; NULL: nothing yet */
	size_t length;
	int trouble;			/* errno, where this machine lacks something */
	bool added;			/* to the prober's multi handle */
	char error[CURL_ERROR_SIZE];
};

struct attempt_exec {
	pid_t process;			/* 0: none */
	int process_file, output_file;
	char said[SAID_SIZE];		/* how its output begins */
	size_t length;
};

/* A backend of a service. */
struct check {
	struct prober *prober;
	struct check *next;
	const struct probe *probe;
	struct xlb_backend_key key;
	struct endpoint service, end;
	enum xlb_state mapped;		/* its health, as the map had it last */
	__u16 id;			/* as there */
	bool seen;			/* in the map, when that was read last */
	__u32 mark;			/* of sockets to the VIP there; 0: it has none */
	struct health health;
	__u64 told_at;			/* when its health was told last */
	bool warned, unsure;		/* what the last result was, if told */
	bool probed;			/* there was a result */
	bool running;
	bool excused;			/* the probe under way had its time again */
	__u64 next_at;			/* when the next probe may begin */
	struct timer timer;		/* for that, or for the end of patience */
	union {
		struct attempt_tcp tcp;
		struct attempt_http http;
		struct attempt_exec exec;
	};
};

/* A way of probing. */
struct prober_kind {
	/* Makes a check ready for use. */
	void (*init)(struct check *check);
	/*
	 * Begins a probe, which ends with check_finish(), at once maybe.  0, or
	 * -errno where this machine could not even begin.
	 */
	int (*begin)(struct check *check);
	/* Gives up what the probe under way holds. */
	void (*stop)(struct check *check);
	/* Gives up the rest. */
	void (*free)(struct check *check);
};

extern const struct prober_kind tcp_kind;
extern const struct prober_kind http_kind;
extern const struct prober_kind exec_kind;

/* For http_kind, once all its checks are gone. */
void http_end(struct prober *prober);

/* What is connected to: the backend, or the VIP there. */
void check_end(const struct check *check, struct endpoint *end);

/* A socket to connect there, or -errno where there can be none. */
int check_socket(const struct check *check);

/* What such an error means. */
const char *check_trouble(int error);

/* A new check of a backend, NULL without memory; it has room for its timer. */
struct check *check_new(struct prober *prober, const struct probe *probe);
void check_free(struct check *check);

/* Probes it from this time (loop_now()) on. */
void check_start(struct check *check, __u64 at);

/* Starts anew by other settings; what is known of its health stays. */
void check_change(struct check *check, const struct probe *probe, __u64 at);

/* The probe under way is over; the text says why. */
void check_finish(struct check *check, enum result result, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Ends the prober, with this status. */
void prober_end(struct prober *prober, enum status status);

/* Says what the check found out on stdout, as a command for the helper. */
void check_tell(struct check *check);

/* Brings the checks up to date with the maps: STATUS_DONE, or STATUS_REFUSED after
 * saying why. */
enum status checks_follow(struct prober *prober);

/* Brings them up to date with a new configuration. */
void checks_change(struct prober *prober);
void checks_free(struct prober *prober);

#endif
