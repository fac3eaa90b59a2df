/* What keeps the daemon from starting, as a sentence for the operator. */
#include "base/problem.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int problem_set(struct problem *problem, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(problem->text, sizeof problem->text, format, arguments);
	va_end(arguments);
	return -1;
}

int problem_set_errno(struct problem *problem)
{
	return problem_set(problem, "%s", strerror(errno));
}
