/* The names of browser and system in a User-Agent, as users know them. */
#ifndef SESSION_USERAGENT_H
#define SESSION_USERAGENT_H

/* "Firefox", "Chrome", "Safari"...; "" when `user_agent` (may be NULL) names none that is known. A constant. */
const char *useragent_browser(const char *user_agent);

/* "Linux", "Windows", "macOS", "Android", "iOS"...; likewise. */
const char *useragent_os(const char *user_agent);

#endif
