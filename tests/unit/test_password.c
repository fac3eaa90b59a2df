#include "session/password.h"

/* cmocka wants these first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* libsodium's lowest cost: these tests are not about time. */
static const struct password_cost cheapest = {.memory = 8192, .passes = 1};

static void right_password_and_no_other_is_right(void **state)
{
	char hash[PASSWORD_HASH_SIZE];

	(void)state;
	assert_int_equal(password_hash("correct horse", &cheapest, hash), 0);
	assert_true(password_verify(hash, "correct horse"));
	assert_false(password_verify(hash, "correct horsf"));
	assert_false(password_verify(hash, "correct horse "));
	assert_false(password_verify(hash, "correct hors"));
	assert_false(password_verify(hash, ""));
}

static void hash_is_argon2id_with_the_cost_asked_for_and_a_salt(void **state)
{
	const struct password_cost cost = {.memory = INT64_C(64) * 1024, .passes = 2};
	char one[PASSWORD_HASH_SIZE], other[PASSWORD_HASH_SIZE];

	(void)state;
	assert_int_equal(password_hash("secret", &cost, one), 0);
	assert_int_equal(password_hash("secret", &cost, other), 0);
	assert_non_null(strstr(one, "$argon2id$v=19$m=64,t=2,p=1$"));
	assert_string_not_equal(one, other);
}

static void longest_password_counts_to_its_last_byte(void **state)
{
	char password[PASSWORD_MAX + 1];
	char hash[PASSWORD_HASH_SIZE];

	(void)state;
	memset(password, 'x', PASSWORD_MAX);
	password[PASSWORD_MAX] = '\0';
	assert_int_equal(password_hash(password, &cheapest, hash), 0);
	assert_true(password_verify(hash, password));
	password[PASSWORD_MAX - 1] = 'y';
	assert_false(password_verify(hash, password));
}

static void argon2i_of_another_program_is_understood(void **state)
{
	char hash[PASSWORD_HASH_SIZE];

	(void)state;
	assert_int_equal(crypto_pwhash_str_alg(hash, "secret", strlen("secret"), crypto_pwhash_argon2i_OPSLIMIT_MIN,
	                                       crypto_pwhash_argon2i_MEMLIMIT_MIN, crypto_pwhash_ALG_ARGON2I13),
	                 0);
	assert_true(password_verify(hash, "secret"));
	assert_false(password_verify(hash, "Secret"));
}

/* ---- Hashes of other programs ------------------------------------------------------------------------------- */

#define PHRASE  "correct horse battery staple"
#define STRANGE "p\xc3\xa4ssw\xc3\xb6rd \xe2\x9c\x93"

/* Each was made by the program named. */
static const struct {
	const char *hash, *password;
} vectors[] = {
	/* Django 3.2.25, make_password(PHRASE), with PASSWORD_HASHERS' first being each of these. */
	{"pbkdf2_sha256$260000$MAyeo9HdJaSyymYAauUlUh$+pUInv3lmlb+tF+C+SVgC6DKo/DWjTcIur5MXpbhays=", PHRASE},
	{"argon2$argon2id$v=19$m=102400,t=2,p=8$b2k2S3F0VFlHWWJYRHZhUkNmUUxSZg$44NLLfeibvfXNg6Ej4b3gg", PHRASE},
	{"bcrypt_sha256$$2b$12$.a6ZCQTX3djviYSmOGmcIO4riqdggry7C/iuwNqXzW7q8COygVzL.", PHRASE},
	/* The same with fewer iterations, less memory, fewer rounds. */
	{"pbkdf2_sha256$1000$seasalt$3xmXbyk2QpiyNcnoBbzRPwEBsYPTbDlRdtmLyBvQltA=", PHRASE},
	{"pbkdf2_sha256$1000$seasalt$ABvFp+v377Hh1RXMH+y4cbMHz/scCkl9J8/53ppe+Kg=", STRANGE},
	{"pbkdf2_sha256$1$s$4rOGl6LtouRCNgDQWy4Xxdfo9NyDYsaQKym7KQQBu8c=", "secret"},
	{"argon2$argon2id$v=19$m=512,t=2,p=8$b0dyekZya0JrekpRaUdUMXN1TjFkNg$hKiCMf4PQkVQmokFDHCUwA", PHRASE},
	{"bcrypt_sha256$$2b$04$FNOUbUUVx.TGoH5bVA0Zb.7Kf1CSIiJ/2wafxoNLuWYi6E0Iz9m4q", PHRASE},
	/* argon2-cffi 21.1 with the parameters of Django 1.10 to 3.1: argon2i, t=2, m=512, p=2, 16 bytes. */
	{"argon2$argon2i$v=19$m=512,t=2,p=2$c29tZXNhbHRzb21l$6Y7okZf+9YPaXJpSrIeYPQ", PHRASE},
	/* argon2-cffi 21.1: t=1, m=64, p=8, 32 bytes. */
	{"$argon2i$v=19$m=64,t=1,p=8$MDEyMzQ1Njc4OWFiY2RlZmdoaWprbA$Lmh9My3nBOx+JoZfXW2COtro77OdO6+l0W5+pZNUC0s",
         "secret"},
	/* Apache 2.4's htpasswd -nbBC 4; -nb5; -nb5 -r 1000. */
	{"$2y$04$pQr0z0E7ZEvoZbZSolbxZO7uoc0zPiy5laQenn9xRmIFU/IcpfC7u", PHRASE},
	{"$6$UV4mQrLXJ07/de9E$EBwt8H5Zqs9qC06brDLpxBOXw9tCptrmZWjHtGYqTwYa3Rx1XrQdMqfeXT/"
         "FUn1RZ2A/hJumSrwj4G3XvCsya0",
         PHRASE},
	{"$6$rounds=1000$qmltADROqeDPHq.z$7jGXnVI0MqGwFDKdhe0cD4Bapn2pdCF1CyB/"
         "swAZimKi20BnbFEb09q2DziY.PKRnQgfxT16TyCRc/ldL5L/f1",
         PHRASE},
	/* openssl passwd -6 */
	{"$6$axFd09.zFkfxRt9o$jeSCw1QK8uAtII4vMiIWi7b5O4rv9tK5LgY6zx7E59EBAbxxbVqs3j25NXJ7Wd6c6Wq5U0sA/"
         "IhJ7yS4TF1zG/",
         PHRASE},
	/* mkpasswd (whois 5.5.17) -m yescrypt; -R 1; -m bcrypt-a; -m bcrypt. */
	{"$y$j9T$EF3aLCXMdAHm1v9AClh.P/$GVFPxEARH4fOlH.MP56KgIwrutj513CDTfB2OCeBpI9", PHRASE},
	{"$y$j75$jgO7EtXbGXOCaup8U4z881$RKMMd4j41MW0rKuzU.an4Ql3KTTL49yqPdFTkVdKKNB", PHRASE},
	{"$2a$05$Aq5tWInejpk9DqvJXBW6Ee.SRdoz3YNWqFPS9velkSTw1UBSTUNJ.", PHRASE},
	{"$2b$05$FT.YRqSIS8MW8lkamIsgteo7cC8llfiFSttrRKMoDoLB1uzfTKLLG", PHRASE},
	/* Python's crypt.crypt(STRANGE, ...). */
	{"$6$rounds=1000$saltsalt$2Ht3lx/xaC.NqI61bL17jC6lqwdahTVCKJ4XNn5TydMKSaXPIdY2lBhpoeXj29cfqF4UhJGoOk3DVZ1SEEnK1"
         "0",
         STRANGE},
	{"$y$j75$abcdefgh$OckaMRsOfJ6V/Q9FbTwluiKZbyz243IAw2h7H9BonmA", STRANGE},
};

static void hashes_of_django_and_htpasswd_are_understood(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
		char wrong[64];

		assert_null(password_hash_problem(vectors[i].hash));
		assert_true(password_verify(vectors[i].hash, vectors[i].password));
		(void)snprintf(wrong, sizeof wrong, "%s", vectors[i].password);
		wrong[strlen(wrong) - 1] ^= 1;
		assert_false(password_verify(vectors[i].hash, wrong));
		assert_false(password_verify(vectors[i].hash, ""));
		assert_true(password_needs_rehash(vectors[i].hash, &cheapest));
	}
}

/* No hash that is a character shorter or longer, or has another last character, matches its password. */
static void hash_that_is_not_whole_is_never_right(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
		char hash[256];
		size_t length = strlen(vectors[i].hash);

		for (size_t kept = 0; kept < length; kept++) {
			(void)snprintf(hash, sizeof hash, "%.*s", (int)kept, vectors[i].hash);
			/* In some forms the hash may be shorter: then it is a valid hash of another password. */
			if (password_hash_problem(hash) == NULL && strstr(hash, "argon2") == NULL)
				fail_msg("%s", hash);
			if (kept + 3 > length || kept < 40)
				assert_false(password_verify(hash, vectors[i].password));
		}
		(void)snprintf(hash, sizeof hash, "%sA", vectors[i].hash);
		assert_false(password_verify(hash, vectors[i].password));
		(void)snprintf(hash, sizeof hash, "%s\n", vectors[i].hash);
		assert_string_equal(password_hash_problem(hash), "is cut short or malformed");
		assert_false(password_verify(hash, vectors[i].password));
	}
}

static void every_byte_of_a_long_password_counts(void **state)
{
	/* Django 3.2.25, of 1024 times "x". */
	static const char *const hashes[] = {
		"pbkdf2_sha256$1000$seasalt$ejXpL7dRcwcF3I0CCwisgLxpiEC7qvsms8LNvebNEZs=",
		"bcrypt_sha256$$2b$04$ZzTd/b1tD1XOffcCQQZXieK5MIngT6vJTP19vqbIzjqQao6HO3VBy",
	};
	char password[PASSWORD_MAX + 1];

	(void)state;
	for (size_t i = 0; i < sizeof hashes / sizeof hashes[0]; i++) {
		memset(password, 'x', PASSWORD_MAX);
		password[PASSWORD_MAX] = '\0';
		assert_true(password_verify(hashes[i], password));
		password[PASSWORD_MAX - 1] = 'y';
		assert_false(password_verify(hashes[i], password));
		password[PASSWORD_MAX - 1] = '\0';
		assert_false(password_verify(hashes[i], password));
	}
}

static void password_that_crypt_has_no_room_for_is_wrong(void **state)
{
	/* Python's crypt.crypt() of 511 times "x". */
	static const char *const hashes[] = {
		"$6$rounds=1000$saltsalt$nC35Rjw1qm7lwdxVgg3IU9qZMEaqucKnRYCtC7UyfTbgqAQUZjWQxjc2xeWwMzOTjOEqyGG."
		"T4MAGPm1ptmEK/",
		"$y$j75$abcdefgh$czUwZq.orTm49jWxfh0BJqT8kee13rH6ToKGy5yl6XD",
	};
	char password[PASSWORD_MAX + 1];

	(void)state;
	for (size_t i = 0; i < sizeof hashes / sizeof hashes[0]; i++) {
		memset(password, 'x', PASSWORD_MAX);
		password[PASSWORD_MAX] = '\0';
		assert_false(password_verify(hashes[i], password));
		password[512] = '\0';
		assert_false(password_verify(hashes[i], password));
		password[511] = '\0';
		assert_true(password_verify(hashes[i], password));
	}
}

#define SALT_22 "AAAAAAAAAAAAAAAAAAAAAA"
#define HASH_43 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define HASH_53 SALT_22 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define HASH_86 HASH_43 HASH_43

/* Each would take minutes, or gigabytes, or overflow a number. They are refused without hashing. */
static void cost_without_bounds_is_refused(void **state)
{
	static const char *const hashes[] = {
		"pbkdf2_sha256$2000001$seasalt$3xmXbyk2QpiyNcnoBbzRPwEBsYPTbDlRdtmLyBvQltA=",
		"pbkdf2_sha256$999999999$seasalt$3xmXbyk2QpiyNcnoBbzRPwEBsYPTbDlRdtmLyBvQltA=",
		"$2y$15$" HASH_53,
		"$2b$31$" HASH_53,
		"$2a$99$" HASH_53,
		"bcrypt_sha256$$2b$15$" HASH_53,
		"$6$rounds=700001$salt$" HASH_86,
		"$6$rounds=999999999$salt$" HASH_86,
		"$y$jDT$salt$" HASH_43,
		"$y$jET$salt$" HASH_43,
		"$y$jjj$salt$" HASH_43,
		"$y$jG5$salt$" HASH_43,
		"argon2$argon2id$v=19$m=4194304,t=1,p=8$" SALT_22 "$" HASH_43,
		"argon2$argon2id$v=19$m=524288,t=8,p=64$" SALT_22 "$" HASH_43,
		"argon2$argon2id$v=19$m=262144,t=5,p=1$" SALT_22 "$" HASH_43,
		"argon2$argon2id$v=19$m=131073,t=1,p=8$" SALT_22 "$" HASH_43,
		"argon2$argon2id$v=19$m=131072,t=9,p=8$" SALT_22 "$" HASH_43,
		"argon2$argon2i$v=19$m=65536,t=17,p=1$" SALT_22 "$" HASH_43,
		"argon2$argon2i$v=19$m=8,t=131073,p=1$" SALT_22 "$" HASH_43,
		"argon2$argon2i$v=19$m=8,t=999999999,p=1$" SALT_22 "$" HASH_43,
		"argon2$argon2id$v=19$m=65536,t=1,p=65$" SALT_22 "$" HASH_43,
		"argon2$argon2id$v=19$m=65536,t=1,p=999999999$" SALT_22 "$" HASH_43,
		"$argon2i$v=19$m=1048576,t=1,p=1$" SALT_22 "$" HASH_43,
		"$argon2id$v=19$m=4194305,t=1,p=1$" SALT_22 "$" HASH_43,
		"$argon2id$v=19$m=8,t=65,p=1$" SALT_22 "$" HASH_43,
	};

	(void)state;
	for (size_t i = 0; i < sizeof hashes / sizeof hashes[0]; i++) {
		const char *problem = password_hash_problem(hashes[i]);

		if (problem == NULL ||
		    strstr(problem, "would cost more to check than is allowed, which is ") != problem)
			fail_msg("%s: %s", hashes[i], problem != NULL ? problem : "is taken");
		assert_string_equal(password_import_problem(hashes[i], &cheapest), problem);
		assert_false(password_verify(hashes[i], "secret"));
	}
}

/* The bounds themselves, and the defaults of other programs. */
static void cost_within_bounds_is_taken(void **state)
{
	static const char *const hashes[] = {
		"pbkdf2_sha256$2000000$seasalt$3xmXbyk2QpiyNcnoBbzRPwEBsYPTbDlRdtmLyBvQltA=",
		"$2y$14$" HASH_53,
		"bcrypt_sha256$$2b$14$" HASH_53,
		"$6$rounds=656000$salt$" HASH_86,
		"$6$rounds=700000$salt$" HASH_86,
		"$y$jCT$salt$" HASH_43,
		"argon2$argon2id$v=19$m=102400,t=2,p=8$" SALT_22 "$" HASH_43,
		"argon2$argon2id$v=19$m=131072,t=8,p=64$" SALT_22 "$" HASH_43,
		"argon2$argon2i$v=19$m=8,t=131072,p=1$" SALT_22 "$" HASH_43,
		"$argon2id$v=19$m=65536,t=3,p=4$" SALT_22 "$" HASH_43,
		"$argon2id$v=19$m=65536,t=4,p=1$" SALT_22 "$" HASH_43,
	};

	(void)state;
	for (size_t i = 0; i < sizeof hashes / sizeof hashes[0]; i++) {
		assert_null(password_hash_problem(hashes[i]));
		assert_null(password_import_problem(hashes[i], &cheapest));
	}
}

/* The daemon's own hashes may cost as much as the configuration allows; one that only looks like them may not. */
static void hash_that_looks_like_ours_is_imported_when_it_costs_no_more(void **state)
{
	static const char costly[] = "$argon2id$v=19$m=262144,t=5,p=1$" SALT_22 "$" HASH_43;
	static const char lasting[] = "$argon2id$v=19$m=65536,t=40,p=1$" SALT_22 "$" HASH_43;
	const struct password_cost as_much = {.memory = INT64_C(256) * 1024 * 1024, .passes = 5};
	const struct password_cost less_memory = {.memory = INT64_C(255) * 1024 * 1024, .passes = 5};
	const struct password_cost fewer_passes = {.memory = INT64_C(256) * 1024 * 1024, .passes = 4};

	(void)state;
	assert_null(password_hash_problem(costly));
	assert_null(password_hash_problem(lasting));
	assert_null(password_import_problem(costly, &as_much));
	assert_non_null(password_import_problem(costly, &less_memory));
	assert_non_null(password_import_problem(costly, &fewer_passes));
	assert_non_null(password_import_problem(lasting, &as_much));
	assert_string_equal(password_import_problem("$gy$j9T$salt$qjXMvbEw8oaL.CzflDtaK/", &as_much),
	                    password_hash_problem("$gy$j9T$salt$qjXMvbEw8oaL.CzflDtaK/"));
}

/* A client chooses the password that it tries, and so its length and what checking it costs. */
static void longest_guess_costs_no_more_than_is_allowed(void **state)
{
	static const char hash[] = "$6$rounds=700000$salt$" HASH_86;
	struct timespec began, ended;
	char guess[512];

	(void)state;
	memset(guess, 'x', sizeof guess);
	guess[511] = '\0';
	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &began);
	assert_int_equal(password_verify(hash, guess), PASSWORD_WRONG);
	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ended);
	assert_int_equal(ended.tv_sec - began.tv_sec, 0);
}

static void malformed_hash_is_refused(void **state)
{
	static const char *const hashes[] = {
		"$argon2id$",
		"$argon2id$v=19$m=8,t=1,p=1$",
		"$argon2id$v=19$m=8,t=1,p=1$" SALT_22 "$",
		"$argon2id$v=16$m=8,t=1,p=1$" SALT_22 "$" HASH_43,
		"$argon2id$v=19$m=8,t=0,p=1$" SALT_22 "$" HASH_43,
		"$argon2id$v=19$m=8,t=1,p=0$" SALT_22 "$" HASH_43,
		"$argon2id$v=19$m=8,t=1,p=2$" SALT_22 "$" HASH_43,
		"$argon2id$v=19$m=08,t=1,p=1$" SALT_22 "$" HASH_43,
		"$argon2id$v=19$m=-8,t=1,p=1$" SALT_22 "$" HASH_43,
		"$argon2id$v=19$m=4294967304,t=1,p=1$" SALT_22 "$" HASH_43,
		"$argon2id$v=19$m=8,t=1,p=1$" HASH_86 "$" HASH_86,
		"$argon2id$v=19$m=8,t=1,p=1$" SALT_22 "$" HASH_43 "$",
		"argon2$argon2id$v=19$m=512,t=2,p=8$",
		"argon2$argon2d$v=19$m=512,t=2,p=8$" SALT_22 "$" HASH_43,
		"pbkdf2_sha256$",
		"pbkdf2_sha256$260000$salt$hash",
		"pbkdf2_sha256$0$seasalt$3xmXbyk2QpiyNcnoBbzRPwEBsYPTbDlRdtmLyBvQltA=",
		"pbkdf2_sha256$-1$seasalt$3xmXbyk2QpiyNcnoBbzRPwEBsYPTbDlRdtmLyBvQltA=",
		"pbkdf2_sha256$4294968296$seasalt$3xmXbyk2QpiyNcnoBbzRPwEBsYPTbDlRdtmLyBvQltA=",
		"pbkdf2_sha256$1000$$3xmXbyk2QpiyNcnoBbzRPwEBsYPTbDlRdtmLyBvQltA=",
		"pbkdf2_sha256$1000$seasalt$",
		"pbkdf2_sha256$1000$seasalt$3xmXbyk2QpiyNcnoBbzRPwEBsYPTbDlRdtmLyBvQlt==",
		"pbkdf2_sha256$1000$seasalt$3xmXbyk2QpiyNcnoBbzRPwEBsYPTbDlRdtmLyBvQltAA3xmXbyk2QpiyNcnoBbzRPwEBsYPT",
		"bcrypt_sha256$",
		"bcrypt_sha256$$2x$04$" HASH_53,
		"bcrypt_sha256$$6$salt$" HASH_86,
		"$2y$",
		"$2y$1$" HASH_53,
		"$2y$03$" HASH_53,
		"$2y$04$" HASH_53 "A",
		"$6$",
		"$6$salt",
		"$6$rounds=1000",
		"$6$rounds=$salt$" HASH_86,
		"$6$rounds=999$salt$" HASH_86,
		"$6$rounds=1000$aSaltThatIsTooLong$" HASH_86,
		"$6$salt$" HASH_43,
		"$y$",
		"$y$j9T",
		"$y$j9T$",
		"$y$j9T$salt$",
		"$y$j9T$$" HASH_43,
		"$y$j9T$salt$" HASH_86,
		"$y$j9Tkkkk$salt$" HASH_43,
		"$y$zzzzzzz$salt$" HASH_43,
		"$y$j.T$salt$" HASH_43,
	};

	(void)state;
	for (size_t i = 0; i < sizeof hashes / sizeof hashes[0]; i++) {
		const char *problem = password_hash_problem(hashes[i]);

		if (problem == NULL || strcmp(problem, "is cut short or malformed") != 0)
			fail_msg("%s: %s", hashes[i], problem != NULL ? problem : "is taken");
		assert_false(password_verify(hashes[i], "secret"));
		assert_false(password_verify(hashes[i], ""));
	}
}

static void hash_of_no_supported_form_is_named_and_never_right(void **state)
{
	static const struct {
		const char *hash, *word;
	} cases[] = {
		{"", "is empty"},
		{"secret", "plain text"},
		{"correct horse battery staple", "plain text"},
		{"!", "locked"},
		{"!p7bcwrOAr4kfMLgtDfT2EHmPRTxot2eKk8caRcxM", "locked"},
		{"*0", "locked"},
		/* htpasswd -d; mkpasswd -m gost-yescrypt, both of PHRASE. */
		{"BfPNL1TJ0k0AY", "DES crypt"},
		{"$gy$j9T$09WWe3TC.KTqx1PUxGtW1/$JgA7HVqDa9ci/Z2N6u7hq7kCIWVP8NYqYF62RQvKkUB", "gost-yescrypt"},
		/* Django 3.2.25's MD5PasswordHasher, of PHRASE. */
		{"md5$XYWsX7iZuDkFIIRiI2Wrgw$74bc884a6b4c917a12aaa41e8dc220ea", "md5"},
		{"9cc2ae8a1ba7a93da39b46fc1019c481", "MD5 without salt"},
		{"{MD5}nMKuihunqT2jm0b8EBnEgQ==", "MD5 without salt"},
		{"{CRYPT}BfPNL1TJ0k0AY", "{CRYPT}"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const char *problem = password_hash_problem(cases[i].hash);

		assert_non_null(problem);
		assert_non_null(strstr(problem, cases[i].word));
		assert_false(password_verify(cases[i].hash, PHRASE));
		assert_false(password_verify(cases[i].hash, cases[i].hash));
		assert_false(password_verify(cases[i].hash, ""));
		assert_true(password_needs_rehash(cases[i].hash, &cheapest));
	}
}

static void hash_of_another_cost_is_to_be_made_anew(void **state)
{
	const struct password_cost cost = {.memory = INT64_C(64) * 1024 + 1000, .passes = 2};
	const struct password_cost more_memory = {.memory = INT64_C(65) * 1024, .passes = 2};
	const struct password_cost less_memory = {.memory = INT64_C(63) * 1024, .passes = 2};
	const struct password_cost more_passes = {.memory = INT64_C(64) * 1024, .passes = 3};
	char hash[PASSWORD_HASH_SIZE];

	(void)state;
	assert_int_equal(password_hash("secret", &cost, hash), 0);
	assert_null(password_hash_problem(hash));
	assert_false(password_needs_rehash(hash, &cost));
	assert_true(password_needs_rehash(hash, &more_memory));
	assert_true(password_needs_rehash(hash, &less_memory));
	assert_true(password_needs_rehash(hash, &more_passes));
	/* The same parameters do not make it one of the daemon's own. */
	assert_false(password_needs_rehash("$argon2id$v=19$m=64,t=2,p=1$" SALT_22 "$" HASH_43, &cost));
	assert_true(password_needs_rehash("$argon2id$v=19$m=64,t=2,p=2$" SALT_22 "$" HASH_43, &cost));
	assert_true(password_needs_rehash("$argon2i$v=19$m=64,t=2,p=1$" SALT_22 "$" HASH_43, &cost));
	assert_true(password_needs_rehash("$argon2id$v=19$m=64,t=2,p=1$" SALT_22 "$" SALT_22, &cost));
	assert_true(password_needs_rehash("argon2$argon2id$v=19$m=64,t=2,p=1$" SALT_22 "$" HASH_43, &cost));
}

/* ---- New passwords ------------------------------------------------------------------------------------------ */

static void new_password_is_measured_in_characters_and_in_bytes(void **state)
{
	char password[PASSWORD_MAX + 2];

	(void)state;
	assert_string_equal(password_problem(""), "is empty");
	assert_string_equal(password_problem("1234567"), "is shorter than 8 characters");
	assert_null(password_problem("12345678"));
	assert_null(password_problem("        "));
	/* Seven and eight characters of two and of four bytes. */
	assert_non_null(password_problem("\u00fc\u00fc\u00fc\u00fc\u00fc\u00fc\u00fc"));
	assert_null(password_problem("\u00fc\u00fc\u00fc\u00fc\u00fc\u00fc\u00fc\u00fc"));
	assert_non_null(password_problem("\U0001f600\U0001f600\U0001f600\U0001f600\U0001f600\U0001f600\U0001f600"));
	/* Latin-1, for one. */
	assert_non_null(password_problem("\xfc\xfc\xfc\xfc\xfc\xfc\xfc"));
	assert_null(password_problem("\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc"));
	memset(password, 'x', sizeof password);
	password[PASSWORD_MAX] = '\0';
	assert_null(password_problem(password));
	password[PASSWORD_MAX] = 'x';
	password[PASSWORD_MAX + 1] = '\0';
	assert_string_equal(password_problem(password), "is longer than 1024 bytes");
}

static void cost_that_cannot_be_had_is_a_failure(void **state)
{
	char hash[PASSWORD_HASH_SIZE];

	(void)state;
	assert_int_equal(password_hash("secret", &(const struct password_cost){.memory = 1, .passes = 1}, hash), -1);
	assert_int_equal(password_hash("secret", &(const struct password_cost){.memory = 8192, .passes = 0}, hash), -1);
	assert_int_equal(password_hash("secret", &(const struct password_cost){.memory = -1, .passes = 1}, hash), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(right_password_and_no_other_is_right),
		cmocka_unit_test(hash_is_argon2id_with_the_cost_asked_for_and_a_salt),
		cmocka_unit_test(longest_password_counts_to_its_last_byte),
		cmocka_unit_test(argon2i_of_another_program_is_understood),
		cmocka_unit_test(hashes_of_django_and_htpasswd_are_understood),
		cmocka_unit_test(hash_that_is_not_whole_is_never_right),
		cmocka_unit_test(every_byte_of_a_long_password_counts),
		cmocka_unit_test(password_that_crypt_has_no_room_for_is_wrong),
		cmocka_unit_test(cost_without_bounds_is_refused),
		cmocka_unit_test(cost_within_bounds_is_taken),
		cmocka_unit_test(hash_that_looks_like_ours_is_imported_when_it_costs_no_more),
		cmocka_unit_test(longest_guess_costs_no_more_than_is_allowed),
		cmocka_unit_test(malformed_hash_is_refused),
		cmocka_unit_test(hash_of_no_supported_form_is_named_and_never_right),
		cmocka_unit_test(hash_of_another_cost_is_to_be_made_anew),
		cmocka_unit_test(new_password_is_measured_in_characters_and_in_bytes),
		cmocka_unit_test(cost_that_cannot_be_had_is_a_failure),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
