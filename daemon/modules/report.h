/*
 * What the process that checks modules tells the master, through a pipe. Code of the modules has run in that process:
 * the master takes what it reads for a claim, of which each piece has a bound.
 */
#ifndef MODULES_REPORT_H
#define MODULES_REPORT_H

#include "api/module.h"
#include "base/job_table.h"
#include "base/module_folder.h"
#include "base/problem.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum report_kind {
	REPORT_LOADING = 1, /* the module `index` is about to be loaded */
	REPORT_SETUP,       /* its setup is about to run */
	REPORT_MODULE,      /* it is what the record says */
	REPORT_PROBLEM,     /* it is refused, for the reason in `text` */
	REPORT_JOB,         /* its setup has declared the job `text` */
	REPORT_DONE,        /* all are right */
};

/* One message; shorter than PIPE_BUF, so that it is written whole. */
struct report_record {
	uint32_t kind;
	uint32_t index;
	char name[MODULE_NAME_SIZE];
	char version[MODULE_VERSION_SIZE];
	char pages[MODULE_FOLDER_SIZE];      /* "": none */
	char migrations[MODULE_FOLDER_SIZE]; /* likewise */
	char text[sizeof((struct problem *)NULL)->text];
};

/* In the process that checks: write it. Returns 0, or -1. */
int report_write(int fd, const struct report_record *record);

/* ---- In the master ------------------------------------------------------------------------------------------- */

/* What is known of a module. */
struct module_facts {
	bool are_known;
	char name[MODULE_NAME_SIZE];
	char version[MODULE_VERSION_SIZE];
	char pages[MODULE_FOLDER_SIZE];
	char migrations[MODULE_FOLDER_SIZE];
};

struct job_facts {
	char module[MODULE_NAME_SIZE];
	char name[MODULE_NAME_SIZE];
};

struct report {
	size_t count; /* of the modules that are to be checked */
	size_t at;    /* the one that was being checked last */
	bool is_setup;
	bool is_done;
	size_t records;         /* so far, but for those of jobs */
	struct problem problem; /* "": none so far */
	struct module_facts facts[APP_MODULES_MAX];
	size_t job_count;
	struct job_facts jobs[JOB_COUNT_MAX];
};

/* Read what is there; `fd` does not block. */
void report_read(struct report *report, int fd);

#endif
