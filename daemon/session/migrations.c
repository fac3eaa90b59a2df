/* The files of schema/, built in. */
#include "session/migrations.h"

/* The assembler puts the file in as it is, with a NUL behind it; its path is that from the project's root. */
#define BUILT_IN(symbol, file)                                                                                         \
	__asm__(".pushsection .rodata\n"                                                                               \
	        ".globl " #symbol "\n"                                                                                 \
	        ".hidden " #symbol "\n" #symbol ":\n"                                                                  \
	        ".incbin \"schema/" file ".sql\"\n"                                                                    \
	        ".byte 0\n"                                                                                            \
	        ".popsection\n");                                                                                      \
	extern const char symbol[] __attribute__((visibility("hidden")))

BUILT_IN(migration_0001, "0001_accounts_and_sessions");
BUILT_IN(migration_0002, "0002_policy");
BUILT_IN(migration_0003, "0003_sequences");
BUILT_IN(migration_0004, "0004_same_browser");
BUILT_IN(migration_0005, "0005_purge_and_throttle");
BUILT_IN(migration_0006, "0006_owner");

const struct schema_migration migrations[] = {
	{1, "0001_accounts_and_sessions", migration_0001},
	{2, "0002_policy", migration_0002},
	{3, "0003_sequences", migration_0003},
	{4, "0004_same_browser", migration_0004},
	{5, "0005_purge_and_throttle", migration_0005},
	{6, "0006_owner", migration_0006},
};

const size_t migration_count = sizeof migrations / sizeof migrations[0];
