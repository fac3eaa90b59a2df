/* How mail fares on this host, in shared memory: it outlives the runs of the job that sends it. */
#ifndef BASE_MAIL_GAUGES_H
#define BASE_MAIL_GAUGES_H

#include <stdatomic.h>
#include <stdint.h>

/* What became of mails, or of tries to send them. */
enum mail_count {
	MAIL_COUNT_SENT,
	MAIL_COUNT_DEFERRED, /* tries that are made again */
	MAIL_COUNT_DEAD,
	MAIL_COUNT_LIMITED, /* not sent because of mail.per_recipient */
	MAIL_COUNT_COUNT,
};

/* Times are of clock_monotonic_ms(). All zero: nothing is known. */
struct mail_gauges {
	_Atomic int64_t looked_at_ms; /* when the next two were read from the database */
	_Atomic int64_t queued;
	_Atomic int64_t oldest_ms; /* for how long the oldest of them waited then */
	_Atomic int64_t pause_ms;  /* of the server that is away; 0: it is not */
	_Atomic int64_t again_ms;  /* when it is tried again */
	_Atomic uint64_t counts[MAIL_COUNT_COUNT];
};

#endif
