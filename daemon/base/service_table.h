/* What was asked of services, in shared memory: it outlives generations and workers. */
#ifndef BASE_SERVICE_TABLE_H
#define BASE_SERVICE_TABLE_H

#include "base/route_names.h"

#include <stdatomic.h>
#include <stdint.h>

/* As many services as there can be, of all modules together. */
#define SERVICE_TABLE_SIZE 64

struct service_counters {
	_Atomic uint64_t answered, failed; /* calls with and without an answer */
	_Atomic uint64_t duration_us;      /* of both */
};

/* The last ones are for all services for whose names there is no room. */
struct service_table {
	struct route_name names[SERVICE_TABLE_SIZE];
	struct service_counters counters[SERVICE_TABLE_SIZE + 1];
};

#endif
