/* Files that are there while a request is, in server.spool: no name, mode 0600, gone when they are closed. */
#ifndef API_SPOOL_H
#define API_SPOOL_H

#include "api/app.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <talloc.h>

struct spool_file {
	const struct ones_app *app;
	int fd;
	int64_t size;
	int64_t reserved; /* bytes that are counted against server.spool_max */
	int64_t flushed;  /* the kernel was asked to write so many bytes to the disk */
	int64_t written;  /* and has, of these */
};

/* A new one on `ctx`, which closes it. NULL with errno. */
struct spool_file *spool_open(TALLOC_CTX *ctx, const struct ones_app *app);

/* Does that errno, of a file that is written, mean that there is no room for more of it? */
bool spool_is_no_room(int error);

/* Could `size` bytes be added to what all have in the spool? Nothing is reserved by that. */
bool spool_has_room(const struct ones_app *app, int64_t size);

/* Before so much is written. False: server.spool_max would be passed. */
bool spool_reserve(struct spool_file *file, size_t size);

/*
 * Add to its end. Returns 0, or -1 with errno. It waits for the disk now and then, for a few megabytes at a time, so
 * that few are left to be written when the file is kept.
 */
int spool_write(struct spool_file *file, const void *data, size_t size);

#endif
