/* The verification of a password and the making of a hash: a worker asks for it, a hashing process does it. */
#ifndef SESSION_PASSWORD_JOB_H
#define SESSION_PASSWORD_JOB_H

#include "session/password.h"

#include <stdbool.h>
#include <stdint.h>

/* The longest hash of any form that is verified, with its NUL. */
#define PASSWORD_JOB_HASH_SIZE 512

struct password_job {
	struct password_cost cost;         /* of hashes that are made */
	bool is_closed;                    /* the account is disabled: no hash is made, also of a right password */
	bool only_hashes;                  /* new_password is hashed, and no other one compared */
	char hash[PASSWORD_JOB_HASH_SIZE]; /* "": of no account */
	char password[PASSWORD_MAX + 1];
	char new_password[PASSWORD_MAX + 1]; /* is hashed, when the password is right; "": none */
};

struct password_answer {
	enum password_match match;
	char new_hash[PASSWORD_HASH_SIZE]; /* of new_password; else of the password, when its hash is of another form or
	                                      cost than ours are now; "" for neither, or out of memory */
	int64_t hashing_us;                /* how long it took */
	int64_t tries; /* how often a password was compared: a wrong one that is not in NFC is, whosever it is,
	                  compared a second time as NFC */
};

/*
 * A job for the password of an account with that hash (NULL: there is no such account, or it has no password).
 * What is too long to be a password is wrong. `new_password` may be NULL.
 */
void password_job_begin(struct password_job *job, const struct password_cost *cost, const char *hash,
                        const char *password, const char *new_password);

/* A job for the hash of a new password, which is no longer than passwords may be. */
void password_job_begin_new(struct password_job *job, const struct password_cost *cost, const char *new_password);

/* True when every text of a job ends within it and its cost is one that can be configured: it may come from anywhere.
 */
bool password_job_is_sound(const struct password_job *job);

/* Do it. `decoy` is a hash of the job's cost, verified when the job has none. */
void password_job_run(const struct password_job *job, const char *decoy, struct password_answer *answer);

/*
 * How long failures are to take, so that the time tells neither whether there is such an account nor the form of its
 * hash: as long as the slowest would on a machine that is as busy as this one has been of late.
 */
struct password_pace {
	int64_t own_us;     /* of the processor's time, what a hash of ours takes */
	int64_t slowest_us; /* likewise, a comparison with a hash of any form: at first somewhat more than the usual
	                       ones of elsewhere take */
	double stretch;     /* how much longer the clock took than the processor */
};

void password_pace_begin(struct password_pace *pace, int64_t own_us);

/* A comparison took so long, of the processor's time and by the clock. */
void password_pace_note(struct password_pace *pace, int64_t work_us, int64_t elapsed_us);

/* How long a failure of one comparison is to take by the clock, in microseconds. */
int64_t password_pace_failure_us(const struct password_pace *pace);

#endif
