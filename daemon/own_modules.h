/* The daemon's own module, "session": all that stand in folders of handlers/, built in. */
#ifndef OWN_MODULES_H
#define OWN_MODULES_H

#include "onesession.h"

extern const struct ones_module own_modules;

#endif
