// SPDX-License-Identifier: GPL-2.0-only
/* A line of the prober's configuration: its grammar, and what is left out. */
#include <stdio.h>
#include <string.h>

#include "probe_config.h"

#define INTERVAL_DEFAULT 2000	/* milliseconds */
#define INTERVAL_MIN 100
#define INTERVAL_MAX 3600000
#define RISE_DEFAULT 2
#define FALL_DEFAULT 3
#define JITTER_DEFAULT 10
#define STATUS_FIRST_DEFAULT 200
#define STATUS_LAST_DEFAULT 399

static const struct choice probe_types[] = {
	{ "tcp", PROBE_TCP },
	{ "http", PROBE_HTTP },
	{ "https", PROBE_HTTPS },
	{ "exec", PROBE_EXEC },
	{},
};

static const struct choice switches[] = {
	{ "on", true },
	{ "off", false },
	{},
};

static const struct choice vias[] = {
	{ "address", false },
	{ "vip", true },
	{},
};

/* Each type takes those up to a last one. */
enum { INTERVAL, TIMEOUT, RISE, FALL, JITTER, OF_EXEC, PORT = OF_EXEC, VIA, SOURCE, OF_TCP,
       HOST = OF_TCP, PATH, STATUS, MATCH, OF_HTTP, VERIFY = OF_HTTP, CA, OF_HTTPS };

static const unsigned keywords_of[] = {
	[PROBE_TCP] = OF_TCP,
	[PROBE_HTTP] = OF_HTTP,
	[PROBE_HTTPS] = OF_HTTPS,
	[PROBE_EXEC] = OF_EXEC,
};

static const struct keyword probe_keywords[OF_HTTPS + 1] = {
	[INTERVAL] = { .name = "interval", .type = KEYWORD_WORD },
	[TIMEOUT] = { .name = "timeout", .type = KEYWORD_WORD },
	[RISE] = { .name = "rise", .type = KEYWORD_NUMBER, .minimum = 1, .maximum = 100 },
	[FALL] = { .name = "fall", .type = KEYWORD_NUMBER, .minimum = 1, .maximum = 100 },
	[JITTER] = { .name = "jitter", .type = KEYWORD_NUMBER, .maximum = 50 },
	[PORT] = { .name = "port", .type = KEYWORD_NUMBER, .minimum = 1, .maximum = 65535 },
	[VIA] = { .name = "via", .type = KEYWORD_CHOICE, .choices = vias },
	[SOURCE] = { .name = "source", .type = KEYWORD_WORD },
	[HOST] = { .name = "host", .type = KEYWORD_WORD },
	[PATH] = { .name = "path", .type = KEYWORD_WORD },
	[STATUS] = { .name = "status", .type = KEYWORD_WORD },
	[MATCH] = { .name = "match", .type = KEYWORD_WORD },
	[VERIFY] = { .name = "verify", .type = KEYWORD_CHOICE, .choices = switches },
	[CA] = { .name = "ca", .type = KEYWORD_WORD },
};

/* SECONDS, with up to three decimals, as milliseconds. */
static enum status duration_parse(const struct args *args, const struct keyword *keyword,
				  __u32 *milliseconds)
{
	const char *point = strchr(keyword->word, '.');
	size_t whole = strcspn(keyword->word, "."), decimals = point ? strlen(point + 1) : 0;
	char digits[16];
	__u64 number;

	/* As one number: the digits, moved by what is missing of three decimals. */
	if (whole && whole < 8 && decimals <= 3 && !point == !decimals) {
		snprintf(digits, sizeof(digits), "%.*s%s%.*s", (int)whole, keyword->word,
			 point ? point + 1 : "", (int)(3 - decimals), "000");
		if (strspn(digits, "0123456789") == strlen(digits) &&
		    !args_number(digits, INTERVAL_MIN, INTERVAL_MAX, &number)) {
			*milliseconds = number;
			return STATUS_DONE;
		}
	}
	return args_fail(args, STATUS_USAGE, "%s %s: not a number of seconds from 0.1 to 3600, "
			 "three decimals at most", keyword->name, keyword->word);
}

/* STATUS := N | N-N */
static enum status codes_parse(const struct args *args, const struct keyword *keyword,
			       struct probe *probe)
{
	size_t length = strcspn(keyword->word, "-");
	const char *last = keyword->word[length] ? keyword->word + length + 1 : keyword->word;
	char first[8] = "";
	__u64 from, to;

	if (length < sizeof(first))
		memcpy(first, keyword->word, length);
	if (args_number(first, 100, 599, &from) || args_number(last, from, 599, &to))
		return args_fail(args, STATUS_USAGE, "%s %s: not N or N-N, from 100 to 599",
				 keyword->name, keyword->word);
	probe->status_first = from;
	probe->status_last = to;
	return STATUS_DONE;
}

static enum status times_fill(const struct args *args, const struct keyword *given,
			      struct probe *probe)
{
	if (given[INTERVAL].given && duration_parse(args, &given[INTERVAL], &probe->interval))
		return STATUS_USAGE;
	probe->timeout = probe->interval;
	if (given[TIMEOUT].given && duration_parse(args, &given[TIMEOUT], &probe->timeout))
		return STATUS_USAGE;
	return STATUS_DONE;
}

/* A name that goes into a URL as it is. */
static bool host_valid(const char *host)
{
	return *host && *host != '-' &&
	       !host[strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
			    "0123456789-.")];
}

static bool path_valid(const char *path)
{
	for (const char *at = path; *at; at++)
		if (*at <= ' ' || *at > '~' || *at == '#')
			return false;
	return *path == '/';
}

/* What http and https take. */
static enum status request_fill(const struct args *args, const struct keyword *given,
				struct probe *probe)
{
	probe->host = given[HOST].word;
	probe->path = given[PATH].given ? given[PATH].word : "/";
	probe->match = given[MATCH].word;
	if (probe->host && !host_valid(probe->host))
		return args_fail(args, STATUS_USAGE, "host %s: not a name", probe->host);
	if (!path_valid(probe->path))
		return args_fail(args, STATUS_USAGE, "path %s: does not begin with /, or holds "
				 "what has to be written as %%XX", probe->path);
	if (probe->match && !*probe->match)
		return args_fail(args, STATUS_USAGE, "match: an empty text is everywhere");
	if (given[STATUS].given && codes_parse(args, &given[STATUS], probe))
		return STATUS_USAGE;
	if (probe->type != PROBE_HTTPS)
		return STATUS_DONE;
	probe->verify = !given[VERIFY].given || given[VERIFY].number;
	probe->ca = given[CA].word;
	if (probe->verify && !probe->host)
		return args_fail(args, STATUS_USAGE, "whose certificate is it to be? host NAME, or "
				 "verify off");
	if (probe->ca && !probe->verify)
		return args_fail(args, STATUS_USAGE, "ca %s: nothing to verify with verify off",
				 probe->ca);
	return STATUS_DONE;
}

/* By which address a backend is reached. */
static enum status way_fill(const struct args *args, const struct keyword *given,
			    struct probe *probe)
{
	const char *why;

	probe->vip = given[VIA].given && given[VIA].number;
	if (probe->vip && address_is_any(probe->service.address))
		return args_fail(args, STATUS_USAGE, "via vip: the service has no address of its "
				 "own");
	if (!given[SOURCE].given)
		return STATUS_DONE;
	if (!probe->vip)
		return args_fail(args, STATUS_USAGE, "source %s: is for via vip",
				 given[SOURCE].word);
	why = address_parse(given[SOURCE].word, probe->address);
	if (!why && address_is4(probe->address) != address_is4(probe->service.address))
		why = "not of the service's family";
	if (why)
		return args_fail(args, STATUS_USAGE, "source %s: %s", given[SOURCE].word, why);
	probe->source = probe->address;
	return STATUS_DONE;
}

/* Cuts `command ...` off the line. */
static enum status command_take(struct args *args, struct probe *probe)
{
	for (int i = args->next; i < args->count; i++) {
		if (strcmp(args->words[i], "command"))
			continue;
		probe->command = args->words + i + 1;
		args->words[args->count] = NULL;
		args->count = i;
		break;
	}
	if (!probe->command || !*probe->command || !**probe->command)
		return args_fail(args, STATUS_USAGE, "which command? command PROGRAM ARGUMENT..., "
				 "after all else");
	return STATUS_DONE;
}

static enum status keywords_take(struct args *args, struct probe *probe)
{
	struct keyword given[OF_HTTPS + 1];

	memcpy(given, probe_keywords, sizeof(given));
	given[keywords_of[probe->type]].name = NULL;
	if ((probe->type == PROBE_EXEC && command_take(args, probe)) ||
	    args_keywords(args, given) || times_fill(args, given, probe))
		return STATUS_USAGE;
	if (given[RISE].given)
		probe->rise = given[RISE].number;
	if (given[FALL].given)
		probe->fall = given[FALL].number;
	if (given[JITTER].given)
		probe->jitter = given[JITTER].number;
	if (probe->type == PROBE_EXEC)
		return STATUS_DONE;
	probe->port = given[PORT].number;
	if (!probe->port && !probe->service.port)
		return args_fail(args, STATUS_USAGE, "the service is on any port: which one? "
				 "port N");
	if (way_fill(args, given, probe))
		return STATUS_USAGE;
	return probe->type == PROBE_TCP ? STATUS_DONE : request_fill(args, given, probe);
}

enum status probe_parse(struct args *args, struct probe *probe)
{
	const char *word = args_subject(args), *why;
	const struct choice *type = probe_types;

	probe->interval = INTERVAL_DEFAULT;
	probe->rise = RISE_DEFAULT;
	probe->fall = FALL_DEFAULT;
	probe->jitter = JITTER_DEFAULT;
	probe->status_first = STATUS_FIRST_DEFAULT;
	probe->status_last = STATUS_LAST_DEFAULT;
	if (strcmp(word, "probe")) {
		args->label = 0;
		return args_fail(args, STATUS_USAGE, "%s: a line is probe SERVICE TYPE ...", word);
	}
	word = args_subject(args);
	if (!word)
		return args_fail(args, STATUS_USAGE, "which service? ADDRESS:PORT/PROTOCOL");
	why = service_parse(word, &probe->service);
	if (why)
		return args_fail(args, STATUS_USAGE, "%s", why);
	word = args_take(args);
	while (type->name && (!word || strcmp(type->name, word)))
		type++;
	if (!type->name)
		return args_fail(args, STATUS_USAGE, "%s: not one of: tcp, http, https, exec",
				 word ? word : "no type");
	args->label = args->next;
	probe->type = type->value;
	return keywords_take(args, probe);
}
