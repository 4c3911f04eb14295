// SPDX-License-Identifier: GPL-2.0-only
/* xlb lookup: which backend a packet would reach, and why, by the program itself. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <bpf/bpf.h>

#include "object.h"
#include "privilege.h"
#include "rule.h"
#include "session.h"

#define PROGRAM "xlb_lookup"
/* Room for the headers, and for the answer that takes their place. */
#define FRAME_SIZE 128

static const struct choice reasons[] = {
	{ "no_service", XLB_CHOICE_NO_SERVICE },
	{ "no_backend", XLB_CHOICE_NO_BACKEND },
	{ "table", XLB_CHOICE_TABLE },
	{ "previous", XLB_CHOICE_PREVIOUS },
	{ "record", XLB_CHOICE_RECORD },
	{ "denied", XLB_CHOICE_DENIED },
	{},
};

/* The packet that is asked about. */
struct question {
	struct endpoint from, to;
	bool established;
};

static void transport_fill(__u8 *to, size_t room, const struct question *question)
{
	struct tcphdr tcp = { .th_off = 5, .th_flags = question->established ? TH_ACK : TH_SYN };
	struct udphdr udp = { .uh_ulen = htons(room) };

	if (question->to.protocol == XLB_TCP) {
		tcp.th_sport = htons(question->from.port);
		tcp.th_dport = htons(question->to.port);
		memcpy(to, &tcp, sizeof(tcp));
	} else {
		udp.uh_sport = htons(question->from.port);
		udp.uh_dport = htons(question->to.port);
		memcpy(to, &udp, sizeof(udp));
	}
}

/* Returns the length of the headers up to the transport's. */
static size_t network_fill4(__u8 *frame, const struct question *question)
{
	struct ethhdr ethernet = { .h_proto = htons(ETH_P_IP) };
	struct iphdr ip = {
		.version = 4,
		.ihl = 5,
		.tot_len = htons(FRAME_SIZE - sizeof(ethernet)),
		.ttl = 64,
		.protocol = question->to.protocol,
	};

	memcpy(&ip.saddr, address_bytes(question->from.address), 4);
	memcpy(&ip.daddr, address_bytes(question->to.address), 4);
	memcpy(frame, &ethernet, sizeof(ethernet));
	memcpy(frame + sizeof(ethernet), &ip, sizeof(ip));
	return sizeof(ethernet) + sizeof(ip);
}

static size_t network_fill6(__u8 *frame, const struct question *question)
{
	struct ethhdr ethernet = { .h_proto = htons(ETH_P_IPV6) };
	struct ip6_hdr ip = {
		.ip6_flow = htonl(6U << 28),
		.ip6_plen = htons(FRAME_SIZE - sizeof(ethernet) - sizeof(ip)),
		.ip6_nxt = question->to.protocol,
		.ip6_hlim = 64,
	};

	memcpy(&ip.ip6_src, question->from.address, 16);
	memcpy(&ip.ip6_dst, question->to.address, 16);
	memcpy(frame, &ethernet, sizeof(ethernet));
	memcpy(frame + sizeof(ethernet), &ip, sizeof(ip));
	return sizeof(ethernet) + sizeof(ip);
}

static int program_ask(int program, const struct question *question, struct xlb_lookup *answer)
{
	__u8 frame[FRAME_SIZE] = {};
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame, .data_size_in = FRAME_SIZE,
		    .data_out = frame, .data_size_out = FRAME_SIZE, .repeat = 1);
	size_t used = address_is4(question->to.address) ? network_fill4(frame, question)
							: network_fill6(frame, question);
	int error;

	transport_fill(frame + used, FRAME_SIZE - used, question);
	error = bpf_prog_test_run_opts(program, &options);
	if (error)
		return error;
	if (options.retval != XDP_PASS)
		return -EPROTO;
	memcpy(answer, frame, sizeof(*answer));
	return 0;
}

/* NULL for none. */
static const char *owner_text(const struct state *state, __u16 id, char *text)
{
	if (id == XLB_BACKEND_NONE)
		return NULL;
	if (id >= state->maps.entries[MAP_TARGETS] || !state->by_id[id])
		return "deleted";
	return backend_text(&state->by_id[id]->end, text);
}

static void rule_print(struct output *output, const struct state *state,
		       const struct service *service, const struct question *question)
{
	struct prefix prefix;
	char text[PREFIX_TEXT];

	output_string(output, "rule", service && rule_deciding(state, service, question->from.address,
							       &prefix)
					      ? prefix_text(&prefix, text) : NULL);
}

static void answer_print(struct output *output, const struct state *state,
			 const struct question *question, const struct xlb_lookup *answer)
{
	const struct service *service = state_service_match(state, &question->to);
	char text[ENDPOINT_TEXT];

	output_line(output, 0);
	output_object(output, NULL);
	output_string(output, "backend", owner_text(state, answer->backend, text));
	output_string(output, "by", choice_name(reasons, answer->choice));
	if (answer->choice != XLB_CHOICE_NO_SERVICE) {
		output_string(output, "service",
			      service ? service_text(&service->endpoint, text) : NULL);
		rule_print(output, state, service, question);
	}
	if (answer->choice != XLB_CHOICE_NO_SERVICE && answer->choice != XLB_CHOICE_DENIED) {
		output_number(output, "slot", answer->slot);
		output_string(output, "owner", owner_text(state, answer->owner.current, text));
		output_string(output, "previous",
			      owner_text(state, answer->owner.previous, text));
		output_string(output, "record", owner_text(state, answer->record, text));
		output_flag(output, "record_usable", answer->record_usable);
	}
	output_close(output);
}

static enum status question_answer(struct context *context, const struct args *args,
				   const struct state *state, const struct question *question)
{
	struct bpf_program *program;
	struct xlb_lookup answer;
	struct bpf_object *object;
	char path[PATH_MAX];
	const struct object_wish wish = {
		.path = path,
		.program = PROGRAM,
		.folder = state->maps.folder,
	};
	int error = object_find(NULL, path);

	if (error)
		return args_fail(args, STATUS_REFUSED, "%s: no such file: name it in $XLB_OBJECT",
				 path);
	error = object_load(&wish, &object);
	if (error == -EPROTO)
		return args_fail(args, STATUS_REFUSED, "%s: " OBJECT_OTHER_ABI, path, XLB_ABI);
	if (error == -EROFS)
		return maps_fail(args, &state->maps, error);
	if (error)
		return args_fail(args, STATUS_REFUSED, "%s: %s", path,
				 object_explain(error, PRIVILEGE_LOAD));
	program = bpf_object__find_program_by_name(object, PROGRAM);
	error = program ? program_ask(bpf_program__fd(program), question, &answer) : -ENOENT;
	bpf_object__close(object);
	if (error)
		return args_fail(args, STATUS_REFUSED, "%s: %s: %s", path, PROGRAM,
				 strerror(-error));
	answer_print(&context->output, state, question, &answer);
	return STATUS_DONE;
}

static enum status question_take(struct args *args, struct question *question)
{
	struct keyword given[] = { { .name = "established", .type = KEYWORD_FLAG }, {} };
	const char *from = args_subject(args), *to, *why;

	if (!from)
		return args_fail(args, STATUS_USAGE, "which client? ADDRESS:PORT");
	why = client_parse(from, &question->from);
	if (why)
		return args_fail(args, STATUS_USAGE, "%s", why);
	to = args_take(args);
	if (!to || strcmp(to, "to"))
		return args_fail(args, STATUS_USAGE, "%s: to ADDRESS:PORT/PROTOCOL is to follow",
				 to ? to : "nothing more");
	to = args_take(args);
	if (!to)
		return args_fail(args, STATUS_USAGE, "to: needs a value");
	why = service_parse(to, &question->to);
	if (!why && (!question->to.port || address_is_any(question->to.address)))
		why = "a packet has one address and one port";
	if (why)
		return args_fail(args, STATUS_USAGE, "to %s: %s", to, why);
	if (address_is4(question->from.address) != address_is4(question->to.address))
		return args_fail(args, STATUS_USAGE, "to %s: not of the client's family", to);
	if (args_keywords(args, given))
		return STATUS_USAGE;
	question->established = given[0].given;
	return STATUS_DONE;
}

static enum status lookup_run(struct context *context, struct args *args)
{
	struct question question = {};
	enum status status;
	struct state *state;

	if (question_take(args, &question))
		return STATUS_USAGE;
	state = session_view(context, args);
	if (!state)
		return STATUS_REFUSED;
	status = question_answer(context, args, state, &question);
	state_free(state);
	return status;
}

const struct object lookup_object = {
	.name = "lookup",
	.usage = "xlb lookup CLIENT to SERVICE [ established ]\n"
		 "CLIENT := ADDRESS:PORT\n"
		 "SERVICE := ADDRESS:PORT/PROTOCOL\n"
		 "A packet that begins a connection, or one of a connection that goes on.\n",
	.run = lookup_run,
};
