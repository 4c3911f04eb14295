// SPDX-License-Identifier: GPL-2.0-only
/* xlb: options and objects; everything else is the objects' own. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <bpf/libbpf.h>

#include "command.h"
#include "namespace.h"
#include "session.h"

static const struct object *const objects[] = {
	&service_object,
	&backend_object,
	&acl_object,
	&config_object,
	&flow_object,
	&stats_object,
	&monitor_object,
	&lookup_object,
	&load_object,
	&unload_object,
	&link_object,
	&decap_object,
	&save_object,
	&restore_object,
};

#define OBJECTS (sizeof(objects) / sizeof(objects[0]))

static void usage(FILE *to)
{
	fprintf(to, "Usage: xlb [ OPTIONS ] OBJECT { COMMAND | help }\n"
		    "       xlb [ OPTIONS ] -batch FILE\n"
		    "OBJECT := {");
	for (unsigned i = 0; i < OBJECTS; i++)
		fprintf(to, " %s%s", objects[i]->name, i + 1 == OBJECTS ? " }\n" :
			i % 8 == 7 ? " |\n                  " : " |");
	fprintf(to, "OPTIONS := { -j | -p | -s | -t | -force | -n NETNS | -pin DIR | -V | -h }\n");
}

static enum status verb_unknown(const struct args *args, const struct object *object,
				const char *word)
{
	char names[128] = "";

	for (const struct command *command = object->commands; command->name; command++)
		snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s, ",
			 command->name);
	return args_fail(args, STATUS_USAGE, "%s: unknown command, not one of: %shelp", word,
			 names);
}

static enum status object_run(struct context *context, struct args *args,
			      const struct object *object)
{
	const struct command *command = object->commands;
	const char *verb = args_peek(args);
	bool help = args_help(verb);

	if (command && verb && !help) {
		while (command->name && strcmp(command->name, verb))
			command++;
		if (!command->name)
			return verb_unknown(args, object, verb);
		args_subject(args);
		help = args_help(args_peek(args));
	} else if (command && !help) {
		while (command->name && strcmp(command->name, "show"))
			command++;
	}
	/* What the other lines show as JSON would be lost. */
	if (help && context->output.batch)
		return args_fail(args, STATUS_USAGE, "help: no line of a batch, see `xlb %s help`",
				 object->name);
	if (help) {
		printf("Usage: %s", object->usage);
		context->output.json = false;
		return STATUS_DONE;
	}
	if ((!command || !command->edits) && session_commit(context, args))
		return STATUS_REFUSED;
	return command ? command->run(context, args) : object->run(context, args);
}

enum status command_run(struct context *context, struct args *args)
{
	const char *name = args_subject(args);

	for (unsigned i = 0; i < OBJECTS; i++)
		if (!strcmp(objects[i]->name, name))
			return object_run(context, args, objects[i]);
	args->label = 0;
	return args_fail(args, STATUS_USAGE, "%s: unknown object, see `xlb help`", name);
}

enum option { OPTION_JSON, OPTION_PRETTY, OPTION_STATISTICS, OPTION_TIMES, OPTION_FORCE, OPTION_VERSION,
	      OPTION_HELP, OPTION_NETNS, OPTION_PIN, OPTION_BATCH };

static const struct choice options[] = {
	{ "-j", OPTION_JSON },
	{ "-p", OPTION_PRETTY },
	{ "-s", OPTION_STATISTICS },
	{ "-t", OPTION_TIMES },
	{ "-force", OPTION_FORCE },
	{ "-V", OPTION_VERSION },
	{ "-h", OPTION_HELP },
	{ "--help", OPTION_HELP },
	{ "-n", OPTION_NETNS },
	{ "-pin", OPTION_PIN },
	{ "-batch", OPTION_BATCH },
	{},
};

/* What the command line asks for, besides its options. */
struct request {
	const char *netns;
	const char *batch;
	bool version;
	bool help;
};

static void option_take(struct context *context, struct request *request, enum option option,
			const char *value)
{
	switch (option) {
	case OPTION_PRETTY:
		context->output.pretty = true;
		/* fall through */
	case OPTION_JSON:
		context->output.json = true;
		break;
	case OPTION_STATISTICS:
		context->statistics = true;
		break;
	case OPTION_TIMES:
		context->times = true;
		break;
	case OPTION_FORCE:
		context->force = true;
		break;
	case OPTION_VERSION:
		request->version = true;
		break;
	case OPTION_HELP:
		request->help = true;
		break;
	case OPTION_NETNS:
		request->netns = value;
		break;
	case OPTION_PIN:
		context->pin = value;
		break;
	case OPTION_BATCH:
		request->batch = value;
		break;
	}
}

static enum status options_take(struct context *context, struct request *request,
				struct args *args)
{
	const char *word, *value;
	const struct choice *option;

	while ((word = args_peek(args)) && word[0] == '-') {
		args_take(args);
		for (option = options; option->name; option++)
			if (!strcmp(option->name, word))
				break;
		if (!option->name)
			return args_fail(args, STATUS_USAGE, "%s: unknown option, see `xlb help`",
					 word);
		value = option->value >= OPTION_NETNS ? args_take(args) : NULL;
		if (option->value >= OPTION_NETNS && (!value || !*value))
			return args_fail(args, STATUS_USAGE, "%s: needs a value", word);
		option_take(context, request, option->value, value);
	}
	return STATUS_DONE;
}

static enum status request_run(struct context *context, const struct request *request,
			       struct args *args)
{
	enum status status;

	if (request->netns && namespace_enter(request->netns))
		return STATUS_REFUSED;
	if (request->batch) {
		if (args_end(args))
			return STATUS_USAGE;
		return batch_run(context, request->batch);
	}
	status = command_run(context, args);
	if (!status)
		status = session_commit(context, args);
	return status;
}

int main(int argc, char **argv)
{
	struct args args = { .words = argv + 1, .count = argc > 0 ? argc - 1 : 0 };
	struct context context = {};
	struct request request = {};
	enum status status;
	int error;

	/* What is made belongs to its maker alone until that says otherwise. */
	umask(077);
	libbpf_set_strict_mode(LIBBPF_STRICT_ALL);
	libbpf_set_print(NULL);
	if (options_take(&context, &request, &args))
		return STATUS_USAGE;
	if (request.version) {
		puts("xlb " XLB_VERSION);
		return STATUS_DONE;
	}
	if (request.help || (!request.batch && args_help(args_peek(&args)))) {
		usage(stdout);
		return STATUS_DONE;
	}
	if (!request.batch && !args_peek(&args)) {
		usage(stderr);
		return STATUS_USAGE;
	}
	args.words += args.next;
	args.count -= args.next;
	args.next = 0;
	status = request_run(&context, &request, &args);
	session_drop(&context);
	error = output_finish(&context.output);
	if (error && !status)
		status = args_fail(NULL, STATUS_REFUSED, "standard output: %s", strerror(-error));
	return status;
}
