/* Writing to a file until all of it is there. */
#ifndef BASE_WRITE_ALL_H
#define BASE_WRITE_ALL_H

#include <stddef.h>

/*
 * write(2) takes less than it is given when there is room for a part only, and says why only when it is asked again.
 * Returns 0, or -1 with errno.
 */
int write_all(int fd, const void *data, size_t size);

#endif
