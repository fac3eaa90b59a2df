#include "session/password.h"

/* cmocka wants these first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <sodium.h>
#include <stdio.h>
#include <string.h>

static const struct password_cost cost = {.memory = INT64_C(64) * 1024 * 1024, .passes = 3};

#define PHRASE  "correct horse battery staple"
#define STRANGE "p\xc3\xa4ssw\xc3\xb6rd \xe2\x9c\x93"
#define QUOTED  "it's a \"back\\slash\""

/* Each was made by the program named. */
static const struct {
	const char *hash, *password;
} vectors[] = {
	/* passlib 1.7.4, django_pbkdf2_sha1 */
	{"pbkdf2_sha1$1000$vfJNYBhLfpsj$FAN+HLuheKLEbTqjaBojRMojFy8=", PHRASE},
	{"pbkdf2_sha1$1000$jvyukr9WDT0f$q5sFfNkfsOzj/zIXLCkiU/J5qRk=", STRANGE},
	/* Django 3.2.25's PBKDF2SHA1PasswordHasher and BCryptPasswordHasher */
	{"pbkdf2_sha1$260000$59gzvS0s8v39GhsH941Kgs$EkQpAiNOf+lhJwaVR/k9adxVm78=", PHRASE},
	{"bcrypt$$2b$12$B7SnqXdphd1Ozt8Vzo9AqO/8OAn/S9oeNai97.MBxBbqCTXI7/oDu", PHRASE},
	/* Python 3.11's hashlib.scrypt(), put together as ScryptPasswordHasher of Django 4.0 does it */
	{"scrypt$16$seasalt$8$1$f/sv7CHrZvIISH++qzLx2anVX+GPurZku99ho8B5zj7UYl5kQ6klvP48CHjjasdPf5PxS701wO0lBHbNI/"
         "P0ig==",
         PHRASE},
	{"scrypt$16$seasalt$8$1$DYqoJvMZZ8DxbgCVUOtL8DpW+JWje8lZ+apNNFnEqlI61ypGGmy5HT1OpsDq5H6ISTxmmfGz284rWUbkYq16oA"
         "==",
         STRANGE},
	/* passlib, scrypt: with 4 rounds, and as it does by itself; with 4 rounds as $7$ */
	{"$scrypt$ln=4,r=8,p=1$UMp5b21t7Z2T0vo/RwiBkA$zg2vPYhqgabhNrQEP0w6Vm6PFDK/3ngSTRuWFoK55cY", PHRASE},
	{"$scrypt$ln=4,r=8,p=1$B8CY8/6/936Pcc75n1NKKQ$WEMnkzwOMjnieCrBjpXmEdsQTbYIml19HPc4ijBfl3E", STRANGE},
	{"$scrypt$ln=16,r=8,p=1$JKSU8h7DmNMag/De21trbQ$GFLsUszm2FL5tYOJmTfZSq2u5wUD1bsSz0NGLJMz0FY", PHRASE},
	{"$7$26..../....6L33vnfOeY+xNiZkDIFwzg$fa4jqah0rY4L3gi9JrTBZgznnmkw2iUje5PYvFoFtm3", PHRASE},
	{"$7$26..../....0noPQeidkxICIMS415oTIg$PFHAI6UkuAu9pbrRSRZqem9SLzih3WxCMVKbjkboHKB", STRANGE},
	/* mkpasswd (whois 5.5.17) -m scrypt */
	{"$7$CU..../....VqH0tzj7nmG7n0V2r/Rr9.$1BZliHF5R3YMLu2rtP2yEYa34Yzdkv4r0WR8XN5pHv6", PHRASE},
	/* passlib, sha256_crypt; Python's crypt.crypt() */
	{"$5$rounds=1000$ixTOo5HfHAlGADEM$fgHNKFPbZuM.swXQtDPlWodErI5QyO5p9wOFmTFwwZ6", PHRASE},
	{"$5$saltsalt$zFYAys/SrXdO8m/KtOD/twvIpwbOIYsnmLD2WUcKTO6", STRANGE},
	/* openssl passwd -1; passlib, md5_crypt, also of nothing */
	{"$1$iCrr/MLU$LexswzFuqxQ5lUBV6Azd61", PHRASE},
	{"$1$zNQcnQqu$F356z9qqlBhnWetGmcFBr.", STRANGE},
	{"$1$8FetRd2d$//l6eArJIt24nI96E5JOj.", ""},
	/* htpasswd -m of Apache 2.4; openssl passwd -apr1; passlib, apr_md5_crypt, of nothing */
	{"$apr1$PWMoneX9$X/nssrG/C9CSWejzvLI4j.", PHRASE},
	{"$apr1$T1ykXW12$79Ca5NtamRxiksEE2N36w1", STRANGE},
	{"$apr1$eCaIbPqH$leJOO7W2qlxNo/T6t0AA..", ""},
	/* passlib, phpass: as WordPress and phpBB have it; hashcat's example of the mode 400 */
	{"$P$5F8f/BR5k4ppvCEKG0rxC528FK./qu1", PHRASE},
	{"$P$5kW1R9Gv9mDy7/Q71lc1/6/DdahQww.", STRANGE},
	{"$H$6TFHriUw2TfFrlsV4aBGRtSeJjAykM/", PHRASE},
	{"$P$984478476IagS59wHZvyQMArzfx58u.", "hashcat"},
	/* hashcat's example of the mode 7900, Drupal 7 */
	{"$S$C33783772bRXEx1aCsvY.dqgaaSu76XmVlKrW9Qu8IQlvxHlmzLf", "hashcat"},
	/* PHP 8.2's hash_hmac() and password_hash(), as wp_hash_password() of WordPress 6.8 calls them */
	{"$wp$2y$04$N72s8x5tA0EDDWS/wf54Uug7OI9px/GFGo0kfqMnHJNxcsPv9S5tK", PHRASE},
	{"$wp$2y$04$aNK5lFHZBhSZQGfoo0aD1OBvpXK3axIG86ehHrzKbO.wtSCxkXIqa", STRANGE},
	/* slappasswd of OpenLDAP 2.5; htpasswd -s; passlib, ldap_salted_sha256 and ldap_salted_sha512 */
	{"{SSHA}ROnVyF3ZiriI1LpUEkln0miU7k2BtDw2", PHRASE},
	{"{SHA}q/eq1kOINtvlJqojGr3i0O73TUI=", PHRASE},
	{"{SHA}OOfnyHhavavQu7gAvp4qK8NTt2k=", STRANGE},
	{"{SSHA256}i9rs481HqoF87yysouazGbLPbPhhfbpFJd1nLjV8xzNIqbW2FiKEEA==", PHRASE},
	{"{SSHA512}ELHeUNCoSp9KctpfLgQB4A+kUbSB5kSBFojoexkQoksbj3FXqL/"
         "AcRcm/QQnQSTYfk25AVmT9TAihpuvZXS3PsaYk/Je633P",
         PHRASE},
};

static void hashes_of_other_programs_are_understood(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
		const char *hash = vectors[i].hash, *password = vectors[i].password;
		char wrong[64];

		if (password_hash_problem(hash) != NULL || password_verify(hash, password) != PASSWORD_RIGHT)
			fail_msg("%s", hash);
		assert_null(password_import_problem(hash, &cost));
		(void)snprintf(wrong, sizeof wrong, "%s!", password);
		assert_int_equal(password_verify(hash, wrong), PASSWORD_WRONG);
		(void)snprintf(wrong, sizeof wrong, "x%s", password);
		assert_int_equal(password_verify(hash, wrong), PASSWORD_WRONG);
		assert_true(password_needs_rehash(hash, &cost));
	}
}

/* In some forms the salt may be shorter: then it is a valid hash of another password. */
static void hash_that_is_not_whole_is_never_right(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
		size_t length = strlen(vectors[i].hash);
		char hash[256];

		/* These take too long to be done for each character. */
		if (strstr(vectors[i].hash, "ln=16") != NULL || strstr(vectors[i].hash, "$12$") != NULL)
			continue;
		for (size_t kept = 0; kept < length; kept++) {
			(void)snprintf(hash, sizeof hash, "%.*s", (int)kept, vectors[i].hash);
			if (password_verify(hash, vectors[i].password) != PASSWORD_WRONG)
				fail_msg("%s", hash);
		}
		(void)snprintf(hash, sizeof hash, "%sA", vectors[i].hash);
		assert_int_equal(password_verify(hash, vectors[i].password), PASSWORD_WRONG);
		(void)snprintf(hash, sizeof hash, "%s\n", vectors[i].hash);
		assert_string_equal(password_hash_problem(hash), "is cut short or malformed");
	}
}

/* passlib, and PHP as above, of 1024 times "x". */
static void every_byte_of_a_long_password_counts(void **state)
{
	static const char *const hashes[] = {
		"$P$5MOzg4ZmvXwcuYCsTXaFSU1dJTElPN0",
		"$1$9Bb5Kiax$jLG5u0f0ar/RJOMRFPgdu0",
		"$apr1$e2Mri06d$MdEV13qdHuCV2hPG8F.o8.",
		"$scrypt$ln=4,r=8,p=1$d67VGsOYE8LY+z/nvBdiDA$hyuCBzMaeevu4ln5sb71G8ODq9mu59blEDPHyVJR7Y0",
		"{SSHA}6+OWEatTg5MBBPyfdXth52QoYZ68l1KK",
		"$wp$2y$04$ko/rbu9wuh3zXI6k8ww05.G/y2h4NZHu3oo844RabxDkYAuu7kSVi",
	};
	char password[PASSWORD_MAX + 1];

	(void)state;
	for (size_t i = 0; i < sizeof hashes / sizeof hashes[0]; i++) {
		memset(password, 'x', PASSWORD_MAX);
		password[PASSWORD_MAX] = '\0';
		assert_int_equal(password_verify(hashes[i], password), PASSWORD_RIGHT);
		password[PASSWORD_MAX - 1] = 'y';
		assert_int_equal(password_verify(hashes[i], password), PASSWORD_WRONG);
		password[PASSWORD_MAX - 1] = '\0';
		assert_int_equal(password_verify(hashes[i], password), PASSWORD_WRONG);
	}
}

/* What WordPress hashes has no space around it, and perhaps a backslash before each quote and backslash. */
static void passwords_of_wordpress_are_right_as_they_are_typed(void **state)
{
	static const struct {
		const char *hash, *password;
	} cases[] = {
		/* PHP as above, with addslashes(), which $_POST has been through there; of PHRASE and spaces. */
		{"$wp$2y$04$93KS4tcCZZBD4Ew6NJd9qOdov2R1rKV5nOERTomqIoccA.7kW89Wy", QUOTED},
		{"$wp$2y$04$bf2RA.gDx7QHikQ0NxNJ4eKJpEWCdRwOeAnZ08Dlrv/SUx3i5QQca", PHRASE},
		{"$wp$2y$04$bf2RA.gDx7QHikQ0NxNJ4eKJpEWCdRwOeAnZ08Dlrv/SUx3i5QQca", "  " PHRASE " \t"},
		/* passlib, phpass: with backslashes, and without. */
		{"$P$5N0xzzdVWjUYoAGtq3sBeBom4Ue9wB1", QUOTED},
		{"$P$5N0xzzdVWjUYoAGtq3sBeBom4Ue9wB1", " " QUOTED "\n"},
		{"$P$5uFvfLRz4tbVCGnZSiNcZch3yppli21", QUOTED},
		{"$P$5F8f/BR5k4ppvCEKG0rxC528FK./qu1", " " PHRASE},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		if (password_verify(cases[i].hash, cases[i].password) != PASSWORD_RIGHT)
			fail_msg("%s %s", cases[i].hash, cases[i].password);
		assert_int_equal(password_verify(cases[i].hash, "it's"), PASSWORD_WRONG);
		assert_int_equal(password_verify(cases[i].hash, " "), PASSWORD_WRONG);
	}
	/* phpBB does nothing of the kind. */
	assert_int_equal(password_verify("$H$6TFHriUw2TfFrlsV4aBGRtSeJjAykM/", " " PHRASE), PASSWORD_WRONG);
}

#define HASH_22 "AAAAAAAAAAAAAAAAAAAAAA"
#define HASH_43 HASH_22 "AAAAAAAAAAAAAAAAAAAAA"
#define HASH_53 HASH_43 "AAAAAAAAAA"
#define HASH_88 HASH_43 HASH_43 "=="

/* Each would take minutes, or gigabytes, or overflow a number. They are refused without hashing. */
static void cost_without_bounds_is_refused(void **state)
{
	static const char *const hashes[] = {
		"pbkdf2_sha1$2000001$seasalt$EkQpAiNOf+lhJwaVR/k9adxVm78=",
		"bcrypt$$2b$15$" HASH_53,
		"$wp$2y$14$" HASH_53,
		"$5$rounds=700001$salt$" HASH_43,
		"$P$J12345678" HASH_22,
		"$P$S12345678" HASH_22,
		"$H$z12345678" HASH_22,
		"$S$J12345678" HASH_43,
		"$scrypt$ln=18,r=8,p=1$c2FsdHNhbHQ$" HASH_43,
		"$scrypt$ln=17,r=8,p=3$c2FsdHNhbHQ$" HASH_43,
		"$scrypt$ln=17,r=9,p=1$c2FsdHNhbHQ$" HASH_43,
		"$scrypt$ln=63,r=8,p=1$c2FsdHNhbHQ$" HASH_43,
		"$scrypt$ln=999999999,r=8,p=1$c2FsdHNhbHQ$" HASH_43,
		"$scrypt$ln=1,r=65,p=1$c2FsdHNhbHQ$" HASH_43,
		"$scrypt$ln=1,r=999999999,p=999999999$c2FsdHNhbHQ$" HASH_43,
		"$scrypt$ln=1,r=1,p=65$c2FsdHNhbHQ$" HASH_43,
		"scrypt$262144$seasalt$8$1$" HASH_88,
		"scrypt$536870912$seasalt$8$1$" HASH_88,
		"scrypt$16384$seasalt$8$17$" HASH_88,
		"$7$H6..../....salt$" HASH_43,
		"$7$zzzzzz/....salt$" HASH_43,
		"$7$F6....zzzzzsalt$" HASH_43,
	};

	(void)state;
	for (size_t i = 0; i < sizeof hashes / sizeof hashes[0]; i++) {
		const char *problem = password_hash_problem(hashes[i]);

		if (problem == NULL ||
		    strstr(problem, "would cost more to check than is allowed, which is ") != problem)
			fail_msg("%s: %s", hashes[i], problem != NULL ? problem : "is taken");
		assert_string_equal(password_import_problem(hashes[i], &cost), problem);
		assert_int_equal(password_verify(hashes[i], "secret"), PASSWORD_WRONG);
	}
}

/* The bounds themselves, and the defaults of other programs. */
static void cost_within_bounds_is_taken(void **state)
{
	static const char *const hashes[] = {
		"pbkdf2_sha1$2000000$seasalt$EkQpAiNOf+lhJwaVR/k9adxVm78=",
		"bcrypt$$2b$14$" HASH_53,
		"$wp$2y$13$" HASH_53,
		"$5$rounds=535000$salt$" HASH_43,
		"$5$rounds=700000$salt$" HASH_43,
		/* WordPress, passlib, Drupal 7 */
		"$P$B12345678" HASH_22,
		"$P$H12345678" HASH_22,
		"$S$D12345678" HASH_43,
		"$scrypt$ln=17,r=8,p=2$c2FsdHNhbHQ$" HASH_43,
		/* Django 5.1 */
		"scrypt$16384$seasalt$8$5$" HASH_88,
		/* crypt_gensalt(3) */
		"$7$CU..../....salt$" HASH_43,
	};

	(void)state;
	for (size_t i = 0; i < sizeof hashes / sizeof hashes[0]; i++) {
		if (password_import_problem(hashes[i], &cost) != NULL)
			fail_msg("%s %s", hashes[i], password_import_problem(hashes[i], &cost));
	}
}

static void malformed_hash_is_refused(void **state)
{
	static const char *const hashes[] = {
		"pbkdf2_sha1$",
		"pbkdf2_sha1$1000$seasalt$3xmXbyk2QpiyNcnoBbzRPwEBsYPTbDlRdtmLyBvQltA=",
		"bcrypt$",
		"bcrypt$$6$salt$" HASH_43 HASH_43,
		"scrypt$",
		"scrypt$15$seasalt$8$1$" HASH_88,
		"scrypt$0$seasalt$8$1$" HASH_88,
		"scrypt$1$seasalt$8$1$" HASH_88,
		"scrypt$16$$8$1$" HASH_88,
		"scrypt$16$seasalt$0$1$" HASH_88,
		"scrypt$16$seasalt$8$0$" HASH_88,
		"scrypt$16$seasalt$8$1$" HASH_43 "=",
		"scrypt$seasalt$16$8$1$" HASH_88,
		"$scrypt$",
		"$scrypt$ln=0,r=8,p=1$c2FsdHNhbHQ$" HASH_43,
		"$scrypt$ln=4,r=8$c2FsdHNhbHQ$" HASH_43,
		"$scrypt$ln=4,r=8,p=1$$" HASH_43,
		"$scrypt$ln=4,r=8,p=1$c2FsdHNhbHQ$AAAA",
		"$scrypt$ln=4,r=8,p=1$c2FsdHNhbHQ$" HASH_43 HASH_43 HASH_43,
		"$7$",
		"$7$.6..../....salt$" HASH_43,
		"$7$26....!....salt$" HASH_43,
		"$7$26..../....$" HASH_43,
		"$7$26..../....salt$" HASH_22,
		"$5$salt$" HASH_43 HASH_43,
		"$5$rounds=999$salt$" HASH_43,
		"$1$",
		"$1$ninechars$" HASH_22,
		"$1$salt$" HASH_43,
		"$1$salt",
		"$apr1$",
		"$apr1$salt$AAAA",
		"$P$",
		"$P$412345678" HASH_22,
		"$P$B12345678" HASH_43,
		"$P$!12345678" HASH_22,
		"$S$D12345678" HASH_22,
		"$wp$",
		"$wp$2b$10$" HASH_53,
		"$wp$2y$03$" HASH_53,
		"$wp$argon2id$v=19$m=64,t=1,p=1$" HASH_22 "$" HASH_43,
		"{SHA}",
		"{SHA}AAAA",
		"{SHA}RiwXbglbp/GFmpuayBmEkBcVW5KBsHYu",
		"{SSHA}q/eq1kOINtvlJqojGr3i0O73TUI=",
		"{SSHA}" HASH_88 HASH_88,
		"{SSHA384}" HASH_88,
		"{SHAx}" HASH_88,
	};

	(void)state;
	for (size_t i = 0; i < sizeof hashes / sizeof hashes[0]; i++) {
		const char *problem = password_hash_problem(hashes[i]);

		if (problem == NULL || strcmp(problem, "is cut short or malformed") != 0)
			fail_msg("%s: %s", hashes[i], problem != NULL ? problem : "is taken");
		assert_int_equal(password_verify(hashes[i], "secret"), PASSWORD_WRONG);
		assert_int_equal(password_verify(hashes[i], ""), PASSWORD_WRONG);
	}
}

static void forms_that_take_no_time_are_known(void **state)
{
	static const char *const quick[] = {"{SHA}q/eq1kOINtvlJqojGr3i0O73TUI=", "$1$iCrr/MLU$LexswzFuqxQ5lUBV6Azd61",
	                                    "$apr1$PWMoneX9$X/nssrG/C9CSWejzvLI4j.",
	                                    "$P$5F8f/BR5k4ppvCEKG0rxC528FK./qu1"};
	static const char *const slow[] = {"$wp$2y$10$" HASH_53, "$2y$10$" HASH_53, "no hash", ""};

	(void)state;
	for (size_t i = 0; i < sizeof quick / sizeof quick[0]; i++)
		assert_true(password_hash_is_quick(quick[i]));
	for (size_t i = 0; i < sizeof slow / sizeof slow[0]; i++)
		assert_false(password_hash_is_quick(slow[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hashes_of_other_programs_are_understood),
		cmocka_unit_test(hash_that_is_not_whole_is_never_right),
		cmocka_unit_test(every_byte_of_a_long_password_counts),
		cmocka_unit_test(passwords_of_wordpress_are_right_as_they_are_typed),
		cmocka_unit_test(cost_without_bounds_is_refused),
		cmocka_unit_test(cost_within_bounds_is_taken),
		cmocka_unit_test(malformed_hash_is_refused),
		cmocka_unit_test(forms_that_take_no_time_are_known),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
