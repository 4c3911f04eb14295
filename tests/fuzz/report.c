// SPDX-License-Identifier: GPL-2.0-only
/* What a run came to: figures for people, and failures so that they can be had again. */
#include <stdio.h>
#include <string.h>

#include "run.h"

static const char *const verdicts[] = { "ABORTED", "DROP", "PASS", "TX", "REDIRECT" };

static void tally_count(struct tally *tally, const char *name)
{
	unsigned i;

	for (i = 0; i < REPORT_ROWS - 1 && tally->names[i]; i++)
		if (!strcmp(tally->names[i], name))
			break;
	tally->names[i] = name;
	tally->counts[i]++;
}

static void bytes_print(const char *name, const __u8 *bytes, unsigned size)
{
	printf("  %s ", name);
	for (unsigned i = 0; i < size; i++)
		printf("%02x", bytes[i]);
	putchar('\n');
}

static void frame_print(const struct fuzz *fuzz, const struct frame *frame, bool right)
{
	const struct trial *trial = &fuzz->trial;

	printf("frame %llu, %s, in by %s: %s, %s\n", (unsigned long long)fuzz->number,
	       frame->production, link_names[frame->link],
	       trial->verdict < 5 ? verdicts[trial->verdict] : "no verdict",
	       right ? fuzz->court.outcome : fuzz->court.complaint);
	for (unsigned i = 0; i < fuzz->world.drop_count; i++)
		if (trial->drops[i])
			printf("  counted as %s\n", fuzz->world.drops[i]);
	bytes_print("in ", frame->bytes, frame->size);
	bytes_print("out", trial->out, trial->out_size);
}

/* Two runs of a seed differ where this does. */
static void digest_add(struct report *report, const struct trial *trial)
{
	report->digest = (report->digest ^ trial->verdict ^ trial->out_size << 8) * 0x100000001b3ULL;
	for (unsigned i = 0; i < trial->out_size && i < 64; i++)
		report->digest = (report->digest ^ trial->out[i]) * 0x100000001b3ULL;
}

void report_frame(struct fuzz *fuzz, const struct frame *frame, bool right)
{
	struct report *report = &fuzz->report;

	report->frames++;
	digest_add(report, &fuzz->trial);
	tally_count(&report->productions, frame->production);
	report->verdicts[fuzz->trial.verdict & 7]++;
	for (unsigned i = 0; i < fuzz->world.drop_count; i++)
		report->reasons[i] += fuzz->trial.drops[i];
	if (right)
		tally_count(&report->outcomes, fuzz->court.outcome);
	else if (!report->failures++)
		report->first = fuzz->number;
	if (!right || fuzz->number == fuzz->shown)
		frame_print(fuzz, frame, right);
}

static void tally_print(const char *title, const struct tally *tally)
{
	printf("%s:\n", title);
	for (unsigned i = 0; i < REPORT_ROWS && tally->names[i]; i++)
		printf("  %10llu  %s\n", (unsigned long long)tally->counts[i], tally->names[i]);
}

void report_print(const struct fuzz *fuzz)
{
	const struct report *report = &fuzz->report;
	const double took = seconds() - report->begun;

	printf("%llu frames in %.0f s, %.0f a second, %llu failures\n",
	       (unsigned long long)report->frames, took, report->frames / took,
	       (unsigned long long)report->failures);
	printf("digest %016llx\n", (unsigned long long)report->digest);
	printf("verdicts:\n");
	for (unsigned i = 0; i < 5; i++)
		printf("  %10llu  %s\n", (unsigned long long)report->verdicts[i], verdicts[i]);
	tally_print("productions", &report->productions);
	tally_print("outcomes", &report->outcomes);
	printf("counted as dropped:\n");
	for (unsigned i = 0; i < fuzz->world.drop_count; i++)
		printf("  %10llu  %s\n", (unsigned long long)report->reasons[i],
		       fuzz->world.drops[i]);
}
