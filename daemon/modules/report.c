/* What the process that checks modules tells the master. */
#include "modules/report.h"

#include "base/config_sections.h"
#include "base/utf8.h"

#include <assert.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

static_assert(sizeof(struct report_record) <= PIPE_BUF, "a record could be mixed with another");

/* Of each module LOADING, MODULE, SETUP; one more at the end; and those of jobs. */
#define RECORDS_MAX(count) (3 * (count) + 1)

int report_write(int fd, const struct report_record *record)
{
	return write(fd, record, sizeof *record) == (ssize_t)sizeof *record ? 0 : -1;
}

/* ---- In the master ------------------------------------------------------------------------------------------- */

/* A copy that ends, without control characters. */
static void take_text(char *text, size_t size, char *claimed)
{
	claimed[size - 1] = '\0';
	utf8_clean(claimed, text, size);
}

static bool is_folder_or_empty(const char *name)
{
	return name[0] == '\0' || module_folder_can_be(name);
}

static void take_module(struct report *report, struct report_record *record)
{
	struct module_facts *facts = &report->facts[record->index];

	take_text(facts->name, sizeof facts->name, record->name);
	take_text(facts->version, sizeof facts->version, record->version);
	take_text(facts->pages, sizeof facts->pages, record->pages);
	take_text(facts->migrations, sizeof facts->migrations, record->migrations);
	facts->are_known = config_section_can_be(facts->name) && is_folder_or_empty(facts->pages) &&
	                   is_folder_or_empty(facts->migrations);
}

static void take_job(struct report *report, struct report_record *record)
{
	struct job_facts *facts = &report->jobs[report->job_count];

	if (report->job_count == JOB_COUNT_MAX)
		return;
	take_text(facts->module, sizeof facts->module, record->name);
	take_text(facts->name, sizeof facts->name, record->text);
	if (config_section_can_be(facts->module) && config_section_can_be(facts->name))
		report->job_count++;
}

static void take_record(struct report *report, struct report_record *record)
{
	if (record->kind == REPORT_JOB) {
		take_job(report, record);
		return;
	}
	if (record->index >= report->count || ++report->records > RECORDS_MAX(report->count))
		return;
	switch ((enum report_kind)record->kind) {
	case REPORT_LOADING:
	case REPORT_SETUP:
		report->at = record->index;
		report->is_setup = record->kind == REPORT_SETUP;
		break;
	case REPORT_MODULE: take_module(report, record); break;
	case REPORT_PROBLEM: take_text(report->problem.text, sizeof report->problem.text, record->text); break;
	case REPORT_DONE: report->is_done = true; break;
	default: break;
	}
}

void report_read(struct report *report, int fd)
{
	/* More than all records, and a bound to what a module can keep the master busy with. */
	for (size_t i = 0; i <= RECORDS_MAX(report->count) + JOB_COUNT_MAX; i++) {
		struct report_record record;

		if (read(fd, &record, sizeof record) != (ssize_t)sizeof record)
			return;
		take_record(report, &record);
	}
}
