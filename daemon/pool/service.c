#include "pool/service.h"

#include "base/clock.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <systemd/sd-daemon.h>

void service_ready(void)
{
	(void)sd_notify(0, "READY=1");
}

void service_reloading(void)
{
	(void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRId64, clock_monotonic_us());
}

void service_stopping(void)
{
	(void)sd_notify(0, "STOPPING=1");
}

void service_main_pid(pid_t pid)
{
	(void)sd_notifyf(0, "MAINPID=%ld", (long)pid);
}

void service_status(const char *format, ...)
{
	char text[200];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	(void)sd_notifyf(0, "STATUS=%s", text);
}

void service_alive(void)
{
	uint64_t within_us;

	/* The loop comes by several times in any sensible interval, and saying it too often does no harm. */
	if (sd_watchdog_enabled(0, &within_us) > 0)
		(void)sd_notify(0, "WATCHDOG=1");
}
