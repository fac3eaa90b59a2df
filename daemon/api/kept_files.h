/* Files that are kept in the application's folders: what onesession.h does not say of them. */
#ifndef API_KEPT_FILES_H
#define API_KEPT_FILES_H

#include "api/exchange.h"

/* The folder of that name, which is open; NULL: a mistake of the handler's, which is logged. */
const struct folder *kept_files_folder(struct ones_request *req, const char *name);

#endif
