// SPDX-License-Identifier: GPL-2.0-only
/* Netlink requests and their answers, with the kernel's words about an error. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "netlink.h"
#include "netlink_ask.h"

/* A dump comes in pages of up to 32 KiB. */
#define ANSWER_SIZE 32768

static char explanation[256];

const char *netlink_explanation(void)
{
	return explanation;
}

static int on_error(const struct nlmsghdr *answer, void *context)
{
	const struct nlmsgerr *error = mnl_nlmsg_get_payload(answer);
	const struct nlattr *attr;

	(void)context;
	if (!error->error)
		return MNL_CB_STOP;
	if (answer->nlmsg_flags & NLM_F_ACK_TLVS) {
		mnl_attr_for_each(attr, answer, sizeof(*error)) {
			if (mnl_attr_get_type(attr) == NLMSGERR_ATTR_MSG)
				snprintf(explanation, sizeof(explanation), "%.*s",
					 mnl_attr_get_payload_len(attr), mnl_attr_get_str(attr));
		}
	}
	errno = -error->error;
	return MNL_CB_ERROR;
}

struct mnl_socket *netlink_open(int bus)
{
	struct mnl_socket *socket = mnl_socket_open2(bus, SOCK_CLOEXEC);
	int on = 1, err;

	if (!socket)
		return NULL;
	/* Older kernels know neither and then only explain less. */
	mnl_socket_setsockopt(socket, NETLINK_EXT_ACK, &on, sizeof(on));
	mnl_socket_setsockopt(socket, NETLINK_CAP_ACK, &on, sizeof(on));
	if (!mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID))
		return socket;
	err = errno;
	mnl_socket_close(socket);
	errno = err;
	return NULL;
}

struct mnl_socket *netlink_listen(const unsigned *groups)
{
	struct mnl_socket *socket = netlink_open(NETLINK_ROUTE);
	int error = 0;

	for (; socket && !error && *groups; groups++)
		error = mnl_socket_setsockopt(socket, NETLINK_ADD_MEMBERSHIP, (void *)groups,
					      sizeof(*groups));
	if (socket && !error)
		error = fcntl(mnl_socket_get_fd(socket), F_SETFL, O_NONBLOCK);
	if (!socket || !error)
		return socket;
	error = errno;
	mnl_socket_close(socket);
	errno = error;
	return NULL;
}

int netlink_talk(struct mnl_socket *socket, struct nlmsghdr *request, mnl_cb_t each, void *context)
{
	static mnl_cb_t control[] = { [NLMSG_ERROR] = on_error };
	char answer[ANSWER_SIZE];
	unsigned port = mnl_socket_get_portid(socket);
	ssize_t length;
	int run;

	explanation[0] = '\0';
	if (mnl_socket_sendto(socket, request, request->nlmsg_len) < 0)
		return -errno;
	do {
		length = mnl_socket_recvfrom(socket, answer, sizeof(answer));
		if (length < 0)
			return -errno;
		run = mnl_cb_run2(answer, length, request->nlmsg_seq, port, each, context, control,
				  MNL_ARRAY_SIZE(control));
	} while (run > MNL_CB_STOP);
	return run < 0 ? -errno : 0;
}

int netlink_ask(int bus, struct nlmsghdr *request, mnl_cb_t each, void *context)
{
	struct mnl_socket *socket = netlink_open(bus);
	int err;

	if (!socket)
		return -errno;
	err = netlink_talk(socket, request, each, context);
	mnl_socket_close(socket);
	return err;
}

struct nlmsghdr *netlink_request(void *buffer, unsigned type, unsigned flags)
{
	struct nlmsghdr *request;

	/* Attributes are padded, and what the stack held is nobody's business. */
	memset(buffer, 0, NETLINK_REQUEST_SIZE);
	request = mnl_nlmsg_put_header(buffer);
	request->nlmsg_type = type;
	request->nlmsg_flags = NLM_F_REQUEST | flags;
	request->nlmsg_seq = 1;
	return request;
}
