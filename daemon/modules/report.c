/* What the process that checks modules tells the master. */
#include "modules/report.h"

#include "base/config_sections.h"
#include "base/utf8.h"

#include <assert.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

static_assert(sizeof(struct report_record) <= PIPE_BUF, "a record could be mixed with another");

/* Of each module LOADING, MODULE, SETUP; one more at the end. */
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

static void take_module(struct report *report, struct report_record *record)
{
	struct module_facts *facts = &report->facts[record->index];

	facts->abi = record->abi;
	take_text(facts->name, sizeof facts->name, record->name);
	take_text(facts->version, sizeof facts->version, record->version);
	take_text(facts->pages, sizeof facts->pages, record->pages);
	facts->are_known =
		config_section_can_be(facts->name) && facts->pages[0] != '/' && strstr(facts->pages, "..") == NULL;
}

static void take_record(struct report *report, struct report_record *record)
{
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
	for (size_t i = 0; i <= RECORDS_MAX(report->count); i++) {
		struct report_record record;

		if (read(fd, &record, sizeof record) != (ssize_t)sizeof record)
			return;
		take_record(report, &record);
	}
}
