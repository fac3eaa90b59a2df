/* Browser and system of a User-Agent. */
#include "session/useragent.h"

#include "onesession.h"

#include <stddef.h>
#include <string.h>

struct token {
	const char *text;
	const char *name;
};

/*
 * Browsers claim to be each other: Edge also names Chrome and Safari, Chrome also names Safari. So the one that claims
 * most comes first, and Safari, whom all claim to be, comes last of them.
 */
static const struct token browsers[] = {
	{"Edg/", "Edge"},
	{"EdgA/", "Edge"},
	{"EdgiOS/", "Edge"},
	{"Edge/", "Edge"},
	{"OPR/", "Opera"},
	{"OPT/", "Opera"},
	{"OPiOS/", "Opera"},
	{"Opera", "Opera"},
	{"SamsungBrowser/", "Samsung Internet"},
	{"Vivaldi/", "Vivaldi"},
	{"YaBrowser/", "Yandex"},
	{"UCBrowser/", "UC Browser"},
	{"MiuiBrowser/", "Mi Browser"},
	{"HuaweiBrowser/", "Huawei Browser"},
	{"DuckDuckGo/", "DuckDuckGo"},
	{"Ddg/", "DuckDuckGo"},
	{"SeaMonkey/", "SeaMonkey"},
	{"Firefox/", "Firefox"},
	{"FxiOS/", "Firefox"},
	{"Focus/", "Firefox"},
	{"HeadlessChrome/", "Chrome"},
	{"Chromium/", "Chromium"},
	{"Chrome/", "Chrome"},
	{"CriOS/", "Chrome"},
	{"GSA/", "Google app"},
	{"Epiphany/", "GNOME Web"},
	{"Android", "Android browser"},
	{"Safari/", "Safari"},
	{"MSIE ", "Internet Explorer"},
	{"Trident/", "Internet Explorer"},
	{"Lynx/", "Lynx"},
	{"w3m/", "w3m"},
	{"curl/", "curl"},
	{"Wget/", "Wget"},
	{"Wget2/", "Wget"},
	{"HTTPie/", "HTTPie"},
	{"PostmanRuntime/", "Postman"},
	{"python-requests/", "Python"},
	{"Python-urllib/", "Python"},
	{"python-httpx/", "Python"},
	{"aiohttp/", "Python"},
	{"Go-http-client/", "Go"},
	{"okhttp/", "OkHttp"},
	{"libwww-perl/", "Perl"},
	{"Java/", "Java"},
};

/* Likewise: Android also names Linux, Windows Phone also names Android, an iPhone is "like Mac OS X". */
static const struct token systems[] = {
	{"Windows Phone", "Windows Phone"},
	{"Tizen", "Tizen"},
	{"Android", "Android"},
	{"iPhone", "iOS"},
	{"iPad", "iOS"},
	{"iPod", "iOS"},
	{"CrOS", "ChromeOS"},
	{"Windows", "Windows"},
	{"Macintosh", "macOS"},
	{"Mac OS X", "macOS"},
	{"Linux", "Linux"},
	{"linux", "Linux"},
	{"FreeBSD", "FreeBSD"},
	{"OpenBSD", "OpenBSD"},
	{"NetBSD", "NetBSD"},
};

static const char *find(const struct token tokens[], size_t count, const char *user_agent)
{
	if (user_agent == NULL || user_agent[0] == '\0')
		return "";
	for (size_t i = 0; i < count; i++) {
		if (strstr(user_agent, tokens[i].text) != NULL)
			return tokens[i].name;
	}
	return "";
}

const char *useragent_browser(const char *user_agent)
{
	return find(browsers, sizeof browsers / sizeof browsers[0], user_agent);
}

const char *useragent_os(const char *user_agent)
{
	return find(systems, sizeof systems / sizeof systems[0], user_agent);
}

const char *ones_browser_name(const char *user_agent)
{
	return useragent_browser(user_agent);
}

const char *ones_system_name(const char *user_agent)
{
	return useragent_os(user_agent);
}
