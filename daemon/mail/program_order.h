/* What is said to the process that starts sendmail programs, and what it says: for program.c and program_server.c. */
#ifndef MAIL_PROGRAM_ORDER_H
#define MAIL_PROGRAM_ORDER_H

#include "base/email.h"
#include "mail/program.h"

#include <stdbool.h>
#include <stdint.h>

/* With two descriptors: the message, to be read, and where the answer is written to. */
struct program_order {
	char from[EMAIL_SIZE];
	char to[EMAIL_SIZE];
	int64_t timeout_ms;
};

/* In place of a status of <sysexits.h>. */
#define PROGRAM_NOT_STARTED 127
#define PROGRAM_KILLED      (-1)

struct program_answer {
	int status;
	bool is_overdue;
	char complaint[300];
};

#endif
