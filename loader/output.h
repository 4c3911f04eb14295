/* SPDX-License-Identifier: GPL-2.0-only */
/* What commands show: one call prints words of text or fields of JSON. */
#ifndef XLB_OUTPUT_H
#define XLB_OUTPUT_H

#include <stdbool.h>
#include <stdio.h>
#include <linux/types.h>
#include <jansson.h>

#define OUTPUT_DEPTH 6

/* All zero but the options is ready for use. */
struct output {
	bool json;		/* -j */
	bool pretty;		/* -p, implies json */
	bool batch;		/* several commands: the document is a list of theirs */
	bool usual;		/* text: what is as usual is said, too */
	bool failed;		/* out of memory, told by output_finish() */
	bool midline;		/* text: words stand on this line */
	FILE *stream;		/* where text goes; NULL: the standard output */
	unsigned depth;
	json_t *open[OUTPUT_DEPTH];	/* lists and objects, outermost first */
	json_t *document;
};

/*
 * JSON: a list or object begins, under a key where it stands in an object (else
 * NULL).  Each wants an output_close(); the outermost is the command's document.
 */
void output_list(struct output *output, const char *key);
void output_object(struct output *output, const char *key);
void output_close(struct output *output);

/* Text: a new line begins, after so many blanks. */
void output_line(struct output *output, unsigned indent);

/* "value" in text, "key": "value" in JSON; value NULL is null, nothing in text. */
void output_subject(struct output *output, const char *key, const char *value);

/* "key value" in text, "key": value in JSON. */
void output_string(struct output *output, const char *key, const char *value);
void output_number(struct output *output, const char *key, __u64 value);

/*
 * "key on" or "key off" in text, unless it is so as usual and nobody wants to know;
 * true or false in JSON.
 */
void output_switch(struct output *output, const char *key, bool on, bool usual);

/* The same with words and numbers: "key value" in text, "key": value in JSON. */
void output_choice(struct output *output, const char *key, const char *value, const char *usual);
void output_amount(struct output *output, const char *key, __u64 value, __u64 usual);

/* "key" if true in text, "key": true or false in JSON. */
void output_flag(struct output *output, const char *key, bool value);

/* In JSON only: what text shows otherwise. */
void output_detail(struct output *output, const char *key, json_t *value);

/* In text only. */
void output_text(struct output *output, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Ends the last line, prints the document ([] if there is none); 0 or -errno. */
int output_finish(struct output *output);

#endif
