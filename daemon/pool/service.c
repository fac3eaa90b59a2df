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

void service_alive(int64_t *next_at)
{
	uint64_t within_us;

	if (clock_until_ms(*next_at) > 0 || sd_watchdog_enabled(0, &within_us) <= 0)
		return;
	(void)sd_notify(0, "WATCHDOG=1");
	/* Half of it, as sd_watchdog_enabled(3) has it. */
	*next_at = clock_monotonic_ms() + (int64_t)(within_us / 2000);
}
