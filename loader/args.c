// SPDX-License-Identifier: GPL-2.0-only
/* The words of one command: a cursor, keywords as data, and how errors are told. */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"

const char *args_program = "xlb";

const char *args_peek(const struct args *args)
{
	return args->next < args->count ? args->words[args->next] : NULL;
}

bool args_help(const char *word)
{
	return word && (!strcmp(word, "help") || !strcmp(word, "-h") || !strcmp(word, "--help"));
}

const char *args_take(struct args *args)
{
	return args->next < args->count ? args->words[args->next++] : NULL;
}

const char *args_subject(struct args *args)
{
	const char *word = args_take(args);

	if (word)
		args->label = args->next;
	return word;
}

int args_number(const char *word, __u64 minimum, __u64 maximum, __u64 *number)
{
	bool hexadecimal = word[0] == '0' && word[1] == 'x';
	unsigned long long value;
	char *end;

	/* strtoull() would take blanks, a sign and a leading 0 for octal. */
	if (!isxdigit((unsigned char)word[hexadecimal ? 2 : 0]))
		return -EINVAL;
	errno = 0;
	value = strtoull(word, &end, hexadecimal ? 16 : 10);
	if (*end)
		return -EINVAL;
	if (errno || value < minimum || value > maximum)
		return -ERANGE;
	*number = value;
	return 0;
}

const char *choice_name(const struct choice *choices, unsigned value)
{
	for (; choices->name; choices++)
		if (choices->value == value)
			return choices->name;
	return "?";
}

static void list_add(char *list, size_t size, const char *word)
{
	size_t used = strlen(list);

	snprintf(list + used, size - used, "%s%s", used ? ", " : "", word);
}

static enum status choice_parse(const struct args *args, struct keyword *keyword)
{
	char names[256] = "";

	for (const struct choice *choice = keyword->choices; choice->name; choice++) {
		if (!strcmp(choice->name, keyword->word)) {
			keyword->number = choice->value;
			return STATUS_DONE;
		}
		list_add(names, sizeof(names), choice->name);
	}
	return args_fail(args, STATUS_USAGE, "%s %s: not one of: %s", keyword->name, keyword->word,
			 names);
}

static enum status number_parse(const struct args *args, struct keyword *keyword)
{
	if (!args_number(keyword->word, keyword->minimum, keyword->maximum, &keyword->number))
		return STATUS_DONE;
	return args_fail(args, STATUS_USAGE, "%s %s: not a number from %llu to %llu", keyword->name,
			 keyword->word, keyword->minimum, keyword->maximum);
}

static enum status keyword_parse(struct args *args, struct keyword *keyword)
{
	if (keyword->given)
		return args_fail(args, STATUS_USAGE, "%s: given twice", keyword->name);
	keyword->given = true;
	if (keyword->type == KEYWORD_FLAG)
		return STATUS_DONE;
	keyword->word = args_take(args);
	if (!keyword->word)
		return args_fail(args, STATUS_USAGE, "%s: needs a value", keyword->name);
	if (keyword->type == KEYWORD_NUMBER)
		return number_parse(args, keyword);
	if (keyword->type == KEYWORD_CHOICE)
		return choice_parse(args, keyword);
	return STATUS_DONE;
}

static enum status keyword_unknown(const struct args *args, const char *word,
				   const struct keyword *keywords)
{
	char names[256] = "";

	for (; keywords->name; keywords++)
		list_add(names, sizeof(names), keywords->name);
	return args_fail(args, STATUS_USAGE, "%s: unknown keyword, not one of: %s", word, names);
}

enum status args_keywords(struct args *args, struct keyword *keywords)
{
	enum status status;
	const char *word;

	while ((word = args_take(args))) {
		struct keyword *keyword = keywords;

		while (keyword->name && strcmp(keyword->name, word))
			keyword++;
		if (!keyword->name)
			return keyword_unknown(args, word, keywords);
		status = keyword_parse(args, keyword);
		if (status)
			return status;
	}
	return STATUS_DONE;
}

enum status args_end(const struct args *args)
{
	const char *word = args_peek(args);

	if (!word)
		return STATUS_DONE;
	return args_fail(args, STATUS_USAGE, "%s: nothing more is expected here", word);
}

/* Longer ones are cut. */
#define LINE_SIZE 8192

__attribute__((format(printf, 2, 3)))
static void line_add(char *line, const char *format, ...)
{
	size_t used = strlen(line);
	va_list list;

	va_start(list, format);
	vsnprintf(line + used, LINE_SIZE - used, format, list);
	va_end(list);
}

/*
 * At once, and as one line: words of a file or of a backend may hold what would end it or
 * be an order to the terminal.
 */
static void line_print(const char *line)
{
	char text[LINE_SIZE * sizeof("\\x1b")], *end = text;

	for (; *line; line++)
		if (iscntrl((unsigned char)*line))
			end += sprintf(end, "\\x%02x", (unsigned char)*line);
		else
			*end++ = *line;
	*end++ = '\n';
	fwrite(text, 1, end - text, stderr);
}

static void tell(const struct args *args, const char *format, va_list list)
{
	char line[LINE_SIZE] = "";
	size_t used;

	line_add(line, "%s: ", args_program);
	if (args && args->file)
		line_add(line, "%s:%u: ", args->file, args->line);
	for (int i = 0; args && i < args->label; i++)
		line_add(line, "%s%s", args->words[i], i + 1 < args->label ? " " : ": ");
	used = strlen(line);
	vsnprintf(line + used, sizeof(line) - used, format, list);
	line_print(line);
}

enum status args_fail(const struct args *args, enum status status, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	tell(args, format, list);
	va_end(list);
	return status;
}

void args_warn(const struct args *args, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	tell(args, format, list);
	va_end(list);
}
