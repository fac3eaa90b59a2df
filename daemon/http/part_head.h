/* The head of a part of multipart/form-data (RFC 7578, 4.2 to 4.7), and parameters of header fields. */
#ifndef HTTP_PART_HEAD_H
#define HTTP_PART_HEAD_H

#include "http/multipart.h"

/*
 * Read the lines at `head`, which ends with the last one's CRLF and is changed: *part points into it. Returns NULL, or
 * what is wrong.
 */
const char *part_head_read(char *head, size_t size, struct multipart_part *part);

/*
 * Take the next parameter, name=value or name="value" between semicolons, off the text at *at, which is changed: *name
 * and *value end with a NUL. False at its end, with *is_wrong when what is left is no parameter.
 */
bool part_head_parameter(char **at, char **name, char **value, bool *is_wrong);

#endif
