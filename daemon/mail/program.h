/*
 * Mail by a sendmail program. A process that is restricted can start none: another one, which was forked before that
 * and does nothing else, starts it, and is given a pipe with the message and one for what became of it.
 */
#ifndef MAIL_PROGRAM_H
#define MAIL_PROGRAM_H

#include "mail/sender.h"

#include <sys/types.h>

/*
 * Fork the process that starts programs, *pid; it ends with this one. To be called before this process is restricted.
 * Returns the socket for mail_setup.program, or -1 with errno.
 */
int mail_program_serve(const char *path, pid_t *pid);

struct mail_program;

/* As those of smtp.h. */
struct mail_program *mail_program_new(TALLOC_CTX *ctx, const struct mail_setup *setup);
bool mail_program_begin(struct mail_program *program, const struct mail_envelope *envelope);
bool mail_program_step(struct mail_program *program, int wait_ms, void **ended, struct mail_result *result);

#endif
