// SPDX-License-Identifier: GPL-2.0-only
/* What commands show: one call prints words of text or fields of JSON. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "output.h"

static json_t *innermost(const struct output *output)
{
	return output->depth ? output->open[output->depth - 1] : NULL;
}

/* Puts a value where the innermost list or object goes on; it is that one's now. */
static void put(struct output *output, const char *key, json_t *value)
{
	json_t *into = innermost(output);

	if (!into || !value || (json_is_object(into) ? json_object_set_new(into, key, value)
						     : json_array_append_new(into, value)))
		output->failed = true;
}

static void put_document(struct output *output, json_t *value)
{
	if (!output->batch) {
		json_decref(output->document);
		output->document = value;
		return;
	}
	if (!output->document)
		output->document = json_array();
	if (json_array_append_new(output->document, value))
		output->failed = true;
}

static void open_value(struct output *output, const char *key, json_t *value)
{
	if (!output->json) {
		output->depth++;
		return;
	}
	if (output->depth)
		put(output, key, value);
	else
		put_document(output, value);
	output->open[output->depth++] = value;
}

void output_list(struct output *output, const char *key)
{
	open_value(output, key, output->json ? json_array() : NULL);
}

void output_object(struct output *output, const char *key)
{
	open_value(output, key, output->json ? json_object() : NULL);
}

static FILE *stream(const struct output *output)
{
	return output->stream ?: stdout;
}

static void end_line(struct output *output)
{
	if (output->midline)
		fputc('\n', stream(output));
	output->midline = false;
}

void output_close(struct output *output)
{
	if (--output->depth == 0)
		end_line(output);
}

void output_line(struct output *output, unsigned indent)
{
	if (output->json)
		return;
	end_line(output);
	fprintf(stream(output), "%*s", (int)indent, "");
}

void output_text(struct output *output, const char *format, ...)
{
	va_list list;

	if (output->json)
		return;
	if (output->midline)
		fputc(' ', stream(output));
	output->midline = true;
	va_start(list, format);
	vfprintf(stream(output), format, list);
	va_end(list);
}

void output_subject(struct output *output, const char *key, const char *value)
{
	if (output->json)
		put(output, key, value ? json_string(value) : json_null());
	else if (value)
		output_text(output, "%s", value);
}

void output_string(struct output *output, const char *key, const char *value)
{
	if (output->json)
		put(output, key, value ? json_string(value) : json_null());
	else if (value)
		output_text(output, "%s %s", key, value);
}

void output_switch(struct output *output, const char *key, bool on, bool usual)
{
	if (output->json)
		put(output, key, json_boolean(on));
	else if (on != usual || output->usual)
		output_text(output, "%s %s", key, on ? "on" : "off");
}

void output_choice(struct output *output, const char *key, const char *value, const char *usual)
{
	if (output->json)
		put(output, key, json_string(value));
	else if (strcmp(value, usual) || output->usual)
		output_text(output, "%s %s", key, value);
}

void output_amount(struct output *output, const char *key, __u64 value, __u64 usual)
{
	if (output->json || value != usual || output->usual)
		output_number(output, key, value);
}

void output_number(struct output *output, const char *key, __u64 value)
{
	if (output->json)
		put(output, key, json_integer(value));
	else
		output_text(output, "%s %llu", key, value);
}

void output_flag(struct output *output, const char *key, bool value)
{
	if (output->json)
		put(output, key, json_boolean(value));
	else if (value)
		output_text(output, "%s", key);
}

void output_detail(struct output *output, const char *key, json_t *value)
{
	if (output->json)
		put(output, key, value);
	else
		json_decref(value);
}

int output_finish(struct output *output)
{
	/* Seconds with microseconds have 16 digits. */
	size_t flags = (output->pretty ? JSON_INDENT(4) : JSON_COMPACT) | JSON_REAL_PRECISION(16);

	end_line(output);
	if (output->json) {
		json_t *document = output->document ?: json_array();

		if (!document || json_dumpf(document, stdout, flags))
			output->failed = true;
		putchar('\n');
		json_decref(document);
		output->document = NULL;
	}
	if (fflush(stdout) || ferror(stdout))
		return errno ? -errno : -EIO;
	return output->failed ? -ENOMEM : 0;
}
