/* A password job, and how long its failure takes. */
#include "session/password_job.h"

#include "base/clock.h"

#include <string.h>

/* As login.memory and login.passes may be set. */
#define COST_MEMORY_MAX (INT64_C(4) << 30)
#define COST_PASSES_MAX 64

static void copy(char *to, const char *from, size_t size)
{
	size_t length = strlen(from);

	if (length >= size)
		length = 0;
	memcpy(to, from, length);
	to[length] = '\0';
}

void password_job_begin(struct password_job *job, const struct password_cost *cost, const char *hash,
                        const char *password, const char *new_password)
{
	bool is_possible = hash != NULL && strlen(password) <= PASSWORD_MAX && password_hash_problem(hash) == NULL;

	memset(job, 0, sizeof *job);
	job->cost = *cost;
	copy(job->hash, is_possible ? hash : "", sizeof job->hash);
	copy(job->password, password, sizeof job->password);
	copy(job->new_password, new_password != NULL ? new_password : "", sizeof job->new_password);
}

void password_job_begin_new(struct password_job *job, const struct password_cost *cost, const char *new_password)
{
	memset(job, 0, sizeof *job);
	job->cost = *cost;
	job->only_hashes = true;
	copy(job->new_password, new_password, sizeof job->new_password);
}

static bool ends(const char *text, size_t size)
{
	return memchr(text, '\0', size) != NULL;
}

bool password_job_is_sound(const struct password_job *job)
{
	return ends(job->hash, sizeof job->hash) && ends(job->password, sizeof job->password) &&
	       ends(job->new_password, sizeof job->new_password) && job->cost.memory > 0 &&
	       job->cost.memory <= COST_MEMORY_MAX && job->cost.passes > 0 && job->cost.passes <= COST_PASSES_MAX;
}

static void make_hash(const struct password_job *job, char hash[PASSWORD_HASH_SIZE])
{
	const char *password = job->new_password;

	if (*password == '\0' && password_needs_rehash(job->hash, &job->cost))
		password = job->password;
	if (*password != '\0' && password_hash(password, &job->cost, hash) != 0)
		hash[0] = '\0';
}

static void compare(const struct password_job *job, const char *decoy, const char *password,
                    struct password_answer *answer)
{
	bool is_nobodys = job->hash[0] == '\0';

	answer->tries++;
	answer->match = password_verify(is_nobodys ? decoy : job->hash, password);
	if (is_nobodys && answer->match == PASSWORD_RIGHT)
		answer->match = PASSWORD_WRONG;
}

static void compare_composed(const struct password_job *job, const char *decoy, struct password_answer *answer)
{
	char *composed = password_composed(job->password);

	if (composed == NULL)
		return;
	compare(job, decoy, composed, answer);
	password_forget_composed(composed);
}

void password_job_run(const struct password_job *job, const char *decoy, struct password_answer *answer)
{
	int64_t began = clock_monotonic_us();

	memset(answer, 0, sizeof *answer);
	if (job->only_hashes) {
		make_hash(job, answer->new_hash);
		answer->match = answer->new_hash[0] != '\0' ? PASSWORD_RIGHT : PASSWORD_NOT_LOOKED_AT;
	} else {
		compare(job, decoy, job->password, answer);
		if (answer->match == PASSWORD_WRONG)
			compare_composed(job, decoy, answer);
		if (answer->match == PASSWORD_RIGHT && !job->is_closed)
			make_hash(job, answer->new_hash);
	}
	answer->hashing_us = clock_monotonic_us() - began;
}

/* Over an Argon2id hash of the default cost, as much as any hash of elsewhere may cost (password_forms.h). */
#define SLOWEST_OVER_OWN 5
/* Room for what is a little slower or busier than thought. */
#define MARGIN 1.25
/* A comparison that took less than this part of a hash of ours is no measure of the machine's load. */
#define TELLING_PART 4
/* The weight of the latest. */
#define LATEST 0.25

void password_pace_begin(struct password_pace *pace, int64_t own_us)
{
	*pace = (struct password_pace){.own_us = own_us, .slowest_us = SLOWEST_OVER_OWN * own_us, .stretch = 1};
}

void password_pace_note(struct password_pace *pace, int64_t work_us, int64_t elapsed_us)
{
	double stretch;

	if (work_us > pace->slowest_us)
		pace->slowest_us = work_us;
	if (work_us <= 0 || work_us < pace->own_us / TELLING_PART)
		return;
	stretch = (double)elapsed_us / (double)work_us;
	pace->stretch += LATEST * ((stretch > 1 ? stretch : 1) - pace->stretch);
}

int64_t password_pace_failure_us(const struct password_pace *pace)
{
	return (int64_t)(MARGIN * pace->stretch * (double)pace->slowest_us);
}
