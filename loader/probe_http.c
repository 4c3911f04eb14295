// SPDX-License-Identifier: GPL-2.0-only
/* Probes over HTTP, with and without TLS, by libcurl. */
#define _GNU_SOURCE	/* memmem, asprintf */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "probe.h"

/* Bytes of a body that are looked at. */
#define BODY_MAX 65536
/* How long to connect, in seconds: longer than any timeout, which is not for libcurl to
 * tell.  It would be 300. */
#define CONNECT_MAX 86400L

static void http_init(struct check *check)
{
	check->http = (struct attempt_http){};
}

static void http_stop(struct check *check)
{
	struct attempt_http *http = &check->http;

	if (http->added)
		curl_multi_remove_handle(check->prober->multi, http->easy);
	http->added = false;
	free(http->body);
	http->body = NULL;
}

static void http_free(struct check *check)
{
	struct attempt_http *http = &check->http;

	curl_easy_cleanup(http->easy);
	curl_slist_free_all(http->connect_to);
	curl_slist_free_all(http->headers);
	http_init(check);
}

/* No answer: the backend's fault, or that of this machine, which tells nothing of it. */
static void failure_judge(struct check *check, CURLcode code)
{
	const char *why = *check->http.error ? check->http.error : curl_easy_strerror(code);
	long refusal = 0;

	if (code == CURLE_COULDNT_CONNECT)
		curl_easy_getinfo(check->http.easy, CURLINFO_OS_ERRNO, &refusal);
	if (check->http.trouble)
		check_finish(check, RESULT_UNKNOWN, "%s", check_trouble(check->http.trouble));
	else if (refusal)
		check_finish(check, refusal == EADDRNOTAVAIL ? RESULT_UNKNOWN : RESULT_DOWN,
			     "connect: %s", strerror(refusal));
	/* There is nothing to resolve but addresses, which wants memory alone. */
	else if (code == CURLE_OUT_OF_MEMORY || code == CURLE_COULDNT_RESOLVE_HOST)
		check_finish(check, RESULT_UNKNOWN, "%s", strerror(ENOMEM));
	else if (code == CURLE_FAILED_INIT || code == CURLE_SSL_CACERT_BADFILE)
		check_finish(check, RESULT_UNKNOWN, "%s", why);
	else
		check_finish(check, RESULT_DOWN, "%s", why);
}

static void http_judge(struct check *check, CURLcode code)
{
	const struct probe *probe = check->probe;
	struct attempt_http *http = &check->http;
	bool cut = code == CURLE_WRITE_ERROR && http->length >= BODY_MAX;
	long status = 0;

	if (code && !cut) {
		failure_judge(check, code);
		return;
	}
	curl_easy_getinfo(http->easy, CURLINFO_RESPONSE_CODE, &status);
	if (status < probe->status_first || status > probe->status_last)
		check_finish(check, RESULT_DOWN, "status %ld, not %u-%u", status,
			     probe->status_first, probe->status_last);
	else if (probe->match && (!http->body || !memmem(http->body, http->length, probe->match,
							 strlen(probe->match))))
		check_finish(check, RESULT_DOWN, "status %ld, but no \"%s\" in %s", status,
			     probe->match, cut ? "the first 64 KiB" : "the body");
	else
		check_finish(check, RESULT_UP, "status %ld", status);
}

static void messages_take(struct prober *prober)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(prober->multi, &left))) {
		struct check *check;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &check);
		http_judge(check, message->data.result);
	}
}

/* libcurl has no memory, and may have forgotten whom it was to tell, and when: all that is
 * under way is given up. */
static void attempts_give_up(struct prober *prober)
{
	for (struct check *check = prober->checks; check; check = check->next) {
		enum probe_type type = check->probe->type;

		if (check->running && (type == PROBE_HTTP || type == PROBE_HTTPS))
			check_finish(check, RESULT_UNKNOWN, "%s", strerror(ENOMEM));
	}
}

static void multi_act(struct prober *prober, int file, int mask)
{
	int running;
	CURLMcode code = curl_multi_socket_action(prober->multi, file, mask, &running);

	messages_take(prober);
	if (code == CURLM_OUT_OF_MEMORY)
		attempts_give_up(prober);
}

static void socket_ready(void *context, int file, __u32 events)
{
	int mask = 0;

	if (events & EPOLLIN)
		mask |= CURL_CSELECT_IN;
	if (events & EPOLLOUT)
		mask |= CURL_CSELECT_OUT;
	if (events & (EPOLLERR | EPOLLHUP))
		mask |= CURL_CSELECT_ERR;
	multi_act(context, file, mask);
}

static int socket_change(CURL *easy, curl_socket_t file, int what, void *context, void *unused)
{
	struct prober *prober = context;

	(void)easy;
	(void)unused;
	if (what == CURL_POLL_REMOVE) {
		loop_forget(&prober->loop, file);
		return 0;
	}
	return loop_watch(&prober->loop, file,
			  ((what & CURL_POLL_IN) ? EPOLLIN : 0) |
			  ((what & CURL_POLL_OUT) ? EPOLLOUT : 0), socket_ready, prober) ? -1 : 0;
}

static void multi_timer(void *context)
{
	multi_act(context, CURL_SOCKET_TIMEOUT, 0);
}

static int timer_change(CURLM *multi, long milliseconds, void *context)
{
	struct prober *prober = context;

	(void)multi;
	if (milliseconds < 0)
		timer_unset(&prober->loop, &prober->multi_timer);
	else
		timer_set(&prober->loop, &prober->multi_timer, loop_now() + milliseconds);
	return 0;
}

static int multi_begin(struct prober *prober)
{
	if (prober->multi)
		return 0;
	if (curl_global_init(CURL_GLOBAL_DEFAULT))
		return -ENOMEM;
	prober->multi = curl_multi_init();
	if (!prober->multi)
		return -ENOMEM;
	prober->multi_timer.run = multi_timer;
	prober->multi_timer.context = prober;
	curl_multi_setopt(prober->multi, CURLMOPT_SOCKETFUNCTION, socket_change);
	curl_multi_setopt(prober->multi, CURLMOPT_SOCKETDATA, prober);
	curl_multi_setopt(prober->multi, CURLMOPT_TIMERFUNCTION, timer_change);
	curl_multi_setopt(prober->multi, CURLMOPT_TIMERDATA, prober);
	return 0;
}

void http_end(struct prober *prober)
{
	if (!prober->multi)
		return;
	curl_multi_cleanup(prober->multi);
	curl_global_cleanup();
	prober->multi = NULL;
}

static size_t body_take(char *data, size_t size, size_t count, void *context)
{
	struct check *check = context;
	struct attempt_http *http = &check->http;
	size_t room = BODY_MAX - http->length, got = size * count;
	size_t kept = got < room ? got : room;

	if (check->probe->match) {
		char *more = realloc(http->body, http->length + kept);

		if (!more) {
			http->trouble = ENOMEM;
			return 0;
		}
		memcpy(more + http->length, data, kept);
		http->body = more;
	}
	http->length += kept;
	return http->length < BODY_MAX ? got : 0;
}

/* So that a lack of descriptors is not taken for a backend that is down. */
static curl_socket_t socket_open(void *context, curlsocktype purpose,
				 struct curl_sockaddr *address)
{
	struct check *check = context;
	int file = check_socket(check);

	(void)purpose;
	(void)address;
	check->http.trouble = file < 0 ? -file : 0;
	return file < 0 ? CURL_SOCKET_BAD : file;
}

/* An address as it stands in a URL, or a name. */
static const char *url_host(const struct check *check, char *text)
{
	struct endpoint host = address_is_any(check->service.address) ? check->end
								       : check->service;

	if (check->probe->host)
		return check->probe->host;
	host.port = 0;
	return backend_text(&host, text);
}

/* The request is what clients send to the service, but goes to the backend. */
static CURLcode request_set(struct check *check, CURL *easy)
{
	struct attempt_http *http = &check->http;
	const struct probe *probe = check->probe;
	char host[ENDPOINT_TEXT], to[ENDPOINT_TEXT + 2] = "::";
	struct endpoint end;
	CURLcode code;
	char *url;

	check_end(check, &end);
	backend_text(&end, to + 2);
	http->connect_to = curl_slist_append(NULL, to);
	http->headers = curl_slist_append(NULL, "Connection: close");
	if (!http->connect_to || !http->headers ||
	    asprintf(&url, "%s://%s:%u%s", probe->type == PROBE_HTTPS ? "https" : "http",
		     url_host(check, host), check->service.port ? check->service.port : end.port,
		     probe->path) < 0)
		return CURLE_OUT_OF_MEMORY;
	code = curl_easy_setopt(easy, CURLOPT_URL, url);
	free(url);
	code = code ?: curl_easy_setopt(easy, CURLOPT_CONNECT_TO, http->connect_to);
	return code ?: curl_easy_setopt(easy, CURLOPT_HTTPHEADER, http->headers);
}

static CURLcode security_set(const struct probe *probe, CURL *easy)
{
	CURLcode code = curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, (long)probe->verify);

	code = code ?: curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, probe->verify ? 2L : 0L);
	/* A session that is resumed shows no certificate. */
	code = code ?: curl_easy_setopt(easy, CURLOPT_SSL_SESSIONID_CACHE, 0L);
	if (!probe->ca)
		return code;
	/* And nobody whom the machine knows besides; the file may be replaced. */
	code = code ?: curl_easy_setopt(easy, CURLOPT_CAINFO, probe->ca);
	code = code ?: curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
	return code ?: curl_easy_setopt(easy, CURLOPT_CA_CACHE_TIMEOUT, 0L);
}

/* Nothing of the environment or of an earlier probe is to have a say. */
static CURLcode easy_set(struct check *check, CURL *easy)
{
	CURLcode code = curl_easy_setopt(easy, CURLOPT_PROXY, "");

	code = code ?: curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	code = code ?: curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, CONNECT_MAX);
	code = code ?: curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	code = code ?: curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
	code = code ?: curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
	code = code ?: curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
	code = code ?: curl_easy_setopt(easy, CURLOPT_USERAGENT, "xlb-probe/" XLB_VERSION);
	code = code ?: curl_easy_setopt(easy, CURLOPT_PRIVATE, check);
	code = code ?: curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, check->http.error);
	code = code ?: curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, body_take);
	code = code ?: curl_easy_setopt(easy, CURLOPT_WRITEDATA, check);
	code = code ?: curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, socket_open);
	code = code ?: curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, check);
	code = code ?: request_set(check, easy);
	return code ?: security_set(check->probe, easy);
}

static int easy_begin(struct check *check)
{
	struct attempt_http *http = &check->http;

	if (http->easy)
		return 0;
	http->easy = curl_easy_init();
	if (http->easy && !easy_set(check, http->easy))
		return 0;
	http_free(check);
	return -ENOMEM;
}

static int http_begin(struct check *check)
{
	struct attempt_http *http = &check->http;
	int error = multi_begin(check->prober);

	error = error ?: easy_begin(check);
	if (error)
		return error;
	http->length = 0;
	http->trouble = 0;
	*http->error = '\0';
	if (curl_multi_add_handle(check->prober->multi, http->easy))
		return -ENOMEM;
	http->added = true;
	return 0;
}

const struct prober_kind http_kind = {
	.init = http_init,
	.begin = http_begin,
	.stop = http_stop,
	.free = http_free,
};
