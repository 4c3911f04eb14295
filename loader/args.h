/* SPDX-License-Identifier: GPL-2.0-only */
/* The words of one command: a cursor, keywords as data, and how errors are told. */
#ifndef XLB_ARGS_H
#define XLB_ARGS_H

#include <stdbool.h>
#include <linux/types.h>

/* Exit status, as in ip(8). */
enum status {
	STATUS_DONE = 0,
	STATUS_USAGE = 1,	/* bad command line */
	STATUS_REFUSED = 2,	/* by the kernel or by the state; nothing changed */
};

/* Who speaks in errors: "xlb" unless another program says so. */
extern const char *args_program;

struct args {
	char **words;
	int count;
	int next;		/* the word to take next */
	int label;		/* so many words name the command in errors */
	const char *file;	/* of a batch, else NULL */
	unsigned line;
};

/* A word that a keyword or an option takes, and what it stands for. */
struct choice {
	const char *name;	/* NULL ends the list */
	unsigned value;
};

enum keyword_type {
	KEYWORD_WORD,		/* any word */
	KEYWORD_NUMBER,		/* minimum to maximum, decimal or 0x */
	KEYWORD_CHOICE,		/* one of choices */
	KEYWORD_FLAG,		/* stands alone */
};

/* One keyword a command takes; args_keywords() fills what is below `given`. */
struct keyword {
	const char *name;	/* NULL ends the list */
	enum keyword_type type;
	__u64 minimum, maximum;
	const struct choice *choices;
	bool given;
	__u64 number;		/* the number, or the value of the choice */
	const char *word;	/* as typed */
};

/* The next word, or NULL at the end; args_take() also steps over it. */
const char *args_peek(const struct args *args);
const char *args_take(struct args *args);

/* Does this word, which may be NULL, ask for help? */
bool args_help(const char *word);

/* Takes the word a command is about, so that errors name it; NULL at the end. */
const char *args_subject(struct args *args);

/*
 * Takes all that is left as keywords in any order.  Returns STATUS_DONE, or
 * STATUS_USAGE after saying which word is unknown, repeated or has no good value.
 */
enum status args_keywords(struct args *args, struct keyword *keywords);

/* STATUS_DONE if no word is left, else names the first and is STATUS_USAGE. */
enum status args_end(const struct args *args);

/* A whole word as a number, decimal or 0x; 0, or -EINVAL, or -ERANGE. */
int args_number(const char *word, __u64 minimum, __u64 maximum, __u64 *number);

/* The name of a value, or "?". */
const char *choice_name(const struct choice *choices, unsigned value);

/*
 * Says on stderr `PROGRAM: [FILE:LINE: ]COMMAND: MESSAGE` and returns the status, so
 * that a command ends with `return args_fail(...)`.  args may be NULL.
 */
enum status args_fail(const struct args *args, enum status status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The same without failing. */
void args_warn(const struct args *args, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
