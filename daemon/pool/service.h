/* Notifications to the service manager: sd_notify(3). Without one, none of this does anything. */
#ifndef POOL_SERVICE_H
#define POOL_SERVICE_H

#include <stdint.h>
#include <sys/types.h>

/* Requests are being served. */
void service_ready(void);

/* The configuration is being read anew; service_ready() ends it. */
void service_reloading(void);

void service_stopping(void);

/* Another process is the daemon's main process from now on. */
void service_main_pid(pid_t pid);

/* One line for people, as `systemctl status` shows it. */
__attribute__((format(printf, 1, 2))) void service_status(const char *format, ...);

/*
 * To be called from the master's loop: notifies the service manager's watchdog in time. *next_at is
 * kept between the calls, 0 at first.
 */
void service_alive(int64_t *next_at);

#endif
