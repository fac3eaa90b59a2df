/* The language of a request's answer, and texts in it. */
#ifndef API_LANGUAGE_H
#define API_LANGUAGE_H

#include "api/exchange.h"

/*
 * The language of these pages in the answer to this request, which says from then on that it depends on it where there
 * are several. Never NULL.
 */
const struct language *language_of(struct ones_request *req, const struct pages *pages);

/* The tag of the daemon's own language for this request, for what is no answer to it: a mail. A constant string. */
const char *language_for_mail(const struct ones_request *req);

/*
 * What a sentence of C code is in that language, of whichever pages: as the module of the request has it, another one,
 * or the daemon; else the sentence itself.
 */
const char *language_sentence(const struct ones_request *req, const struct language *language, const char *sentence);

#endif
