// SPDX-License-Identifier: GPL-2.0-only
/* Tests of loader/args.c: the cursor, strict numbers, keywords, and what errors say. */
#include <errno.h>

#include "args.h"
#include "unit.h"

#define MOST (~0ULL)
#define UNTOUCHED 4711

static void assert_number(const char *word, __u64 minimum, __u64 maximum, int error,
			  __u64 expected)
{
	__u64 number = UNTOUCHED;
	int result;

	errno = ERANGE;	/* what failed before is of no concern */
	result = args_number(word, minimum, maximum, &number);
	if (result != error || number != expected)
		fail_msg("\"%s\": %d and %llu, not %d and %llu", word, result, number, error,
			 expected);
}

static void numbers_are_in_range(void **state)
{
	(void)state;
	assert_number("0", 0, MOST, 0, 0);
	assert_number("010", 0, MOST, 0, 10);
	assert_number("0x10", 0, MOST, 0, 16);
	assert_number("0xAf", 0, MOST, 0, 0xaf);
	assert_number("0x0", 0, MOST, 0, 0);

	assert_number("0", 1, 65535, -ERANGE, UNTOUCHED);
	assert_number("1", 1, 65535, 0, 1);
	assert_number("65535", 1, 65535, 0, 65535);
	assert_number("0xffff", 1, 65535, 0, 65535);
	assert_number("65536", 1, 65535, -ERANGE, UNTOUCHED);
	assert_number("7", 7, 7, 0, 7);

	assert_number("18446744073709551615", 0, MOST, 0, MOST);
	assert_number("0xffffffffffffffff", 0, MOST, 0, MOST);
	assert_number("18446744073709551616", 0, MOST, -ERANGE, UNTOUCHED);
	assert_number("0x10000000000000000", 0, MOST, -ERANGE, UNTOUCHED);
	assert_number("18446744073709551617", 0, 65535, -ERANGE, UNTOUCHED);
	assert_number("99999999999999999999x", 0, MOST, -EINVAL, UNTOUCHED);
}

static void numbers_are_whole_words(void **state)
{
	static const char *const words[] = {
		"", "0x", "0X10", "0x0x1", "x1", "ff", "1f", "0xfg", "+1", "-1", "-0", "0x-1",
		"0x+1", " 1", "1 ", "0x 1", "\n1", "1\n", "1,000", "1.0", "1e3", "\xb2", "http",
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(words); i++)
		assert_number(words[i], 0, MOST, -EINVAL, UNTOUCHED);
}

/* The command line of a line, of which the first two words name the command. */
static struct args args_split(const char *line)
{
	static char text[256], *words[32];
	struct args args = { .words = words, .next = 2, .label = 2 };

	snprintf(text, sizeof(text), "%s", line);
	for (char *word = strtok(text, " "); word; word = strtok(NULL, " "))
		words[args.count++] = word;
	return args;
}

static void the_cursor_stops_at_the_end(void **state)
{
	struct args args = args_split("backend add 10.0.0.1 up");

	(void)state;
	assert_string_equal(args_peek(&args), "10.0.0.1");
	assert_string_equal(args_subject(&args), "10.0.0.1");
	assert_int_equal(args.label, 3);
	assert_string_equal(args_take(&args), "up");
	for (int again = 0; again < 2; again++) {
		assert_null(args_peek(&args));
		assert_null(args_take(&args));
		assert_null(args_subject(&args));
		assert_int_equal(args_end(&args), STATUS_DONE);
	}
	assert_int_equal(args.next, 4);
	assert_int_equal(args.label, 3);
}

static const struct choice states[] = {
	{ "up", 1 },
	{ "drain", 2 },
	{ "down", 7 },
	{},
};

enum { WEIGHT, STATE, DEV, FORCE, KEYWORDS };

static const struct keyword template[KEYWORDS + 1] = {
	[WEIGHT] = { .name = "weight", .type = KEYWORD_NUMBER, .minimum = 1, .maximum = 100 },
	[STATE] = { .name = "state", .type = KEYWORD_CHOICE, .choices = states },
	[DEV] = { .name = "dev", .type = KEYWORD_WORD },
	[FORCE] = { .name = "force", .type = KEYWORD_FLAG },
};

static struct keyword keywords[KEYWORDS + 1];

static enum status keywords_read(struct args *args)
{
	memcpy(keywords, template, sizeof(keywords));
	return args_keywords(args, keywords);
}

static void keywords_come_in_any_order(void **state)
{
	struct args args = args_split("backend add force state down dev eth0 weight 0x20");

	(void)state;
	assert_int_equal(keywords_read(&args), STATUS_DONE);
	assert_null(args_peek(&args));
	for (int i = 0; i < KEYWORDS; i++)
		assert_true(keywords[i].given);
	assert_int_equal(keywords[STATE].number, 7);
	assert_string_equal(keywords[STATE].word, "down");
	assert_int_equal(keywords[WEIGHT].number, 32);
	assert_string_equal(keywords[WEIGHT].word, "0x20");
	assert_string_equal(keywords[DEV].word, "eth0");
	assert_null(keywords[FORCE].word);

	args = args_split("backend add");
	assert_int_equal(keywords_read(&args), STATUS_DONE);
	for (int i = 0; i < KEYWORDS; i++)
		assert_false(keywords[i].given);

	/* A value may look like a keyword. */
	args = args_split("backend add dev force");
	assert_int_equal(keywords_read(&args), STATUS_DONE);
	assert_string_equal(keywords[DEV].word, "force");
	assert_false(keywords[FORCE].given);
}

static void bad_keywords_are_named(void **state)
{
	static const struct {
		const char *line, *message;
	} cases[] = {
		{ "backend add wieght 1",
		  "wieght: unknown keyword, not one of: weight, state, dev, force" },
		{ "backend add w 1",
		  "w: unknown keyword, not one of: weight, state, dev, force" },
		{ "backend add force 1",
		  "1: unknown keyword, not one of: weight, state, dev, force" },
		{ "backend add weight 1 dev a weight 1", "weight: given twice" },
		{ "backend add force force", "force: given twice" },
		{ "backend add dev", "dev: needs a value" },
		{ "backend add force weight", "weight: needs a value" },
		{ "backend add weight 0", "weight 0: not a number from 1 to 100" },
		{ "backend add weight 101", "weight 101: not a number from 1 to 100" },
		{ "backend add weight ten", "weight ten: not a number from 1 to 100" },
		{ "backend add state", "state: needs a value" },
		{ "backend add state UP", "state UP: not one of: up, drain, down" },
		{ "backend add state u", "state u: not one of: up, drain, down" },
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++) {
		struct args args = args_split(cases[i].line);
		struct capture capture = capture_begin(stderr);
		enum status status = keywords_read(&args);
		char message[256];

		snprintf(message, sizeof(message), "xlb: backend add: %s\n", cases[i].message);
		assert_string_equal(capture_end(&capture), message);
		assert_int_equal(status, STATUS_USAGE);
	}
}

static void long_lists_are_cut_short(void **state)
{
	static struct keyword many[100];
	struct args args = args_split("backend add none");
	struct capture capture;
	const char *message;

	(void)state;
	for (unsigned i = 0; i + 1 < COUNT(many); i++)
		many[i].name = "keyword";
	capture = capture_begin(stderr);
	args_keywords(&args, many);
	message = capture_end(&capture);
	assert_non_null(strstr(message, "none: unknown keyword, not one of: keyword, keyword"));
	assert_in_range(strlen(message), 256, 350);
}

static void errors_say_where(void **state)
{
	struct args args = args_split("backend add 10.0.0.1 up");
	struct capture capture = capture_begin(stderr);
	enum status end = args_end(&args), refused, nowhere;

	(void)state;
	args_subject(&args);
	args_end(&args);
	args.file = "lb.batch";
	args.line = 12;
	refused = args_fail(&args, STATUS_REFUSED, "no %s in %d", "room", 5);
	args_warn(&args, "slow");
	args.label = 0;
	args_warn(&args, "no command");
	nowhere = args_fail(NULL, STATUS_USAGE, "lost");
	assert_string_equal(capture_end(&capture),
			    "xlb: backend add: 10.0.0.1: nothing more is expected here\n"
			    "xlb: backend add 10.0.0.1: up: nothing more is expected here\n"
			    "xlb: lb.batch:12: backend add 10.0.0.1: no room in 5\n"
			    "xlb: lb.batch:12: backend add 10.0.0.1: slow\n"
			    "xlb: lb.batch:12: no command\n"
			    "xlb: lost\n");
	assert_int_equal(end, STATUS_USAGE);
	assert_int_equal(refused, STATUS_REFUSED);
	assert_int_equal(nowhere, STATUS_USAGE);
}

static void choices_have_names(void **state)
{
	(void)state;
	assert_string_equal(choice_name(states, 1), "up");
	assert_string_equal(choice_name(states, 7), "down");
	assert_string_equal(choice_name(states, 0), "?");
	assert_string_equal(choice_name(states, 3), "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_in_range),
		cmocka_unit_test(numbers_are_whole_words),
		cmocka_unit_test(the_cursor_stops_at_the_end),
		cmocka_unit_test(keywords_come_in_any_order),
		cmocka_unit_test(bad_keywords_are_named),
		cmocka_unit_test(long_lists_are_cut_short),
		cmocka_unit_test(errors_say_where),
		cmocka_unit_test(choices_have_names),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("args", tests, NULL, NULL);
}
