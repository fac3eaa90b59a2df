/* An import of accounts, as those who read them from elsewhere use it. */
#ifndef CTL_IMPORT_H
#define CTL_IMPORT_H

#include "ctl/ctl.h"
#include "session/users_import.h"

/* Accounts in one transaction: few enough that no login waits for its locks for long. */
#define IMPORT_BATCH 500

struct import;

/* `from` is for the events; `has_lines`: accounts stand in a file's lines, a name perhaps in several. NULL when out of
 * memory. */
struct import *import_begin(struct ctl *ctl, const char *from, bool has_lines);

/* Why a login could not verify the hash, NULL when it can. */
const char *import_hash_problem(const struct import *import, const char *hash);

/*
 * Take one account, or say why it cannot be taken. `where` is what messages about it begin with, `line` its line in the
 * file, `hash_problem` why its hash cannot be used, or NULL. Returns the exit code.
 */
int import_take(struct import *import, const char *where, int64_t line, const struct users_import *account,
                const char *hash_problem);

/* A line that has no account. */
void import_refuse_line(struct import *import, const char *where, const char *why);

/*
 * An account with something in it, beside name and hash, that cannot be taken. Its name is not free for a later one
 * that means somebody else. Returns the exit code.
 */
int import_refuse_terms(struct import *import, const char *where, int64_t line, const char *name, const char *why);

/* To be called before anything else is printed. */
void import_clear_progress(struct import *import);

/* Add what is left, and report. `result` is the exit code of reading. Returns that of the command. */
int import_end(struct import *import, int result);

#endif
