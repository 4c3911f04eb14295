// SPDX-License-Identifier: GPL-2.0-only
/* Tests of loader/words.c: where words begin and end. */
#include "unit.h"
#include "words.h"

/* The words of a line, each in < >, or what is wrong with it. */
static const char *cut(const char *line)
{
	static char text[1024];
	char copy[512], *words[WORDS_MAX];
	const char *why;
	int count;

	snprintf(copy, sizeof(copy), "%s", line);
	why = words_cut(copy, words, &count);
	if (why)
		return why;
	text[0] = '\0';
	for (int i = 0; i < count; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "<%s>", words[i]);
	return text;
}

static void lines_are_cut_at_blanks(void **state)
{
	static const char *const lines[][2] = {
		{ "", "" },
		{ "\n", "" },
		{ " \t\r\n", "" },
		{ "a", "<a>" },
		{ "a bc\td\n", "<a><bc><d>" },
		{ "  a  \r\n", "<a>" },
		{ "# a b", "" },
		{ "a # b", "<a>" },
		{ "a#b c", "<a>" },
		{ "a #", "<a>" },
		{ "a#", "<a>" },
		{ "\"a b\" c", "<a b><c>" },
		{ "\"a # b\"# c", "<a # b>" },
		{ "\"\"", "<>" },
		{ "a \"\" b", "<a><><b>" },
		{ "a\"b c\"", "<a\"b><c\">" },
		{ "\"a", "a quote without its second" },
		{ "a \"", "a quote without its second" },
		{ "# \"", "" },
		{ "\"a\"b", "a blank is to follow the second quote of a word" },
		{ "\"a\"\"b\"", "a blank is to follow the second quote of a word" },
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(lines); i++)
		assert_string_equal(cut(lines[i][0]), lines[i][1]);
}

static void lines_have_an_end(void **state)
{
	char line[2 * WORDS_MAX + 3] = "";

	(void)state;
	for (unsigned i = 0; i < WORDS_MAX; i++)
		strcat(line, "x ");
	assert_int_equal(strlen(cut(line)), 3 * WORDS_MAX);
	strcat(line, "x");
	assert_string_equal(cut(line), "too many words");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_cut_at_blanks),
		cmocka_unit_test(lines_have_an_end),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("words", tests, NULL, NULL);
}
