/* SPDX-License-Identifier: GPL-2.0-only */
/* What every object of the command line looks like to main.c and batch.c. */
#ifndef XLB_COMMAND_H
#define XLB_COMMAND_H

#include "args.h"
#include "output.h"

struct state;

/* One run of xlb: its options, and what it has not written yet. */
struct context {
	const char *pin;	/* -pin, or NULL */
	bool statistics;	/* -s */
	bool force;		/* -force */
	bool times;		/* -t */
	bool configured;	/* a line of the file that is to be restored has been run */
	struct output output;
	struct state *state;	/* locked and edited, NULL if nothing is pending */
	__s64 step_at;		/* clock_milliseconds() when somebody who warms up is
				 * due for more; 0: nobody is */
	bool stepping;		/* that is what is written, on nobody's command: what
				 * keeps traffic from flowing has been told before */
};

/* A verb of an object. */
struct command {
	const char *name;	/* NULL ends the list */
	enum status (*run)(struct context *context, struct args *args);
	/*
	 * Edits context->state, which is written once at the end of the call or
	 * batch.  Before any other command runs, what is pending is written and
	 * the lock released.
	 */
	bool edits;
};

/* An object: verbs, or one command of its own (load, lookup). */
struct object {
	const char *name;
	const char *usage;	/* BNF, lines ending in \n, the first after "Usage: " */
	const struct command *commands;	/* `show` is what no verb means */
	enum status (*run)(struct context *context, struct args *args);
};

extern const struct object service_object;
extern const struct object backend_object;
extern const struct object acl_object;
extern const struct object config_object;
extern const struct object flow_object;
extern const struct object stats_object;
extern const struct object lookup_object;
extern const struct object load_object;
extern const struct object unload_object;
extern const struct object link_object;
extern const struct object decap_object;
extern const struct object save_object;
extern const struct object restore_object;
extern const struct object monitor_object;

/* Runs one command line: an object, its verb and the rest. */
enum status command_run(struct context *context, struct args *args);

/* What is done with the words of a line. */
typedef enum status command_runner(struct context *context, struct args *args);

/* One line, unless nothing stands there; file is NULL where it is of none. */
enum status batch_line(struct context *context, char *line, const char *file, unsigned number,
		       command_runner *run);

/* All lines, or those up to the first failure without -force; that one's status. */
enum status batch_lines(struct context *context, FILE *stream, const char *file,
			command_runner *run);

/* -batch: runs the lines of a file (- is stdin) and writes what they ask for. */
enum status batch_run(struct context *context, const char *file);

#endif
