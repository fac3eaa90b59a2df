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
PREFIX ?= /usr/local
PORT   ?= 8080
PYTHON ?= /usr/bin/python3
# SANITIZE=address,undefined builds and tests with these sanitizers, in a folder of their own.
SANITIZE ?=
# The groups of tests that `make test` runs, and how many tests beside each other; without these: all, two a processor.
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

PACKAGES      := libpq jansson libsodium libcrypto libcrypt talloc libsystemd libseccomp
WARNINGS      := -Wall -Wextra -Wshadow -Wconversion -Wformat=2 -Wstrict-prototypes -Wmissing-prototypes \
                 -Wvla -Wundef -Wcast-qual
CFLAGS        ?= -O2 -g
ALL_CFLAGS     = -std=c17 -D_GNU_SOURCE -Idaemon -I$(TABLES) $(WARNINGS) $(WERROR) $(HARDENING) $(SANITIZE_FLAGS) \
                 $(PACKAGE_CFLAGS) $(CFLAGS)
ALL_LDFLAGS    = $(HARDENING_LINK) $(SANITIZE_FLAGS) $(LDFLAGS)
# Asked when something is compiled, so that `make deps` and `make run` work before the packages are there; then once.
PACKAGE_CFLAGS = $(eval PACKAGE_CFLAGS := $(shell pkg-config --cflags $(PACKAGES)))$(PACKAGE_CFLAGS)
PACKAGE_LIBS   = $(eval PACKAGE_LIBS := $(shell pkg-config --libs $(PACKAGES)) -linih -lunistring -lfcgi)$(PACKAGE_LIBS)

ROOM      = $(sort $(wildcard daemon/$(1)/*.c))
LOWER    := $(call ROOM,base) $(call ROOM,session)
DAEMON   := daemon/main.c $(LOWER) $(call ROOM,http) $(call ROOM,api) $(call ROOM,modules) $(call ROOM,pool) \
            $(sort $(wildcard handlers/*.c))
CTL      := $(LOWER) $(call ROOM,ctl)
UNITS    := $(sort $(wildcard tests/unit/test_*.c))
# Tables that are made from what is in a folder; .c files include them.
TABLES   := $(BUILD)/tables
object    = $(patsubst %.c,$(BUILD)/objects/%.o,$(1))

DAEMON_OBJECTS := $(call object,$(DAEMON))
CTL_OBJECTS    := $(call object,$(CTL))
# What unit tests link against: everything but the programs' own main files.
TESTED_OBJECTS := $(filter-out %/daemon/main.o,$(DAEMON_OBJECTS))
TESTED_ARCHIVE := $(BUILD)/objects/tested.a
UNIT_PROGRAMS  := $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(UNITS))
# A module with the routes and receivers of an application.
APPLICATION := $(BUILD)/tests/application.so

# What fuzzing calls with one input after another. With replay.c they are tests, of the inputs that are kept.
FUZZ_TARGETS  := $(patsubst tests/fuzz/fuzz_%.c,%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
FUZZ_PROGRAMS := $(addprefix $(BUILD)/tests/fuzz/,$(FUZZ_TARGETS))
FUZZ_OBJECTS  := $(call object,tests/fuzz/fuzz.c tests/fuzz/wire.c)
FUZZ_DRIVER   := $(if $(filter 1,$(FUZZER)),-fsanitize=fuzzer,$(call object,tests/fuzz/replay.c))
SECONDS       ?= 60
RUNS          ?=

# What the tests of the pages take from npm, in one place for every build.
NPM := build/npm/node_modules/.package-lock.json

.PHONY: all objects deps run check test nightly debian unit-programs sanitized fuzz fuzz-programs coverage bench compare race soak model faults \
        lint format hooks clean help sample screenshots man install uninstall deb force
.DELETE_ON_ERROR:

all: $(BUILD)/onesessiond $(BUILD)/onesessionctl ## build both programs (the default)

help: ## list the targets
	@sed -n 's/^\([a-z][a-z-]*\):.*## /  make \1	/p' Makefile | expand -t 20

# What everything is compiled and linked with: when that is another, all of it is made anew.
FLAGS_FILE := $(BUILD)/objects/flags
$(FLAGS_FILE): force
	@mkdir -p $(@D)
	@printf '%s\n' '$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) $(PACKAGE_LIBS)' | cmp -s - $@ || \
		printf '%s\n' '$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) $(PACKAGE_LIBS)' > $@

# Modules find the functions of onesession.h in the program that loads them.
EXPORTS := daemon/onesession.symbols

# A program that runs, or is about to, stays whole while another PREFIX has it linked anew.
$(BUILD)/onesessiond: $(DAEMON_OBJECTS) $(EXPORTS)
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -Wl,--dynamic-list=$(EXPORTS) -o $@.new $(DAEMON_OBJECTS) $(PACKAGE_LIBS)
	$(Q)mv $@.new $@

$(BUILD)/onesessionctl: $(CTL_OBJECTS)
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@.new $^ $(PACKAGE_LIBS)
	$(Q)mv $@.new $@

$(BUILD)/objects/%.o: %.c $(FLAGS_FILE)
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(TESTED_ARCHIVE): $(TESTED_OBJECTS)
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) cr $@ $^

$(BUILD)/tests/%: tests/unit/%.c $(TESTED_ARCHIVE)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -MMD -MP -MF $@.d -o $@ $< $(TESTED_ARCHIVE) $(PACKAGE_LIBS) -lcmocka

$(FUZZ_PROGRAMS): $(BUILD)/tests/fuzz/%: $(BUILD)/objects/tests/fuzz/fuzz_%.o $(FUZZ_OBJECTS) \
                  $(filter %.o,$(FUZZ_DRIVER)) $(TESTED_ARCHIVE)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(filter -%,$(FUZZ_DRIVER)) $(PACKAGE_LIBS)

$(APPLICATION): $(sort $(wildcard tests/application/*.c)) $(wildcard tests/application/*.h) daemon/onesession.h \
                $(FLAGS_FILE)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_CFLAGS) -fPIC -fvisibility=hidden -shared $(SANITIZE_FLAGS) $(LDFLAGS) -o $@ $(filter %.c,$^)

# The assembler includes these; the compiler's dependency files do not know of them.
$(BUILD)/objects/daemon/session/migrations.o: $(wildcard schema/*.sql) $(TABLES)/migrations.inc
$(BUILD)/objects/daemon/http/page.o: $(wildcard handlers/pages/*) $(TABLES)/pages.inc

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

$(BUILD)/objects/daemon/modules/file.o $(BUILD)/objects/daemon/ctl/modules.o: $(TABLES)/folders.h

# Where modules are looked for; made anew when that is another folder.
MODULEDIR ?= $(PREFIX)/lib/onesession/modules
$(TABLES)/folders.h: force
	@mkdir -p $(@D)
	@printf '#define MODULES_FOLDER "%s"\n' '$(MODULEDIR)' > $@.new
	@$(replace_table)

# The built-in pages.
$(TABLES)/pages.inc: force
	@mkdir -p $(@D)
	@for page in $(notdir $(sort $(wildcard handlers/pages/*))); do \
		printf 'PAGE(%s, "%s")\n' "$$(echo "$$page" | tr .- __)" "$$page"; done > $@.new
	@$(replace_table)

-include $(shell find $(BUILD)/objects $(BUILD)/tests -name '*.d' 2>/dev/null)

deps: ## install what building needs
	@tools/install-packages build

run: ## install what is missing and show the demo site (PORT=8080)
	@tools/install-packages build run
	@$(MAKE) --no-print-directory all
	@exec env PORT=$(PORT) BUILD=$(BUILD) tools/demo/run

unit-programs: $(UNIT_PROGRAMS) $(APPLICATION) $(FUZZ_PROGRAMS)

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
# Those that were given; bench.py has defaults of its own.
GIVEN = $(foreach knob,SECONDS WARM_UP ROUNDS CONNECTIONS THREADS WORKERS SESSIONS STALE LARGE EXPIRED BASE,\
        $(if $(filter command% environment%,$(origin $(knob))),\
             --$(subst _,-,$(shell echo $(knob) | tr A-Z a-z)) $($(knob))))

bench: ## measure onesession beside others that do the same job, and write docs/benchmarks.md (PARTS=, SECONDS=, BASE=another checkout)
	@tools/install-packages build bench
	@$(MAKE) --no-print-directory all $(BENCH_PROGRAMS)
	@ONESESSION_BUILD=$(abspath $(BUILD)) $(PYTHON) tests/bench/bench.py --parts "$(PARTS)" $(GIVEN)

compare: ## onesession beside LemonLDAP::NG, Express and Django: speed, memory, displaced browsers, races (PARTS=, STALE=)
	@tools/install-packages build bench
	@$(MAKE) --no-print-directory all $(BENCH_PROGRAMS)
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

$(BUILD)/bench/%: tests/bench/%.c tests/bench/program.h
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $< $(PACKAGE_LIBS)

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
	@$(MAKE) --no-print-directory test
	@$(MAKE) --no-print-directory debian

sample: all ## write the sample configuration anew from the table of options
	$(BUILD)/onesessiond --sample > conf/onesession.conf

lint: ## warnings as errors under gcc and clang, gcc's analyzer, cppcheck, shellcheck, clang-format
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
SBINDIR    ?= $(PREFIX)/sbin
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

MAN_SOURCES := $(sort $(wildcard docs/man/*.[0-9]))
MAN_BUILT   := $(BUILD)/man/onesession.conf.5 $(BUILD)/man/onesessionctl.8
COMPLETION_BUILT := $(BUILD)/completion/onesessionctl
UNITS_BUILT := $(BUILD)/systemd/onesession.service $(BUILD)/systemd/onesession.socket
SAMPLES     := $(sort $(wildcard conf/nginx/* conf/apache/* conf/lighttpd/* conf/caddy/* conf/haproxy/* \
                 conf/prometheus/* conf/grafana/*))
# What fills the templates of pages and of the completion from the tables that the programs read.
FROM_OPTIONS  := $(BUILD)/man/options
FROM_COMMANDS := $(BUILD)/man/commands

# Each installed file: MODE SOURCE DESTINATION, one list for install and uninstall.
INSTALLED    = 755,$(BUILD)/onesessiond,$(SBINDIR)/onesessiond \
               755,$(BUILD)/onesessionctl,$(SBINDIR)/onesessionctl \
               $(foreach page,$(MAN_SOURCES) $(MAN_BUILT),644,$(page),$(MANDIR)/man$(subst .,,$(suffix $(page)))/$(notdir $(page))) \
               $(foreach unit,$(UNITS_BUILT),644,$(unit),$(UNITDIR)/$(notdir $(unit))) \
               644,systemd/onesession.sysusers.conf,$(SYSUSERS)/onesession.conf \
               644,systemd/onesession.tmpfiles.conf,$(TMPFILES)/onesession.conf \
               644,$(COMPLETION_BUILT),$(COMPLETION)/onesessionctl \
               644,docs/events.md,$(DOCDIR)/events.md 644,docs/asvs.md,$(DOCDIR)/asvs.md \
               $(foreach file,$(sort $(wildcard docs/listeners/*)),644,$(file),$(DOCDIR)/$(patsubst docs/%,%,$(file))) \
               $(foreach file,$(sort $(wildcard schema/*.sql)),644,$(file),$(DATADIR)/$(file)) \
               $(foreach file,$(sort $(wildcard handlers/pages/*)),644,$(file),$(DATADIR)/pages/$(notdir $(file))) \
               $(foreach file,$(SAMPLES),644,$(file),$(EXAMPLES)/$(patsubst conf/%,%,$(file))) \
               644,conf/onesession.conf,$(EXAMPLES)/onesession.conf \
               644,README.md,$(DOCDIR)/README.md 644,NEWS,$(DOCDIR)/NEWS 644,LICENSE,$(DOCDIR)/LICENSE
# Folders of our own alone, the inner ones first.
OWN_FOLDERS  = $(MODULEDIR) $(dir $(MODULEDIR)) $(addprefix $(EXAMPLES)/,$(sort $(patsubst conf/%/,%,$(dir $(SAMPLES))))) $(EXAMPLES) $(DOCDIR)/listeners \
               $(DOCDIR) \
               $(DATADIR)/schema $(DATADIR)/pages $(DATADIR) $(dir $(CONFIG))

all: $(MAN_BUILT) $(COMPLETION_BUILT)

man: $(MAN_BUILT) ## build the man pages

$(FROM_OPTIONS): $(call object,docs/man/options.c $(call ROOM,base))
$(FROM_COMMANDS): $(call object,docs/man/commands.c) $(filter-out %/daemon/ctl/main.o,$(CTL_OBJECTS))
$(FROM_OPTIONS) $(FROM_COMMANDS):
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(PACKAGE_LIBS)

$(BUILD)/man/onesession.conf.5: docs/man/onesession.conf.5.in $(FROM_OPTIONS)
	$(call say,MAN,$@)
	$(Q)$(FROM_OPTIONS) < $< > $@

$(BUILD)/man/onesessionctl.8: docs/man/onesessionctl.8.in $(FROM_COMMANDS)
	$(call say,MAN,$@)
	$(Q)$(FROM_COMMANDS) < $< > $@

$(COMPLETION_BUILT): conf/completion/onesessionctl.in $(FROM_COMMANDS)
	@mkdir -p $(@D)
	$(call say,MAKE,$@)
	$(Q)$(FROM_COMMANDS) < $< > $@

# Every time, for PREFIX may be another one.
$(BUILD)/systemd/%: systemd/% force
	@mkdir -p $(@D)
	$(Q)sed -e 's|/usr/local/sbin/|$(SBINDIR)/|g' -e 's|/etc/onesession/|$(SYSCONFDIR)/onesession/|g' $< > $@

# A configuration that is still the sample of the version before becomes that of this one; any other stays.
install: all man $(UNITS_BUILT) ## install below PREFIX (/usr/local), and a configuration into /etc (DESTDIR=)
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
