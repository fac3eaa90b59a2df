# onesession. `make help` lists the targets. A line for each file that is made; `make V=1` shows the commands.

V ?= 0
ifeq ($(V),0)
Q    := @
# $(call say,CC) prints what is done, and to what.
say   = @printf '  %-5s %s\n' '$(1)' '$(patsubst $(CURDIR)/%,%,$(2))'
else
Q    :=
say   = @:
endif

BUILD  ?= build
# One name for one folder: what an object depends on is kept under the name that it was made by.
override BUILD := $(patsubst $(CURDIR)/%,%,$(abspath $(BUILD)))
# make has a CC of its own, which is not meant.
ifeq ($(origin CC),default)
CC := gcc
endif
OBJCOPY ?= objcopy
PREFIX ?= /usr/local
PORT   ?= 8080
PYTHON ?= /usr/bin/python3
# SANITIZE=address,undefined builds and tests with these sanitizers, in a folder of their own.
SANITIZE ?=
# The groups of tests that `make test` runs, and how many tests beside each other; without these: all, three a processor.
GROUP  ?=
JOBS   ?=

ifeq ($(FUZZER),1)
# The fuzzer is clang's, and so are its sanitizers.
CC := clang
override BUILD := $(BUILD)/fuzz
SANITIZE_FLAGS := -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
else ifneq ($(SANITIZE),)
override BUILD := $(BUILD)/$(if $(filter 1,$(COVERAGE)),coverage,sanitized)
SANITIZE_FLAGS := -fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer
# Memory that was freed is kept back for a while to see whether it is used; tests measure how much there is.
export ASAN_OPTIONS ?= detect_leaks=1:quarantine_size_mb=1
else
HARDENING := -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fstack-clash-protection -fPIE
HARDENING_LINK := -pie -Wl,-z,relro,-z,now
endif
# COVERAGE=1 counts what is run, see tools/coverage.
ifeq ($(COVERAGE),1)
# Only as GNU C does gcc keep the counts of a process when it runs another program.
SANITIZE_FLAGS += --coverage -std=gnu17
endif

# Of every program, of the test kit, of both programs, of the daemon only; then what has no .pc file.
BASE_PACKAGES := libpq jansson libsodium libcrypto libcrypt libidn2 talloc
KIT_PACKAGES  := $(BASE_PACKAGES) libcurl
PACKAGES      := $(BASE_PACKAGES) libsystemd libseccomp
DAEMON_PACKAGES := libcurl
LIBS          := -linih -lunistring -lfcgi -lzxcvbn
WARNINGS      := -Wall -Wextra -Wshadow -Wconversion -Wformat=2 -Wstrict-prototypes -Wmissing-prototypes \
                 -Wvla -Wundef -Wcast-qual
CFLAGS        ?= -O2 -g
ALL_CFLAGS     = -std=c17 -D_GNU_SOURCE -Idaemon -I$(TABLES) $(WARNINGS) $(WERROR) $(HARDENING) $(SANITIZE_FLAGS) \
                 $(PACKAGE_CFLAGS) $(CFLAGS)
ALL_LDFLAGS    = $(HARDENING_LINK) $(SANITIZE_FLAGS) $(LDFLAGS)
# Asked when something is compiled, so that `make deps` and `make run` work before the packages are there; then once.
PACKAGE_CFLAGS = $(eval PACKAGE_CFLAGS := $(shell pkg-config --cflags $(PACKAGES) $(DAEMON_PACKAGES)))$(PACKAGE_CFLAGS)
PACKAGE_LIBS   = $(eval PACKAGE_LIBS := $(shell pkg-config --libs $(PACKAGES)) $(LIBS))$(PACKAGE_LIBS)
# It looks into the files of modules, which the daemon loads.
CTL_LIBS       = $(DAEMON_LIBS) -lelf
DAEMON_LIBS    = $(eval DAEMON_LIBS := $(PACKAGE_LIBS) $(shell pkg-config --libs $(DAEMON_PACKAGES)))$(DAEMON_LIBS)

ROOM      = $(sort $(wildcard daemon/$(1)/*.c))
LOWER    := $(call ROOM,base) $(call ROOM,mail) $(call ROOM,webhook) $(call ROOM,session)
DAEMON   := daemon/main.c daemon/own_modules.c $(LOWER) $(call ROOM,http) $(call ROOM,api) $(call ROOM,modules) $(call ROOM,pool) \
            $(sort $(wildcard handlers/*/*.c))
CTL      := $(LOWER) $(call ROOM,ctl)
# What a module's own tests link against: the daemon without its processes.
KIT      := $(filter-out daemon/main.c daemon/pool/%,$(DAEMON)) $(call ROOM,kit)
UNITS    := $(sort $(wildcard tests/unit/test_*.c))
# Tables that are made from what is in a folder; .c files include them.
TABLES   := $(BUILD)/tables
PAGES    := $(sort $(wildcard handlers/pages/*.* handlers/pages/mail/*.*))
TEXTS    := $(sort $(wildcard handlers/pages/texts/*.ini))
object    = $(patsubst %.c,$(BUILD)/objects/%.o,$(1))
# Each folder of handlers/ with a module.c is a module as others are; built in, the object that it exports has the
# folder's name: guard_module. What is given is the source.
exports_as = $(if $(filter handlers/%/module.c,$(1)),-Dones_module=$(notdir $(patsubst %/,%,$(dir $(1))))_module)

DAEMON_OBJECTS := $(call object,$(DAEMON))
CTL_OBJECTS    := $(call object,$(CTL))
# What unit tests link against: everything but the programs' own main files, and of onesessionctl what reads foreign text.
TESTED_OBJECTS := $(filter-out %/daemon/main.o,$(DAEMON_OBJECTS)) $(call object,daemon/ctl/csv.c daemon/ctl/import_columns.c)
TESTED_ARCHIVE := $(BUILD)/objects/tested.a
UNIT_PROGRAMS  := $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(UNITS))
KIT_ARCHIVE    := $(BUILD)/libonesession-test.a
KIT_TEST       := $(BUILD)/tests/test_kit
# A module with the routes and receivers of an application, and modules of a single file.
APPLICATION := $(BUILD)/tests/application.so
MODULES     := $(patsubst tests/modules/%.c,$(BUILD)/tests/%.so,$(sort $(wildcard tests/modules/*.c)))

# What fuzzing calls with one input after another. With replay.c they are tests, of the inputs that are kept.
FUZZ_TARGETS  := $(patsubst tests/fuzz/fuzz_%.c,%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
FUZZ_PROGRAMS := $(addprefix $(BUILD)/tests/fuzz/,$(FUZZ_TARGETS))
FUZZ_OBJECTS  := $(call object,tests/fuzz/fuzz.c tests/fuzz/wire.c)
FUZZ_DRIVER   := $(if $(filter 1,$(FUZZER)),-fsanitize=fuzzer,$(call object,tests/fuzz/replay.c))
SECONDS       ?= 60
RUNS          ?=

# What the tests of the pages take from npm, in one place for every build.
NPM := build/npm/node_modules/.package-lock.json

.PHONY: all abi objects deps run cinema check test nightly debian unit-programs sanitized fuzz fuzz-programs coverage bench bench-programs compare race soak model faults \
        lint format hooks clean help sample screenshots man install uninstall deb force
.DELETE_ON_ERROR:

all: $(BUILD)/onesessiond $(BUILD)/onesessionctl $(KIT_ARCHIVE) ## build both programs, and what is for builders of modules (the default)

help: ## list the targets
	@sed -n 's/^\([a-z][a-z-]*\):.*## /  make \1	/p' Makefile | expand -t 20

# What everything is compiled and linked with: when that is another, all of it is made anew. What was made without a warning
# stays where warnings are no errors any more.
FLAGS_FILE := $(BUILD)/objects/flags
FLAGS       = $(CC) $(filter-out -Werror,$(ALL_CFLAGS)) $(ALL_LDFLAGS) $(DAEMON_LIBS)
$(FLAGS_FILE): force
	@mkdir -p $(@D)
	@printf '%s\n' '$(FLAGS) -Werror' | cmp -s - $@ || \
		printf '%s\n' '$(FLAGS) $(filter -Werror,$(ALL_CFLAGS))' | cmp -s - $@ || \
		printf '%s\n' '$(FLAGS) $(filter -Werror,$(ALL_CFLAGS))' > $@

# Modules find the functions of onesession.h in the program that loads them.
EXPORTS := daemon/onesession.symbols

# A program that runs, or is about to, stays whole while another PREFIX has it linked anew.
$(BUILD)/onesessiond: $(DAEMON_OBJECTS) $(EXPORTS)
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -Wl,--dynamic-list=$(EXPORTS) -o $@.new $(DAEMON_OBJECTS) $(DAEMON_LIBS)
	$(Q)mv $@.new $@

$(BUILD)/onesessionctl: $(CTL_OBJECTS)
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@.new $^ $(CTL_LIBS)
	$(Q)mv $@.new $@

$(BUILD)/objects/%.o: %.c $(FLAGS_FILE)
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(ALL_CFLAGS) $(call exports_as,$<) -MMD -MP -c -o $@ $<

$(TESTED_ARCHIVE): $(TESTED_OBJECTS)
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) cr $@ $^

# One object, of which nothing but the functions of onesession.h can be seen: all other names are the modules' to use.
$(KIT_ARCHIVE): $(call object,$(KIT))
	$(call say,AR,$@)
	$(Q)$(LD) -r -o $(@:.a=.o) $^
	$(Q)$(OBJCOPY) --wildcard --keep-global-symbol='ones_*' $(@:.a=.o)
	$(Q)rm -f $@.new && $(AR) cr $@.new $(@:.a=.o) && mv $@.new $@

$(KIT_TEST): $(wildcard tests/kit/*.[ch]) $(wildcard tests/kit/notes/*/*) $(KIT_ARCHIVE)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $(filter %.c,$^) $(KIT_ARCHIVE) $(DAEMON_LIBS) -lcmocka
	$(Q)rm -rf $(@D)/notes && cp -R tests/kit/notes $(@D)/

$(BUILD)/tests/%: tests/unit/%.c $(TESTED_ARCHIVE)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -MMD -MP -MF $@.d -o $@ $< $(TESTED_ARCHIVE) $(DAEMON_LIBS) -lcmocka

$(FUZZ_PROGRAMS): $(BUILD)/tests/fuzz/%: $(BUILD)/objects/tests/fuzz/fuzz_%.o $(FUZZ_OBJECTS) \
                  $(filter %.o,$(FUZZ_DRIVER)) $(TESTED_ARCHIVE)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(filter -%,$(FUZZ_DRIVER)) $(DAEMON_LIBS)

$(APPLICATION): $(sort $(wildcard tests/application/*.c)) $(wildcard tests/application/*.h) daemon/onesession.h \
                $(FLAGS_FILE)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_CFLAGS) -fPIC -fvisibility=hidden -shared $(SANITIZE_FLAGS) $(LDFLAGS) -o $@ $(filter %.c,$^)

$(MODULES): $(BUILD)/tests/%.so: tests/modules/%.c daemon/onesession.h $(FLAGS_FILE)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_CFLAGS) -fPIC -fvisibility=hidden -shared $(SANITIZE_FLAGS) $(LDFLAGS) -o $@ $<

# The assembler includes these; the compiler's dependency files do not know of them.
$(BUILD)/objects/daemon/session/migrations.o: $(wildcard schema/*.sql) $(TABLES)/migrations.inc
$(BUILD)/objects/daemon/http/page.o: $(PAGES) $(TEXTS) $(TABLES)/pages.inc
$(BUILD)/objects/daemon/own_modules.o: $(TABLES)/own_modules.inc

# A table that says what it said before is not touched, so that nothing is compiled again.
replace_table = if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

# The migrations in the order of their numbers, which begin at 0001 and leave none out.
$(TABLES)/migrations.inc: force
	@mkdir -p $(@D)
	@version=0; for file in $(notdir $(sort $(wildcard schema/*.sql))); do \
		version=$$((version + 1)); number=$$(printf '%04d' $$version); \
		case $$file in $${number}_*) ;; *) echo "schema/$$file: expected number $$number here" >&2; exit 1;; esac; \
		printf 'MIGRATION(%d, "%s")\n' $$version "$${file%.sql}"; done > $@.new
	@$(replace_table)

$(BUILD)/objects/daemon/modules/file.o $(BUILD)/objects/daemon/ctl/modules.o: $(TABLES)/moduledir.h

# Where modules are looked for; made anew when that is another folder.
MODULEDIR ?= $(PREFIX)/lib/onesession/modules
$(TABLES)/moduledir.h: force
	@mkdir -p $(@D)
	@printf '#define MODULES_FOLDER "%s"\n' '$(MODULEDIR)' > $@.new
	@$(replace_table)

# The daemon's own modules.
$(TABLES)/own_modules.inc: force
	@mkdir -p $(@D)
	@for module in $(sort $(wildcard handlers/*/module.c)); do \
		printf 'OWN_MODULE(%s)\n' "$$(basename "$$(dirname "$$module")")"; done > $@.new
	@$(replace_table)

# The built-in pages, and their texts by their languages.
$(TABLES)/pages.inc: force
	@mkdir -p $(@D)
	@for page in $(patsubst handlers/pages/%,%,$(PAGES)); do \
		printf 'PAGE(%s, "%s")\n' "$$(echo "$$page" | tr ./- ___)" "$$page"; done > $@.new
	@for language in $(basename $(notdir $(TEXTS))); do \
		printf 'TEXTS(%s, "%s")\n' "$$(echo "$$language" | tr - _)" "$$language"; done >> $@.new
	@$(replace_table)

-include $(shell find $(BUILD)/objects $(BUILD)/tests -name '*.d' 2>/dev/null)

deps: ## install what building needs
	@tools/install-packages build

run: ## install what is missing and show the demo, a small cinema (PORT=8080)
	@tools/install-packages build run
	@$(MAKE) --no-print-directory all cinema
	@exec env PORT=$(PORT) BUILD=$(BUILD) tools/demo/run

# As its builder would make it, in a folder of its own.
cinema: all ## build the example, examples/cinema, in BUILD/cinema
	@mkdir -p $(BUILD)/cinema
	@cd examples/cinema && cp --update --parents $(EXAMPLE) $(abspath $(BUILD))/cinema/
	@PKG_CONFIG_PATH='$(abspath $(BUILD)/pkgconfig)' $(MAKE) --no-print-directory -s -C $(BUILD)/cinema \
		CFLAGS='$(CFLAGS) -Wall -Wextra $(SANITIZE_FLAGS)'

unit-programs: $(UNIT_PROGRAMS) $(KIT_TEST) $(APPLICATION) $(MODULES) $(FUZZ_PROGRAMS)

# For a compiler that has no libraries to link with.
objects: $(DAEMON_OBJECTS) $(CTL_OBJECTS) $(call object,$(UNITS))

coverage: ## run every test of a sanitized build, and see that they run 90 % of the lines of daemon and handlers
	@tools/install-packages build test coverage
	@$(MAKE) --no-print-directory SANITIZE=address,undefined COVERAGE=1 all unit-programs
	@tools/coverage begin $(BUILD)/coverage
	@GCOV_ERROR_FILE=$(abspath $(BUILD)/coverage/errors) \
		$(MAKE) --no-print-directory SANITIZE=address,undefined COVERAGE=1 test
	@tools/coverage end $(BUILD)/coverage 90

fuzz-programs: $(FUZZ_PROGRAMS)

ifeq ($(FUZZER),1)
# It looks for the nearest of all names: what the fuzzer learns there is nothing, and takes most of the time.
$(BUILD)/objects/daemon/base/config_names.o: SANITIZE_FLAGS += -fno-sanitize-coverage=trace-cmp
endif

fuzz: ## feed the parsers with generated inputs (SECONDS=60 for each target, or RUNS=)
	@tools/install-packages build fuzz
	@$(MAKE) --no-print-directory -j$$(nproc) FUZZER=1 fuzz-programs
	@$(PYTHON) tests/fuzz/run.py --build $(BUILD)/fuzz --seconds $(SECONDS) $(if $(RUNS),--runs $(RUNS)) \
		$(or $(TARGETS),$(FUZZ_TARGETS))

BENCH_PROGRAMS := $(patsubst tests/%.c,$(BUILD)/%,$(sort $(wildcard tests/bench/*.c)))
# The application of the comparison of platforms, written for each of them; for kore where the release has it.
PLATFORM       := $(BUILD)/bench/platform
BENCH_PROGRAMS += $(addprefix $(PLATFORM)/,catalogue.so libfcgi mod_catalogue.so ulfius catalogue/migrations/0001_titles.sql) \
                  $(if $(wildcard /usr/bin/kore),$(PLATFORM)/kore.so)
# Those that were given; bench.py has defaults of its own.
GIVEN = $(foreach knob,SECONDS WARM_UP ROUNDS CONNECTIONS THREADS WORKERS SESSIONS STALE LARGE EXPIRED BASE,\
        $(if $(filter command% environment%,$(origin $(knob))),\
             --$(subst _,-,$(shell echo $(knob) | tr A-Z a-z)) $($(knob))))

bench-programs: $(BENCH_PROGRAMS)

bench: ## measure onesession beside others that do the same job, and write docs/benchmarks.md (PARTS=, SECONDS=, BASE=another checkout)
	@tools/install-packages build bench
	@$(MAKE) --no-print-directory all bench-programs
	@ONESESSION_BUILD=$(abspath $(BUILD)) $(PYTHON) tests/bench/bench.py --parts "$(PARTS)" $(GIVEN)

compare: ## onesession beside LemonLDAP::NG, Express and Django: speed, memory, displaced browsers, races (PARTS=, STALE=)
	@tools/install-packages build bench
	@$(MAKE) --no-print-directory all bench-programs
	@ONESESSION_BUILD=$(abspath $(BUILD)) $(PYTHON) tests/bench/bench.py \
		--parts "$(or $(PARTS),guarded stale race)" $(GIVEN)

MINUTES ?= 30

soak: ## half an hour of everything, with reloads: does anything grow? Writes docs/soak.md (MINUTES=30)
	@tools/install-packages build run test bench
	@$(MAKE) --no-print-directory all
	@ONESESSION_BUILD=$(abspath $(BUILD)) $(PYTHON) tests/bench/soak.py --minutes $(MINUTES)

model: ## have spin search the model of the rule, and show what it says
	@tools/install-packages build test
	@$(PYTHON) -m pytest -q -s -p no:cacheprovider tests/system/packages/test_model.py

faults: ## break everything around it, one thing after the other, and write what clients saw to docs/faults.md
	@tools/install-packages build run test
	@$(MAKE) --no-print-directory all
	@sed '/^| ---/q' tests/system/daemon/rule/faults.md.in > docs/faults.md
	@ONESESSION_BUILD=$(abspath $(BUILD)) ONESESSION_FAULT_TABLE=docs/faults.md \
		$(PYTHON) -m pytest -q -p no:cacheprovider tests/system/daemon/rule/test_faults.py
	@sed '1,/^| ---/d' tests/system/daemon/rule/faults.md.in >> docs/faults.md

$(BUILD)/bench/%: tests/bench/%.c tests/bench/program.h tests/bench/prefork.h tests/bench/platform/catalogue.h
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $< $(PACKAGE_LIBS)

SHARED = $(CC) $(ALL_CFLAGS) -fPIC -shared $(LDFLAGS)

$(PLATFORM)/%.so: tests/bench/platform/%.c tests/bench/platform/catalogue.h
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(SHARED) $(PLATFORM_FLAGS) -o $@ $< -ljansson

$(PLATFORM)/catalogue.so: tests/bench/platform/onesession.c daemon/onesession.h
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(SHARED) -fvisibility=hidden -o $@ $<

$(PLATFORM)/catalogue/%: tests/bench/platform/catalogue/%
	@mkdir -p $(@D)
	@cp $< $@

# The headers of others are not held to our warnings.
$(PLATFORM)/mod_catalogue.so: PLATFORM_FLAGS = $(patsubst -I%,-isystem%,$(filter-out -I. -I/usr/include,$(shell apxs -q EXTRA_INCLUDES)))
$(PLATFORM)/kore.so: PLATFORM_FLAGS = $(shell cat /usr/share/kore/features)

# libulfius-dev cannot be installed beside another development package of libcurl than its own: it is unpacked.
$(PLATFORM)/ulfius-dev/usr/include/ulfius.h:
	@mkdir -p $(PLATFORM)/ulfius-dev
	@cd $(PLATFORM)/ulfius-dev && apt-get -o APT::Sandbox::User=root download -qq libulfius-dev && dpkg -x libulfius-dev_*.deb . && touch -c usr/include/*

$(PLATFORM)/ulfius: tests/bench/platform/ulfius.c tests/bench/platform/catalogue.h $(PLATFORM)/ulfius-dev/usr/include/ulfius.h
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_CFLAGS) -isystem$(PLATFORM)/ulfius-dev/usr/include $(ALL_LDFLAGS) -o $@ $< -l:libulfius.so.2.7 -lorcania -ljansson -lpq

race: ## devices, kills and lost connections at two daemons, judged by the rule (SECONDS=60, SEED= of a run before)
	@tools/install-packages build test
	@$(MAKE) --no-print-directory all
	@ONESESSION_BUILD=$(abspath $(BUILD)) ONESESSION_RACE_SECONDS=$(SECONDS) ONESESSION_RACE_SEED=$(SEED) \
		$(PYTHON) -m pytest -q -s -p no:cacheprovider tests/system/daemon/rule/test_race_random.py

$(NPM): tests/package-lock.json tests/package.json
	@echo 'Installing what the tests take from npm'
	@mkdir -p build/npm
	@cp tests/package.json tests/package-lock.json build/npm/
	@cd build/npm && npm ci --no-audit --no-fund --no-progress --loglevel=error > /dev/null
	@touch $@

RUN_TESTS = $(PYTHON) tests/run.py --build $(abspath $(BUILD)) $(if $(JOBS),--jobs $(JOBS))
# Through the environment: it has quotes of its own.
export PYTEST_FLAGS

check: ## the part of the tests that takes under a minute: units
	@tools/install-packages build test
	@$(MAKE) --no-print-directory unit-programs
	@$(RUN_TESTS) units

test: ## install what is missing and run every test (GROUP= of units, daemon, web_servers, browser, packages; JOBS=, PYTEST_FLAGS=)
	@tools/install-packages build test
	@tools/mail-servers build/mail-servers
	@$(MAKE) --no-print-directory all unit-programs $(NPM)
	@$(RUN_TESTS) $(GROUP)

sanitized: ## run every test of a build with the address and undefined behaviour sanitizers
	@$(MAKE) --no-print-directory test SANITIZE=address,undefined

RELEASES ?= bookworm trixie

debian: ## run the README's commands, make deb and other compilers in minimal roots of Debian 12 and 13 (RELEASES=, MIRROR=)
	@tools/install-packages debian
	@set -e; for release in $(RELEASES); do PYTEST_FLAGS="$(PYTEST_FLAGS)" tests/debian/run $$release; done

nightly: ## what CI has no time for: all tests sanitized and counted, long fuzzing, the model, the race, both releases of Debian
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory coverage
	@$(MAKE) --no-print-directory fuzz
	@$(MAKE) --no-print-directory model
	@$(MAKE) --no-print-directory race
	@ONESESSION_NIGHTLY=1 ONESESSION_LARGE_UPLOADS=1 ONESESSION_MAILS=3000 ONESESSION_EVENTS=3000 \
		$(MAKE) --no-print-directory test
	@$(MAKE) --no-print-directory debian

sample: all ## write the sample configuration anew from the table of options
	$(BUILD)/onesessiond --sample > conf/onesession.conf

abi: ## record what the public header promises to modules that were built before (tools/abi says when)
	@tools/install-packages lint
	@tools/abi record

lint: ## warnings as errors under gcc and clang, gcc's analyzer, cppcheck, shellcheck, clang-format, abidiff
	@tools/install-packages build test lint
	@tools/lint

screenshots: all $(NPM) ## take the pictures of the pages in docs/screenshots anew
	@ONESESSION_BUILD=$(abspath $(BUILD)) ONESESSION_SCREENSHOTS=docs/screenshots \
		$(PYTHON) -m pytest -q -p no:cacheprovider tests/system/browser/test_browser.py -k 'pictures and kept'

format: ## lay out the sources with clang-format
	clang-format -i $$(git ls-files '*.c' '*.h')

hooks: ## have git check the layout and run the unit tests before each commit in this checkout
	@git config core.hooksPath tools/hooks
	@echo 'git runs tools/hooks/pre-commit before each commit; git config --unset core.hooksPath ends that'

clean: ## remove what was built
	rm -rf build

# ---- Installing -----------------------------------------------------------------------------------------------------
# `make install` and `make uninstall` want the same DESTDIR, PREFIX and so on.

DESTDIR    ?=
BINDIR     ?= $(PREFIX)/bin
SBINDIR    ?= $(PREFIX)/sbin
INCLUDEDIR ?= $(PREFIX)/include
LIBDIR     ?= $(PREFIX)/lib
DATADIR    ?= $(PREFIX)/share/onesession
DOCDIR     ?= $(PREFIX)/share/doc/onesession
MANDIR     ?= $(PREFIX)/share/man
UNITDIR    ?= $(PREFIX)/lib/systemd/system
SYSUSERS   ?= $(PREFIX)/lib/sysusers.d
TMPFILES   ?= $(PREFIX)/lib/tmpfiles.d
COMPLETION ?= $(PREFIX)/share/bash-completion/completions
# Not below PREFIX: the programs look for /etc/onesession/onesession.conf, and every part of a host is to find the same.
SYSCONFDIR ?= /etc
CONFIG      = $(SYSCONFDIR)/onesession/onesession.conf
# The group that may read it beside root, for it may hold a password; empty, for a package that sets it itself: all users.
CONFIG_GROUP ?= $(if $(DESTDIR),,$(shell getent group onesession | cut -d : -f 1))
EXAMPLES    = $(DOCDIR)/examples
VERSION    := $(shell sed -n 's/^.define ONESESSION_VERSION "\(.*\)"$$/\1/p' daemon/base/version.h)
ABI        := $(shell sed -n 's/^.define ONES_ABI \([0-9]*\)$$/\1/p' daemon/onesession.h)

MAN_SOURCES := $(sort $(wildcard docs/man/*.[0-9]))
MAN_BUILT   := $(BUILD)/man/onesession.conf.5 $(BUILD)/man/onesessionctl.8
MAKE_SECTION3 := awk -f docs/man/mdoc.awk -f docs/man/section3.awk
# Section 3 is made from the public header, and so are the names of its pages.
SECTION3     = $(addprefix $(BUILD)/man/man3/,$(shell $(MAKE_SECTION3) -v list=1 daemon/onesession.h))
MAN3_BUILT  := $(BUILD)/man/man3/.made
COMPLETION_BUILT := $(BUILD)/completion/onesessionctl
UNITS_BUILT := $(BUILD)/systemd/onesession.service $(BUILD)/systemd/onesession.socket
SAMPLES     := $(sort $(wildcard conf/nginx/* conf/apache/* conf/lighttpd/* conf/caddy/* conf/haproxy/* \
                 conf/prometheus/* conf/grafana/*) $(shell find conf/adapters -type f))
# For builders of modules: what is of this folder, and what is of the folders to install in.
FOR_BUILDERS    := $(BUILD)/onesession-try $(addprefix $(BUILD)/pkgconfig/,onesession-uninstalled.pc onesession-test-uninstalled.pc)
BUILDERS_BUILT  := $(BUILD)/installed/onesession-try $(addprefix $(BUILD)/installed/,onesession.pc onesession-test.pc)
TRY_DATA         = $(patsubst tools/try/%,%,$(shell find tools/try -type f ! -name onesession-try.in | sort))
# The sources of the module that make run shows, and not what was built beside them.
EXAMPLE     := $(patsubst examples/cinema/%,%,$(sort $(foreach files,.gitignore Makefile README.md *.c *.h *.py \
                 cinema/*/*,$(wildcard examples/cinema/$(files)))))
# What fills the templates of pages and of the completion from the tables that the programs read.
FROM_OPTIONS  := $(BUILD)/man/options
FROM_COMMANDS := $(BUILD)/man/commands

# Each installed file: MODE SOURCE DESTINATION, one list for install and uninstall.
INSTALLED    = 755,$(BUILD)/onesessiond,$(SBINDIR)/onesessiond \
               755,$(BUILD)/onesessionctl,$(SBINDIR)/onesessionctl \
               $(foreach page,$(MAN_SOURCES) $(MAN_BUILT) $(SECTION3),644,$(page),$(MANDIR)/man$(subst .,,$(suffix $(page)))/$(notdir $(page))) \
               $(foreach unit,$(UNITS_BUILT),644,$(unit),$(UNITDIR)/$(notdir $(unit))) \
               644,systemd/onesession.sysusers.conf,$(SYSUSERS)/onesession.conf \
               644,systemd/onesession.tmpfiles.conf,$(TMPFILES)/onesession.conf \
               644,$(COMPLETION_BUILT),$(COMPLETION)/onesessionctl \
               644,daemon/onesession.h,$(INCLUDEDIR)/onesession.h \
               644,$(KIT_ARCHIVE),$(LIBDIR)/libonesession-test.a \
               $(foreach pc,$(filter %.pc,$(BUILDERS_BUILT)),644,$(pc),$(LIBDIR)/pkgconfig/$(notdir $(pc))) \
               755,$(BUILD)/installed/onesession-try,$(BINDIR)/onesession-try \
               $(foreach file,$(TRY_DATA),644,tools/try/$(file),$(DATADIR)/try/$(file)) \
               644,conf/nginx/onesession.conf,$(DATADIR)/try/onesession.conf \
               644,docs/events.md,$(DOCDIR)/events.md 644,docs/asvs.md,$(DOCDIR)/asvs.md \
               644,docs/accounts.md,$(DOCDIR)/accounts.md \
               644,docs/api.md,$(DOCDIR)/api.md 644,docs/openapi.json,$(DOCDIR)/openapi.json \
               644,docs/own-login.md,$(DOCDIR)/own-login.md 644,docs/own-login.svg,$(DOCDIR)/own-login.svg \
               644,docs/webhooks.md,$(DOCDIR)/webhooks.md 644,docs/payments.md,$(DOCDIR)/payments.md \
               644,docs/account-life.md,$(DOCDIR)/account-life.md \
               644,docs/imports.md,$(DOCDIR)/imports.md \
               $(foreach file,$(sort $(wildcard docs/listeners/*)),644,$(file),$(DOCDIR)/$(patsubst docs/%,%,$(file))) \
               $(foreach file,$(sort $(wildcard schema/*.sql)),644,$(file),$(DATADIR)/$(file)) \
               $(foreach file,$(PAGES) $(TEXTS),644,$(file),$(DATADIR)/$(patsubst handlers/%,%,$(file))) \
               $(foreach file,$(SAMPLES),644,$(file),$(EXAMPLES)/$(patsubst conf/%,%,$(file))) \
               644,conf/onesession.conf,$(EXAMPLES)/onesession.conf \
               $(foreach file,$(EXAMPLE),$(if $(filter %.py,$(file)),755,644),examples/cinema/$(file),$(EXAMPLES)/cinema/$(file)) \
               644,README.md,$(DOCDIR)/README.md 644,NEWS,$(DOCDIR)/NEWS 644,LICENSE,$(DOCDIR)/LICENSE
# Folders of our own alone, the inner ones first.
OWN_FOLDERS  = $(MODULEDIR) $(dir $(MODULEDIR)) $(addprefix $(EXAMPLES)/,$(sort $(patsubst conf/%/,%,$(dir $(SAMPLES))))) \
               $(addprefix $(EXAMPLES)/,cinema/cinema/pages cinema/cinema/migrations cinema/cinema cinema adapters/django/onesession/templates adapters/django/onesession adapters/django adapters/laravel adapters/wordpress adapters) $(EXAMPLES) \
               $(DOCDIR)/listeners \
               $(DOCDIR) \
               $(addprefix $(DATADIR)/try/,$(shell cd tools/try && find template -depth -type d)) $(DATADIR)/try \
               $(DATADIR)/schema $(DATADIR)/pages/texts $(DATADIR)/pages/mail $(DATADIR)/pages $(DATADIR) $(dir $(CONFIG))

all: man $(COMPLETION_BUILT) $(FOR_BUILDERS)

man: $(MAN_BUILT) $(MAN3_BUILT) ## build the man pages

$(FROM_OPTIONS): $(call object,docs/man/options.c $(call ROOM,base))
$(FROM_COMMANDS): $(call object,docs/man/commands.c) $(filter-out %/daemon/ctl/main.o,$(CTL_OBJECTS))
$(FROM_OPTIONS) $(FROM_COMMANDS):
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(CTL_LIBS)

$(BUILD)/man/onesession.conf.5: docs/man/onesession.conf.5.in $(FROM_OPTIONS)
	$(call say,MAN,$@)
	$(Q)$(FROM_OPTIONS) < $< > $@

$(BUILD)/man/onesessionctl.8: docs/man/onesessionctl.8.in $(FROM_COMMANDS)
	$(call say,MAN,$@)
	$(Q)$(FROM_COMMANDS) < $< > $@

$(MAN3_BUILT): daemon/onesession.h docs/man/mdoc.awk docs/man/section3.awk docs/man/onesession.7
	$(call say,MAN,$(@D))
	$(Q)rm -rf $(@D) && mkdir -p $(@D)
	$(Q)$(MAKE_SECTION3) -v folder=$(@D) -v date="$$(sed -n 's/^\.Dd //p' docs/man/onesession.7)" $<
	@touch $@

$(COMPLETION_BUILT): conf/completion/onesessionctl.in $(FROM_COMMANDS)
	@mkdir -p $(@D)
	$(call say,MAKE,$@)
	$(Q)$(FROM_COMMANDS) < $< > $@

# Every time, for PREFIX may be another one.
$(BUILD)/systemd/%: systemd/% force
	@mkdir -p $(@D)
	$(Q)sed -e 's|/usr/local/sbin/|$(SBINDIR)/|g' -e 's|/etc/onesession/|$(SYSCONFDIR)/onesession/|g' $< > $@

# $(call fill,BINDIR,SBINDIR,DATA,GUARD,INCLUDEDIR,LIBDIR): the names between @ signs.
fill = sed -e 's|@BINDIR@|$(1)|g' -e 's|@SBINDIR@|$(2)|g' -e 's|@DATA@|$(3)|g' -e 's|@GUARD@|$(4)|g' \
	-e 's|@INCLUDEDIR@|$(5)|g' -e 's|@LIBDIR@|$(6)|g' -e 's|@MODULEDIR@|$(MODULEDIR)|g' -e 's|@PREFIX@|$(PREFIX)|g' \
	-e 's|@VERSION@|$(VERSION)|g' -e 's|@ABI@|$(ABI)|g' -e 's|@PACKAGES@|$(KIT_PACKAGES)|g' -e 's|@LIBS@|$(LIBS)|g'
fill_installed = $(call fill,$(BINDIR),$(SBINDIR),$(DATADIR)/try,$(DATADIR)/try/onesession.conf,$(INCLUDEDIR),$(LIBDIR))
fill_here = $(call fill,$(abspath $(BUILD)),$(abspath $(BUILD)),$(CURDIR)/tools/try,$(CURDIR)/conf/nginx/onesession.conf,$(CURDIR)/daemon,$(abspath $(BUILD)))

$(BUILD)/installed/%.pc: conf/pkg-config/%.pc.in force
	@mkdir -p $(@D)
	$(Q)$(fill_installed) $< > $@

# pkg-config takes these before others when PKG_CONFIG_PATH has their folder.
$(BUILD)/pkgconfig/%-uninstalled.pc: conf/pkg-config/%.pc.in Makefile
	@mkdir -p $(@D)
	$(Q)$(fill_here) $< > $@

$(BUILD)/installed/onesession-try: tools/try/onesession-try.in force
	@mkdir -p $(@D)
	$(Q)$(fill_installed) $< > $@

$(BUILD)/onesession-try: tools/try/onesession-try.in Makefile
	$(call say,MAKE,$@)
	$(Q)$(fill_here) $< > $@ && chmod 755 $@

# A configuration that is still the sample of the version before becomes that of this one; any other stays.
install: all man $(UNITS_BUILT) $(BUILDERS_BUILT) ## install below PREFIX (/usr/local), and a configuration into /etc (DESTDIR=)
	@set -e; config='$(DESTDIR)$(CONFIG)'; \
	if [ ! -e "$$config" ] || cmp -s "$$config" '$(DESTDIR)$(EXAMPLES)/onesession.conf'; then \
		install -D $(if $(CONFIG_GROUP),-m 640 -g '$(CONFIG_GROUP)',-m 644) conf/onesession.conf "$$config"; \
	else echo "$$config stays as it is; $(EXAMPLES)/onesession.conf is the sample of this version"; fi; \
	if [ -z '$(DESTDIR)' ] && [ -n "$$(find "$$config" -perm -o=r)" ]; then \
		echo "All users may read $$config. Before a password is written to it, as root:"; \
		echo "chgrp onesession $$config && chmod 640 $$config"; fi
	@install -d '$(DESTDIR)$(MODULEDIR)'
	@set -e; for file in $(INSTALLED); do \
		rest=$${file#*,}; \
		install -D -m "$${file%%,*}" "$${rest%%,*}" "$(DESTDIR)$${rest#*,}"; \
	done
	@if [ -z '$(DESTDIR)' ] && [ -d /run/systemd/system ]; then \
		echo 'Then, as root: systemd-sysusers; systemd-tmpfiles --create; systemctl daemon-reload'; fi

# A configuration that was changed stays.
uninstall: ## remove what install has put there
	@config='$(DESTDIR)$(CONFIG)'; \
	if cmp -s "$$config" '$(DESTDIR)$(EXAMPLES)/onesession.conf'; then rm -f "$$config"; \
	elif [ -e "$$config" ]; then echo "$$config stays: it has been changed"; fi
	@set -e; for file in $(INSTALLED); do rm -f "$(DESTDIR)$${file##*,}"; done
	@for folder in $(OWN_FOLDERS); do rmdir "$(DESTDIR)$$folder" 2>/dev/null || true; done

deb: ## build a Debian package, build/onesession_VERSION_ARCH.deb
	@tools/install-packages build package
	@conf/debian/build $(BUILD) $(VERSION)
