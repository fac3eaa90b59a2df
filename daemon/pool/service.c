/* Notifications to the service manager. */
#include "pool/service.h"

#include "base/clock.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

/* How long a service manager that does not read may hold up the master. */
#define PATIENCE_US 200000

/* As sd_notify(3), which would wait until there is room in the service manager's queue. */
__attribute__((format(printf, 1, 2))) static void notify(const char *format, ...)
{
	const struct timeval patience = {.tv_usec = PATIENCE_US};
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t length = path != NULL ? strlen(path) : 0;
	char text[300];
	va_list arguments;
	int fd;

	if (length < 2 || length >= sizeof address.sun_path || (path[0] != '/' && path[0] != '@'))
		return;
	va_start(arguments, format);
	(void)vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	memcpy(address.sun_path, path, length);
	/* An abstract address begins with a NUL. */
	if (path[0] == '@')
		address.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	/* A notification that cannot be sent is dropped: the service goes on. */
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) == 0)
		(void)sendto(fd, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *)&address,
		             (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length));
	close(fd);
}

void service_ready(void)
{
	notify("READY=1");
}

void service_reloading(void)
{
	notify("RELOADING=1\nMONOTONIC_USEC=%" PRId64, clock_monotonic_us());
}

void service_stopping(void)
{
	notify("STOPPING=1");
}

void service_main_pid(pid_t pid)
{
	notify("MAINPID=%ld", (long)pid);
}

void service_status(const char *format, ...)
{
	char text[200];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	notify("STATUS=%s", text);
}

void service_alive(int64_t *next_at)
{
	uint64_t within_us;

	if (clock_until_ms(*next_at) > 0 || sd_watchdog_enabled(0, &within_us) <= 0)
		return;
	notify("WATCHDOG=1");
	/* Half of it, as sd_watchdog_enabled(3) has it. */
	*next_at = clock_monotonic_ms() + (int64_t)(within_us / 2000);
}
