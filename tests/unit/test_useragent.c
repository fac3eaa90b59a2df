#include "session/useragent.h"

/* cmocka wants these first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdint.h>

struct sample {
	const char *browser;
	const char *os;
	const char *user_agent;
};

#define WEBKIT "AppleWebKit/537.36 (KHTML, like Gecko) "

static const struct sample samples[] = {
	{"Firefox", "Linux", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"},
	{"Firefox", "Windows", "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:131.0) Gecko/20100101 Firefox/131.0"},
	{"Firefox", "macOS", "Mozilla/5.0 (Macintosh; Intel Mac OS X 14.6; rv:130.0) Gecko/20100101 Firefox/130.0"},
	{"Firefox", "Android", "Mozilla/5.0 (Android 14; Mobile; rv:130.0) Gecko/130.0 Firefox/130.0"},
	{"Firefox", "iOS",
         "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) FxiOS/128.0 "
         "Mobile/15E148 Safari/605.1.15"},
	{"Chrome", "Windows", "Mozilla/5.0 (Windows NT 10.0; Win64; x64) " WEBKIT "Chrome/129.0.0.0 Safari/537.36"},
	{"Chrome", "Linux", "Mozilla/5.0 (X11; Linux x86_64) " WEBKIT "Chrome/129.0.0.0 Safari/537.36"},
	{"Chrome", "macOS", "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) " WEBKIT "Chrome/129.0.0.0 Safari/537.36"},
	{"Chrome", "Android", "Mozilla/5.0 (Linux; Android 10; K) " WEBKIT "Chrome/129.0.0.0 Mobile Safari/537.36"},
	{"Chrome", "ChromeOS", "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) " WEBKIT "Chrome/129.0.0.0 Safari/537.36"},
	{"Chrome", "iOS",
         "Mozilla/5.0 (iPhone; CPU iPhone OS 17_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
         "CriOS/129.0.6668.46 Mobile/15E148 Safari/604.1"},
	{"Chrome", "Linux", "Mozilla/5.0 (X11; Linux x86_64) " WEBKIT "HeadlessChrome/129.0.0.0 Safari/537.36"},
	{"Chromium", "Linux",
         "Mozilla/5.0 (X11; Linux x86_64) " WEBKIT "Ubuntu Chromium/80.0.3987.87 Chrome/80.0.3987.87 Safari/537.36"},
	{"Edge", "Windows",
         "Mozilla/5.0 (Windows NT 10.0; Win64; x64) " WEBKIT "Chrome/129.0.0.0 Safari/537.36 Edg/129.0.0.0"},
	{"Edge", "Windows",
         "Mozilla/5.0 (Windows NT 10.0; Win64; x64) " WEBKIT "Chrome/70.0.3538.102 Safari/537.36 Edge/18.19042"},
	{"Edge", "Android",
         "Mozilla/5.0 (Linux; Android 10; HD1913) " WEBKIT "Chrome/128.0.6613.146 Mobile Safari/537.36 "
         "EdgA/128.0.2739.37"},
	{"Edge", "iOS",
         "Mozilla/5.0 (iPhone; CPU iPhone OS 17_6_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
         "Version/17.0 EdgiOS/128.2739.60 Mobile/15E148 Safari/605.1.15"},
	{"Opera", "Windows",
         "Mozilla/5.0 (Windows NT 10.0; Win64; x64) " WEBKIT "Chrome/127.0.0.0 Safari/537.36 OPR/113.0.0.0"},
	{"Opera", "Android",
         "Mozilla/5.0 (Linux; Android 10; VOG-L29) " WEBKIT "Chrome/127.0.0.0 Mobile Safari/537.36 "
         "OPR/76.2.4027.73374"},
	{"Opera", "Windows", "Opera/9.80 (Windows NT 6.1; WOW64) Presto/2.12.388 Version/12.18"},
	{"Samsung Internet", "Android",
         "Mozilla/5.0 (Linux; Android 14; SAMSUNG SM-S918B) " WEBKIT
         "SamsungBrowser/25.0 Chrome/121.0.0.0 Mobile Safari/537.36"},
	{"Vivaldi", "Linux",
         "Mozilla/5.0 (X11; Linux x86_64) " WEBKIT "Chrome/126.0.0.0 Safari/537.36 Vivaldi/6.8.3381.48"},
	{"Yandex", "Windows",
         "Mozilla/5.0 (Windows NT 10.0; Win64; x64) " WEBKIT "Chrome/126.0.0.0 YaBrowser/24.7.0.0 Safari/537.36"},
	{"Safari", "macOS",
         "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.6 "
         "Safari/605.1.15"},
	{"Safari", "iOS",
         "Mozilla/5.0 (iPhone; CPU iPhone OS 17_6_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
         "Version/17.6 Mobile/15E148 Safari/604.1"},
	{"Safari", "iOS",
         "Mozilla/5.0 (iPad; CPU OS 12_5_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/12.1.2 "
         "Mobile/15E148 Safari/604.1"},
	{"GNOME Web", "Linux",
         "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.0 Safari/605.1.15 "
         "Epiphany/605.1.15"},
	{"Android browser", "Android",
         "Mozilla/5.0 (Linux; U; Android 4.0.3; de-de; Galaxy S II) AppleWebKit/534.30 (KHTML, like Gecko) Version/4.0 "
         "Mobile Safari/534.30"},
	{"Internet Explorer", "Windows", "Mozilla/5.0 (Windows NT 10.0; WOW64; Trident/7.0; rv:11.0) like Gecko"},
	{"Internet Explorer", "Windows", "Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 5.1; Trident/4.0)"},
	{"Edge", "Windows Phone",
         "Mozilla/5.0 (Windows Phone 10.0; Android 6.0.1; Microsoft; Lumia 950) " WEBKIT
         "Chrome/52.0.2743.116 Mobile Safari/537.36 Edge/15.15063"},
	{"Firefox", "FreeBSD", "Mozilla/5.0 (X11; FreeBSD amd64; rv:126.0) Gecko/20100101 Firefox/126.0"},
	{"curl", "", "curl/7.88.1"},
	{"Wget", "Linux", "Wget/1.21.3 (linux-gnu)"},
	{"Python", "", "python-requests/2.32.3"},
	{"Go", "", "Go-http-client/1.1"},
	{"", "", "Mozilla/5.0"},
	{"", "", "\xff\x01 nothing of the kind"},
	{"", "", ""},
	{"", "", NULL},
};

static void browsers_are_known_by_what_they_send(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++)
		assert_string_equal(useragent_browser(samples[i].user_agent), samples[i].browser);
}

static void systems_are_known_by_what_browsers_send(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++)
		assert_string_equal(useragent_os(samples[i].user_agent), samples[i].os);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(browsers_are_known_by_what_they_send),
		cmocka_unit_test(systems_are_known_by_what_browsers_send),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
