// SPDX-License-Identifier: GPL-2.0-only
/* The kernel settings that a balancer's interface needs: read, set, told. */
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <limits.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "args.h"
#include "sysctl.h"

/* net.FAMILY.conf.SCOPE.NAME, where scope is an interface or "all". */
struct setting {
	const char *family;
	const char *scope;
	const char *name;
	int value;		/* what it should be */
};

static int setting_open(const struct setting *setting, int flags)
{
	char path[PATH_MAX];
	int file;

	snprintf(path, sizeof(path), "/proc/sys/net/%s/conf/%s/%s", setting->family,
		 setting->scope, setting->name);
	file = open(path, flags | O_CLOEXEC);
	return file < 0 ? -errno : file;
}

/* The value, or -errno; all that we read are 0 or more. */
static int setting_read(const struct setting *setting)
{
	int file = setting_open(setting, O_RDONLY);
	char text[16];
	ssize_t length;

	if (file < 0)
		return file;
	length = read(file, text, sizeof(text) - 1);
	close(file);
	if (length < 0)
		return -EIO;
	text[length] = '\0';
	return atoi(text);
}

static int setting_write(const struct setting *setting)
{
	int file = setting_open(setting, O_WRONLY);
	int err = 0;

	if (file < 0)
		return file;
	if (dprintf(file, "%d\n", setting->value) < 0)
		err = -errno;
	close(file);
	return err;
}

/* As sysctl(8) spells it: a dot within the interface's name is a slash. */
static void setting_print(const struct setting *setting, char *text, size_t size)
{
	char scope[IFNAMSIZ];

	snprintf(scope, sizeof(scope), "%s", setting->scope);
	for (char *dot = scope; (dot = strchr(dot, '.'));)
		*dot = '/';
	snprintf(text, size, "net.%s.conf.%s.%s=%d", setting->family, scope, setting->name,
		 setting->value);
}

/* Sets it unless it is so already or the kernel has no such setting. */
static void setting_apply(const struct args *args, const struct setting *setting)
{
	int err, old = setting_read(setting);
	char text[128];

	if (old == setting->value || old == -ENOENT)
		return;
	setting_print(setting, text, sizeof(text));
	err = old < 0 ? old : setting_write(setting);
	if (err)
		args_warn(args, "warning: could not set %s: %s", text, strerror(-err));
	else
		args_warn(args, "set %s (was %d)", text, old);
}

/*
 * What is missing for an interface to forward, at most two settings.  The FIB that
 * XDP asks goes by the interface's own; IPv6 that goes up the stack also wants
 * forwarding for all interfaces, or, since Linux 6.17, force_forwarding.
 */
static unsigned forwarding_missing(int family, const char *dev, struct setting missing[2])
{
	const char *name = family == AF_INET ? "ipv4" : "ipv6";
	struct setting own = { name, dev, "forwarding", 1 };
	struct setting forced = { name, dev, "force_forwarding", 1 };
	struct setting all = { name, "all", "forwarding", 1 };
	unsigned count = 0;

	if (setting_read(&own) == 0)
		missing[count++] = own;
	if (family == AF_INET6 && setting_read(&own) >= 0 && setting_read(&all) == 0 &&
	    setting_read(&forced) != 1)
		missing[count++] = setting_read(&forced) == 0 ? forced : all;
	return count;
}

static bool has_ipv4(const char *dev)
{
	size_t length = strlen(dev);
	struct ifaddrs *list, *each;
	bool has = false;

	if (getifaddrs(&list))
		return true;
	for (each = list; each; each = each->ifa_next)
		/* A label (eth0:1) may stand for the name. */
		has |= !strncmp(each->ifa_name, dev, length) &&
		       (!each->ifa_name[length] || each->ifa_name[length] == ':') &&
		       each->ifa_addr && each->ifa_addr->sa_family == AF_INET;
	freeifaddrs(list);
	return has;
}

static bool local_missing(const char *dev, struct setting *missing)
{
	const struct setting all = { "ipv4", "all", "accept_local", 1 };

	*missing = (struct setting){ "ipv4", dev, "accept_local", 1 };
	return setting_read(missing) == 0 && setting_read(&all) == 0;
}

/*
 * The larger of an interface's own filter and that for all counts: strict (1) drops
 * what comes from addresses of this machine, and on an interface without an IPv4
 * address so does loose (2).  At most two settings.
 */
static unsigned filter_missing(const char *dev, struct setting missing[2])
{
	struct setting own = { "ipv4", dev, "rp_filter", 0 };
	struct setting all = { "ipv4", "all", "rp_filter", 0 };
	int mine = setting_read(&own), everyone = setting_read(&all);
	unsigned count = 0;

	if (has_ipv4(dev)) {
		own.value = 2;
		if (mine <= 1 && everyone <= 1 && mine + everyone > 0)
			missing[count++] = own;
		return count;
	}
	if (mine > 0)
		missing[count++] = own;
	if (everyone > 0)
		missing[count++] = all;
	return count;
}

static void settings_print(const struct setting *settings, unsigned count, char *text,
			   size_t size)
{
	size_t used = 0;

	text[0] = '\0';
	for (unsigned i = 0; i < count && used + 1 < size; i++) {
		if (i)
			text[used++] = ' ';
		setting_print(&settings[i], text + used, size - used);
		used += strlen(text + used);
	}
}

void sysctl_missing_forwarding(int family, const char *dev, char *settings, size_t size)
{
	struct setting missing[2];

	settings_print(missing, forwarding_missing(family, dev, missing), settings, size);
}

void sysctl_missing_own_source(const char *dev, char *settings, size_t size)
{
	struct setting missing[3];
	unsigned count = local_missing(dev, &missing[0]);

	count += filter_missing(dev, &missing[count]);
	settings_print(missing, count, settings, size);
}

void sysctl_missing_filter(const char *dev, char *settings, size_t size)
{
	struct setting missing[2];

	settings_print(missing, filter_missing(dev, missing), settings, size);
}

/* Settings for all interfaces are the administrator's: others may not expect them. */
static void forwarding_apply(const struct args *args, int family, const char *dev)
{
	struct setting missing[2];
	unsigned count = forwarding_missing(family, dev, missing);

	for (unsigned i = 0; i < count; i++)
		if (!strcmp(missing[i].scope, dev))
			setting_apply(args, &missing[i]);
}

static void own_source_apply(const struct args *args, const char *dev)
{
	const struct setting loose = { "ipv4", dev, "rp_filter", 2 };
	const struct setting all = { "ipv4", "all", "rp_filter", 0 };
	struct setting missing[2];

	if (local_missing(dev, &missing[0]))
		setting_apply(args, &missing[0]);
	/* Off is of no use where it is on for all; loose is, once there is an address. */
	if (setting_read(&all) == 1)
		setting_apply(args, &loose);
	else if (setting_read(&all) == 0 && filter_missing(dev, missing))
		setting_apply(args, &missing[0]);
}

int sysctl_forward(const char *dev)
{
	const struct setting settings[] = {
		{ "ipv4", dev, "forwarding", 1 },
		{ "ipv6", dev, "forwarding", 1 },
	};
	int error = 0;

	for (unsigned i = 0; i < sizeof(settings) / sizeof(settings[0]) && !error; i++)
		if (setting_read(&settings[i]) == 0)
			error = setting_write(&settings[i]);
	return error;
}

void sysctl_prepare(const struct args *args, const char *dev)
{
	const struct setting router = { "ipv6", dev, "accept_ra", 2 };
	const struct setting forward = { "ipv6", dev, "forwarding", 1 };

	forwarding_apply(args, AF_INET, dev);
	own_source_apply(args, dev);
	/* Forwarding would throw away routes learned from advertisements. */
	if (setting_read(&router) == 1 && setting_read(&forward) == 0)
		setting_apply(args, &router);
	forwarding_apply(args, AF_INET6, dev);
}
