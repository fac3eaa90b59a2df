/*
 * The convention for errors at start: a function that can keep the daemon from starting returns 0 or -1 (or a pointer
 * or NULL) and describes what is wrong in the caller's `problem`, as a sentence for the operator.
 */
#ifndef BASE_PROBLEM_H
#define BASE_PROBLEM_H

struct problem {
	char text[512];
};

/* Describe it. Returns -1. */
__attribute__((format(printf, 2, 3))) int problem_set(struct problem *problem, const char *format, ...);

/* The same, with what errno says. */
int problem_set_errno(struct problem *problem);

#endif
