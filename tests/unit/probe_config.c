// SPDX-License-Identifier: GPL-2.0-only
/* Tests of loader/probe_config.c: what lines mean, and what is said of bad ones. */
#include <stdlib.h>

#include "probe_config.h"
#include "unit.h"

static char file[] = "/tmp/xlb-probe-config-XXXXXX";

static void file_write(const char *text)
{
	FILE *stream = fopen(file, "w");

	assert_non_null(stream);
	fputs(text, stream);
	fclose(stream);
}

static const struct probe *probe_of(const struct probe_config *config, const char *service)
{
	struct endpoint endpoint;

	assert_null(service_parse(service, &endpoint));
	return probe_find(config, &endpoint);
}

static void lines_say_how_to_probe(void **state)
{
	struct probe_config config;
	const struct probe *probe;

	(void)state;
	file_write("# what is probed\n"
		   "\n"
		   "probe 192.0.2.1:80/tcp tcp\n"
		   "probe [2001:db8::1]:443/tcp https host www.example.com via vip "
		   "source [fd00::9] # clients' name\n"
		   "probe 192.0.2.1:53/udp exec interval 10 timeout 12.5 command dig "
		   "\"@{address}\" -p {port} interval\n"
		   "probe 192.0.2.2:*/tcp http port 8080 path /a?b status 204 match \"a # b\" "
		   "interval 0.125 rise 1 fall 100 jitter 0\n"
		   "probe 192.0.2.3:443/tcp https verify off status 200-299");
	assert_int_equal(probe_config_read(&config, file), STATUS_DONE);
	assert_int_equal(config.shortest, 125);
	assert_true(config.vip);
	assert_null(probe_of(&config, "192.0.2.1:81/tcp"));

	probe = probe_of(&config, "192.0.2.1:80/tcp");
	assert_int_equal(probe->type, PROBE_TCP);
	assert_int_equal(probe->interval, 2000);
	assert_int_equal(probe->timeout, 2000);
	assert_int_equal(probe->rise, 2);
	assert_int_equal(probe->fall, 3);
	assert_int_equal(probe->jitter, 10);
	assert_int_equal(probe->port, 0);
	assert_false(probe->vip);
	assert_null(probe->source);

	probe = probe_of(&config, "[2001:db8::1]:443/tcp");
	assert_int_equal(probe->type, PROBE_HTTPS);
	assert_string_equal(probe->host, "www.example.com");
	assert_true(probe->vip);
	assert_int_equal(probe->source[15], 9);
	assert_string_equal(probe->path, "/");
	assert_null(probe->match);
	assert_true(probe->verify);
	assert_int_equal(probe->status_first, 200);
	assert_int_equal(probe->status_last, 399);

	probe = probe_of(&config, "192.0.2.1:53/udp");
	assert_int_equal(probe->type, PROBE_EXEC);
	assert_int_equal(probe->interval, 10000);
	assert_int_equal(probe->timeout, 12500);
	assert_string_equal(probe->command[0], "dig");
	assert_string_equal(probe->command[1], "@{address}");
	assert_string_equal(probe->command[4], "interval");
	assert_null(probe->command[5]);

	probe = probe_of(&config, "192.0.2.2:*/tcp");
	assert_int_equal(probe->type, PROBE_HTTP);
	assert_int_equal(probe->port, 8080);
	assert_string_equal(probe->path, "/a?b");
	assert_string_equal(probe->match, "a # b");
	assert_int_equal(probe->status_first, 204);
	assert_int_equal(probe->status_last, 204);
	assert_int_equal(probe->interval, 125);
	assert_int_equal(probe->rise, 1);
	assert_int_equal(probe->fall, 100);
	assert_int_equal(probe->jitter, 0);

	probe = probe_of(&config, "192.0.2.3:443/tcp");
	assert_false(probe->verify);
	assert_null(probe->host);
	assert_int_equal(probe->status_last, 299);
	probe_config_free(&config);
}

#define WEB "probe 192.0.2.1:80/tcp "
#define SECONDS ": not a number of seconds from 0.1 to 3600, three decimals at most"

static const char *const bad[][2] = {
	{ "", ": no line says what to probe" },
	{ "\n# nothing\n", ": no line says what to probe" },
	{ "prob 192.0.2.1:80/tcp tcp", ":1: prob: a line is probe SERVICE TYPE ..." },
	{ "probe", ":1: probe: which service? ADDRESS:PORT/PROTOCOL" },
	{ "probe 192.0.2.1 tcp", ":1: probe 192.0.2.1: not ADDRESS:PORT/PROTOCOL: no port" },
	{ "probe 192.0.2.1:80/sctp tcp", ": the protocol is neither tcp nor udp" },
	{ WEB, "probe 192.0.2.1:80/tcp: no type: not one of: tcp, http, https, exec" },
	{ WEB "icmp", "/tcp: icmp: not one of: tcp, http, https, exec" },
	{ "\n" WEB "tcp\n\n" WEB "http\n",
	  ":4: probe 192.0.2.1:80/tcp http: the service is probed already by another line" },
	{ WEB "tcp interval", "/tcp tcp: interval: needs a value" },
	{ WEB "tcp interval 0", "interval 0" SECONDS },
	{ WEB "tcp interval 0.099", "interval 0.099" SECONDS },
	{ WEB "tcp interval 3600.001", "interval 3600.001" SECONDS },
	{ WEB "tcp interval -1", "interval -1" SECONDS },
	{ WEB "tcp interval 1s", "interval 1s" SECONDS },
	{ WEB "tcp interval 1.2.3", "interval 1.2.3" SECONDS },
	{ WEB "tcp interval 1.", "interval 1." SECONDS },
	{ WEB "tcp interval .5", "interval .5" SECONDS },
	{ WEB "tcp interval 0x1", "interval 0x1" SECONDS },
	{ WEB "tcp interval 1e3", "interval 1e3" SECONDS },
	{ WEB "tcp interval 1.0000", "interval 1.0000" SECONDS },
	{ WEB "tcp interval 99999999999999999999", SECONDS },
	{ WEB "tcp interval \"\"", "interval " SECONDS },
	{ WEB "tcp interval 1 interval 1", "interval: given twice" },
	{ WEB "tcp timeout 0", "timeout 0" SECONDS },
	{ WEB "tcp rise 0", "rise 0: not a number from 1 to 100" },
	{ WEB "tcp fall 101", "fall 101: not a number from 1 to 100" },
	{ WEB "tcp jitter 51", "jitter 51: not a number from 0 to 50" },
	{ WEB "tcp port 0", "port 0: not a number from 1 to 65535" },
	{ WEB "tcp port http", "port http: not a number from 1 to 65535" },
	{ WEB "tcp path /", "path: unknown keyword, not one of: interval, timeout, rise, fall, "
			    "jitter, port, via, source" },
	{ WEB "tcp via nowhere", "via nowhere: not one of: address, vip" },
	{ "probe *:80/tcp tcp via vip", "via vip: the service has no address of its own" },
	{ WEB "tcp source 10.0.0.1", "source 10.0.0.1: is for via vip" },
	{ WEB "tcp via address source 10.0.0.1", "source 10.0.0.1: is for via vip" },
	{ WEB "tcp via vip source [fd00::1]", "source [fd00::1]: not of the service's family" },
	{ WEB "tcp via vip source 10.0.0.1:5", "source 10.0.0.1:5: an address alone is wanted" },
	{ WEB "tcp via vip source *", "source *: not the address of a host" },
	{ WEB "exec via vip command true", "via: unknown keyword" },
	{ WEB "http verify off", "verify: unknown keyword, not one of: " },
	{ "probe 192.0.2.1:*/tcp tcp", "the service is on any port: which one? port N" },
	{ "probe 192.0.2.1:*/tcp http", "the service is on any port: which one? port N" },
	{ WEB "http path healthz", "path healthz: does not begin with /" },
	{ WEB "http path \"/a b\"", "path /a b: does not begin with /, or holds what" },
	{ WEB "http path \"/#a\"", "path /#a: does not begin with /, or holds what" },
	{ WEB "http path /\xc3\xa4", "or holds what has to be written as %XX" },
	{ WEB "http path \"\"", "path : does not begin with /" },
	{ WEB "http host a/b", "host a/b: not a name" },
	{ WEB "http host a:80", "host a:80: not a name" },
	{ WEB "http host user@a", "host user@a: not a name" },
	{ WEB "http host \"\"", "host : not a name" },
	{ WEB "http status 99", "status 99: not N or N-N, from 100 to 599" },
	{ WEB "http status 600", "status 600: not N or N-N" },
	{ WEB "http status 200-", "status 200-: not N or N-N" },
	{ WEB "http status -299", "status -299: not N or N-N" },
	{ WEB "http status 299-200", "status 299-200: not N or N-N" },
	{ WEB "http status 200-299-300", "status 200-299-300: not N or N-N" },
	{ WEB "http status 2xx", "status 2xx: not N or N-N" },
	{ WEB "http status 200,204", "status 200,204: not N or N-N" },
	{ WEB "http match \"\"", "match: an empty text is everywhere" },
	{ WEB "http match \"a", ":1: a quote without its second" },
	{ WEB "http match it works", "works: unknown keyword" },
	{ WEB "https", "whose certificate is it to be? host NAME, or verify off" },
	{ WEB "https verify on", "whose certificate is it to be?" },
	{ WEB "https host a verify no", "verify no: not one of: on, off" },
	{ WEB "https verify off ca /x", "ca /x: nothing to verify with verify off" },
	{ WEB "exec", "which command? command PROGRAM ARGUMENT..., after all else" },
	{ WEB "exec command", "which command?" },
	{ WEB "exec command \"\"", "which command?" },
	{ WEB "exec true", "which command?" },
	{ WEB "exec true command true", "true: unknown keyword, not one of: interval, timeout, "
					"rise, fall, jitter" },
	{ WEB "exec port 1 command true", "port: unknown keyword" },
};

static void bad_lines_are_told(void **state)
{
	(void)state;
	for (unsigned i = 0; i < COUNT(bad); i++) {
		struct probe_config config;
		struct capture capture;
		enum status status;
		const char *said;

		file_write(bad[i][0]);
		capture = capture_begin(stderr);
		status = probe_config_read(&config, file);
		said = capture_end(&capture);
		probe_config_free(&config);
		if (status != STATUS_USAGE || !strstr(said, bad[i][1]) ||
		    strncmp(said, "xlb: ", 5) || strchr(said, '\n') != said + strlen(said) - 1)
			fail_msg("\"%s\": %d: %s", bad[i][0], status, said);
	}
}

static void a_nul_is_no_text(void **state)
{
	static const char text[] = "probe 192.0.2.1:80/tcp tcp\0 port 81\n";
	FILE *stream = fopen(file, "w");
	struct probe_config config;
	struct capture capture;

	(void)state;
	assert_non_null(stream);
	fwrite(text, 1, sizeof(text) - 1, stream);
	fclose(stream);
	capture = capture_begin(stderr);
	assert_int_equal(probe_config_read(&config, file), STATUS_USAGE);
	assert_non_null(strstr(capture_end(&capture), ":1: a NUL byte"));
	probe_config_free(&config);
}

static void files_that_cannot_be_read_are_told(void **state)
{
	static const char *const files[][2] = {
		{ "/nonexistent", "xlb: /nonexistent: No such file or directory\n" },
		{ "/", "xlb: /: Is a directory\n" },
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(files); i++) {
		struct probe_config config;
		struct capture capture = capture_begin(stderr);
		enum status status = probe_config_read(&config, files[i][0]);

		assert_string_equal(capture_end(&capture), files[i][1]);
		assert_int_equal(status, STATUS_USAGE);
		probe_config_free(&config);
	}
}

static int begin(void **state)
{
	int made = mkstemp(file);

	(void)state;
	if (made < 0)
		return -1;
	close(made);
	return 0;
}

static int end(void **state)
{
	(void)state;
	return remove(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_say_how_to_probe),
		cmocka_unit_test(bad_lines_are_told),
		cmocka_unit_test(a_nul_is_no_text),
		cmocka_unit_test(files_that_cannot_be_read_are_told),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("probe_config", tests, begin, end);
}
