/* Where somebody goes who has just signed in. */
#include "shared.h"

#include <stdio.h>

/* Room for the page and the query of next_query(), which is as long as a header field may be. */
#define ADDRESS_SIZE 4096

const char *after_sign_in(struct ones_request *req, ones_time delete_at, const char *next)
{
	char address[ADDRESS_SIZE];
	const char *query;
	int length;

	if (delete_at == 0)
		return ones_next(req, next);
	query = next_query(req, next);
	length = snprintf(address, sizeof address, "/delete%s", query != NULL ? query : "");
	return ones_url(req, length > 0 && (size_t)length < sizeof address ? address : "/delete");
}
