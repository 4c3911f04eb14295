// SPDX-License-Identifier: GPL-2.0-only
/* Tests of loader/output.c: the same calls as text and as one JSON document. */
#include <errno.h>
#include <fcntl.h>
#include <stdio_ext.h>
#include <stdlib.h>

#include "output.h"
#include "unit.h"

static void show_nothing(struct output *output)
{
	(void)output;
}

static void show_empty(struct output *output)
{
	output_list(output, NULL);
	output_close(output);
}

static void show_backend(struct output *output, const char *backend, unsigned weight)
{
	output_object(output, NULL);
	output_line(output, 2);
	output_text(output, "backend");
	output_subject(output, "backend", backend);
	output_number(output, "weight", weight);
	output_flag(output, "up", weight > 0);
	output_close(output);
}

static void show_service(struct output *output)
{
	output_object(output, NULL);
	output_line(output, 0);
	output_subject(output, "service", "*:80/tcp");
	output_string(output, "hash", "flow");
	output_string(output, "note", NULL);
	output_number(output, "changed", 0x7fffffffffffffff);
	output_detail(output, "size", json_integer(251));
	output_list(output, "backends");
	show_backend(output, "10.0.0.1", 10);
	show_backend(output, "10.0.0.2", 0);
	show_backend(output, NULL, 1);
	output_close(output);
	output_object(output, "drops");
	output_line(output, 2);
	output_number(output, "fragment", 0);
	output_close(output);
	output_close(output);
}

static void show_services(struct output *output)
{
	output_list(output, NULL);
	show_service(output);
	output_close(output);
}

static void show_escapes(struct output *output)
{
	output_object(output, NULL);
	output_string(output, "dev", "a\"b\\c\n");
	output_close(output);
}

/* What a command leaves that fails while it shows. */
static void show_half(struct output *output)
{
	output_list(output, NULL);
	output_object(output, NULL);
	output_subject(output, "dev", "eth0");
	output_list(output, "programs");
}

static void show_twice(struct output *output)
{
	output_object(output, NULL);
	output_flag(output, "first", true);
	output_close(output);
	output_object(output, NULL);
	output_flag(output, "second", true);
	output_close(output);
}

static void show_deep(struct output *output)
{
	for (int depth = 0; depth < OUTPUT_DEPTH; depth++)
		output_list(output, NULL);
	output_subject(output, NULL, "deep");
	for (int depth = 0; depth < OUTPUT_DEPTH; depth++)
		output_close(output);
}

#define SERVICE_TEXT \
	"*:80/tcp hash flow changed 9223372036854775807\n" \
	"  backend 10.0.0.1 weight 10 up\n" \
	"  backend 10.0.0.2 weight 0\n" \
	"  backend weight 1 up\n" \
	"  fragment 0\n"
#define SERVICE_JSON \
	"{\"service\":\"*:80/tcp\",\"hash\":\"flow\",\"note\":null," \
	"\"changed\":9223372036854775807,\"size\":251,\"backends\":[" \
	"{\"backend\":\"10.0.0.1\",\"weight\":10,\"up\":true}," \
	"{\"backend\":\"10.0.0.2\",\"weight\":0,\"up\":false}," \
	"{\"backend\":null,\"weight\":1,\"up\":true}]," \
	"\"drops\":{\"fragment\":0}}"

static const struct {
	void (*show)(struct output *output);
	const char *text, *json, *batch;
} cases[] = {
	{ show_nothing, "", "[]\n", "[]\n" },
	{ show_empty, "", "[]\n", "[[]]\n" },
	{ show_service, SERVICE_TEXT, SERVICE_JSON "\n", "[" SERVICE_JSON "]\n" },
	{ show_services, SERVICE_TEXT, "[" SERVICE_JSON "]\n", "[[" SERVICE_JSON "]]\n" },
	{ show_escapes, "dev a\"b\\c\n\n", "{\"dev\":\"a\\\"b\\\\c\\n\"}\n",
	  "[{\"dev\":\"a\\\"b\\\\c\\n\"}]\n" },
	{ show_half, "eth0\n", "[{\"dev\":\"eth0\",\"programs\":[]}]\n",
	  "[[{\"dev\":\"eth0\",\"programs\":[]}]]\n" },
	{ show_twice, "first\nsecond\n", "{\"second\":true}\n",
	  "[{\"first\":true},{\"second\":true}]\n" },
	{ show_deep, "deep\n", "[[[[[[\"deep\"]]]]]]\n", "[[[[[[[\"deep\"]]]]]]]\n" },
};

/* What `show` prints with these options. */
static const char *shown(struct output output, void (*show)(struct output *), int expected)
{
	struct capture capture = capture_begin(stdout);
	const char *printed;
	int error;

	show(&output);
	error = output_finish(&output);
	printed = capture_end(&capture);
	assert_int_equal(error, expected);
	assert_null(output.document);
	return printed;
}

static void calls_print_text(void **state)
{
	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++) {
		assert_string_equal(shown((struct output){}, cases[i].show, 0), cases[i].text);
		assert_string_equal(shown((struct output){ .batch = true }, cases[i].show, 0),
				    cases[i].text);
	}
}

static void calls_print_one_document(void **state)
{
	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++)
		assert_string_equal(shown((struct output){ .json = true }, cases[i].show, 0),
				    cases[i].json);
}

static void batches_print_one_list(void **state)
{
	static const struct output batch = { .json = true, .batch = true };

	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++)
		assert_string_equal(shown(batch, cases[i].show, 0), cases[i].batch);
}

static void pretty_is_the_same_indented(void **state)
{
	static const struct output pretty = { .json = true, .pretty = true };

	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++) {
		json_t *compact = json_loads(cases[i].json, 0, NULL);
		json_t *indented = json_loads(shown(pretty, cases[i].show, 0), 0, NULL);

		assert_non_null(indented);
		assert_true(json_equal(compact, indented));
		json_decref(compact);
		json_decref(indented);
	}
	assert_string_equal(shown(pretty, show_nothing, 0), "[]\n");
	assert_string_equal(shown(pretty, show_half, 0), "[\n"
							 "    {\n"
							 "        \"dev\": \"eth0\",\n"
							 "        \"programs\": []\n"
							 "    }\n"
							 "]\n");
}

static void show_no_utf8(struct output *output)
{
	output_object(output, NULL);
	output_string(output, "dev", "\xff");
	output_string(output, "driver", "veth");
	output_close(output);
}

static void a_lost_value_is_told_and_the_rest_closed(void **state)
{
	(void)state;
	assert_string_equal(shown((struct output){ .json = true }, show_no_utf8, -ENOMEM),
			    "{\"driver\":\"veth\"}\n");
	assert_string_equal(shown((struct output){}, show_no_utf8, 0), "dev \xff driver veth\n");
}

static void a_full_disk_is_told(void **state)
{
	(void)state;
	for (int json = 0; json < 2; json++) {
		struct output output = { .json = json };
		struct capture capture = capture_begin(stdout);
		int full = open("/dev/full", O_WRONLY), error;

		dup2(full, STDOUT_FILENO);
		close(full);
		show_service(&output);
		error = output_finish(&output);
		__fpurge(stdout);
		clearerr(stdout);
		capture_end(&capture);
		assert_int_equal(error, -ENOSPC);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(calls_print_text),
		cmocka_unit_test(calls_print_one_document),
		cmocka_unit_test(batches_print_one_list),
		cmocka_unit_test(pretty_is_the_same_indented),
		cmocka_unit_test(a_lost_value_is_told_and_the_rest_closed),
		cmocka_unit_test(a_full_disk_is_told),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("output", tests, NULL, NULL);
}
