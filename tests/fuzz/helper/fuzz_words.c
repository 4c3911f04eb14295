// SPDX-License-Identifier: GPL-2.0-only
/*
 * Words by themselves: the input is a line, and each of its words an address, a port, a
 * number.  What can be read is printed such that it is read as the same again.
 */
#include <stdlib.h>
#include <string.h>

#include "endpoint.h"
#include "helper.h"
#include "words.h"

int LLVMFuzzerInitialize(int *count, char ***words)
{
	(void)count;
	(void)words;
	return 0;
}

static void service_judge(const char *word)
{
	struct endpoint read = {}, again = {};
	union endpoint_key key;
	char text[ENDPOINT_TEXT];

	if (service_parse(word, &read))
		return;
	holds(strlen(service_text(&read, text)) < sizeof(text), "it has room", NULL);
	holds(!service_parse(text, &again) && !endpoint_compare(&read, &again),
	      "a service is read as it was printed", NULL);
	endpoint_to_key(&read, &key);
	endpoint_from_key(&again, &key, !address_is4(read.address));
	holds(!endpoint_compare(&read, &again), "a key is a service's", NULL);
}

static void backend_judge(const char *word)
{
	struct endpoint read = {}, again = {};
	char text[ENDPOINT_TEXT];

	if (backend_parse(word, &read))
		return;
	holds(strlen(backend_text(&read, text)) < sizeof(text), "it has room", NULL);
	holds(!backend_parse(text, &again) && !endpoint_compare(&read, &again),
	      "a backend is read as it was printed", NULL);
	holds(!address_is_any(read.address), "a backend is a host", NULL);
	holds(!client_parse(word, &again) == !!read.port, "a client has a port", NULL);
}

static void word_judge(const char *word)
{
	__u64 number = 0;
	__u8 address[16];

	service_judge(word);
	backend_judge(word);
	if (!address_parse(word, address))
		holds(!address_is_any(address), "an address is a host's", NULL);
	if (!args_number(word, 5, 70000, &number))
		holds(number >= 5 && number <= 70000, "a number is in its range", NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *line = strndup((const char *)data, size), *words[WORDS_MAX];
	size_t length = strlen(line);
	int count;

	word_judge(line);
	words_cut(line, words, &count);
	holds(count >= 0 && count <= WORDS_MAX, "words are counted", NULL);
	for (int i = 0; i < count; i++) {
		holds(words[i] >= line && words[i] + strlen(words[i]) <= line + length,
		      "words are within the line", NULL);
		word_judge(words[i]);
	}
	free(line);
	return 0;
}
