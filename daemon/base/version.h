#ifndef BASE_VERSION_H
#define BASE_VERSION_H

/* MAJOR.MINOR.PATCH (Semantic Versioning 2.0.0) of the daemon, its control program and onesession.h. */
#define ONESESSION_VERSION "0.3.0"

#endif
