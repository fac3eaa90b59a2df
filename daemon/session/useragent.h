/* The names that people know their browser and system by. */
#ifndef SESSION_USERAGENT_H
#define SESSION_USERAGENT_H

/* "Firefox", "Chrome", "Safari"...; "" when `user_agent` (may be NULL) tells none that is known. A constant. */
const char *useragent_browser(const char *user_agent);

/* "Linux", "Windows", "macOS", "Android", "iOS"...; likewise. */
const char *useragent_os(const char *user_agent);

#endif
