# Keepsake. `make run` starts the gift registry, `make test` runs every test, `make lint` checks the
# rest; each installs what is missing first. V=debug|release|asan|tsan picks the build, CC=gcc|clang
# the compiler, Q= shows the commands. See docs/HACKING.md.
V ?= release
CC = gcc
Q = @
B = build/$(if $(filter clang%,$(CC)),clang-)$(V)
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += -j$(shell nproc) --no-print-directory
endif

# -fcf-protection stays out: coroutines change stacks in assembly, without its markers.
HARDENED = -D_FORTIFY_SOURCE=3 -fstack-protector-strong -fstack-clash-protection
CFLAGS_debug = -O0 -g3
CFLAGS_release = -O3 -g $(HARDENED)
CFLAGS_asan = -O1 -g3 -fsanitize=address,undefined -fno-sanitize-recover=all -DKS_ASAN
CFLAGS_tsan = -O1 -g3 -fsanitize=thread
CFLAGS_analyze = -O0 -fanalyzer
CFLAGS_coverage = -O0 -g --coverage
WARNINGS = -Wall -Wextra -Werror -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes \
	-Wswitch-enum -Wvla -Wwrite-strings -Wformat=2
LANGUAGE = -std=c17 -D_GNU_SOURCE -Iinclude -Isrc
CFLAGS = $(LANGUAGE) $(WARNINGS) $(CFLAGS_$(V)) -MMD -MP -fPIE -pthread -fno-strict-aliasing \
	-fno-omit-frame-pointer
LDFLAGS = $(CFLAGS_$(V)) -pie -pthread -Wl,-z,relro,-z,now,-z,noexecstack -Wl,--as-needed
LIBS = -luv -lsqlite3 -ljansson -lcrypto

# What has a main() is a program; the rest of its folder is an archive that gives what is asked for.
SOURCES := $(wildcard src/*.c src/*/*.c src/*/*.S apps/*/*.c tests/*.c bench/*.c fuzz/*.c)
MAINS := $(shell grep -l '^int main\b' $(filter apps/% tests/% bench/%,$(SOURCES)))
objects = $(addprefix $(B)/,$(addsuffix .o,$(basename $(1))))
SHIM = tests/fault_shim.c
members = $(call objects,$(filter-out $(MAINS) $(SHIM),$(filter $(1)/%,$(SOURCES))))
TESTS := $(patsubst tests/%.c,$(B)/%,$(filter tests/%,$(MAINS)))
BENCHES := $(patsubst %.c,$(B)/%,$(filter bench/%,$(MAINS)))

all: $(B)/registry $(B)/examples
include sim/sim.mk
tests: all $(TESTS) $(B)/fault_shim.so $(B)/guide/checked
benches: all $(BENCHES)
objects: $(call objects,$(SOURCES)) $(SIM_OBJECTS)
analyzed: $(call objects,$(filter src/% apps/%,$(SOURCES)))
tidy: $(patsubst %.c,$(B)/%.tidy,$(filter src/%.c apps/%.c,$(SOURCES)))
sources:
	@echo $(SOURCES) $(SIM_SOURCES)

$(B)/libkeepsake.a: $(call members,src)
$(B)/libregistry.a: $(call members,apps/registry) $(B)/web/registry.o
$(B)/libexamples.a: $(call members,apps/examples)
$(B)/libtests.a: $(call members,tests)
$(B)/libbench.a: $(call members,bench)
$(B)/registry: $(B)/apps/registry/main.o $(B)/libregistry.a $(B)/libkeepsake.a
$(B)/examples: $(B)/apps/examples/main.o $(B)/libexamples.a $(B)/libkeepsake.a
$(TESTS): $(B)/%: $(B)/tests/%.o $(B)/libtests.a $(B)/libregistry.a \
	$(B)/libexamples.a $(B)/libkeepsake.a
$(TESTS): LIBS += -lcmocka -lhttp_parser
$(BENCHES): %: %.o $(B)/libbench.a $(B)/libtests.a $(B)/libregistry.a $(B)/libkeepsake.a
$(BENCHES): LIBS += -lm
$(B)/bench/bench_app: LDFLAGS += -Wl,--wrap=env_posix
$(B)/test_store_io: LDFLAGS += -Wl,--wrap=die
ifeq ($(V),coverage)
# A process that dies has counted what it did.
$(TESTS): LDFLAGS += -Wl,--wrap=_exit
$(TESTS): $(B)/tools/gcov_exit.o
endif
test-programs: $(B)/registry $(TESTS)

$(B)/%.o: %.c Makefile
	@echo "make $@"; mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) -c $< -o $@
# The page, embedded.
$(B)/web/%.c: web/% tools/embed $(wildcard web/*/*)
	@echo "make $@"; mkdir -p $(@D)
	$(Q)tools/embed $*_pages web/$* >$@
$(B)/web/%.o: $(B)/web/%.c Makefile
	$(Q)$(CC) $(CFLAGS) -c $< -o $@
$(B)/%.o: %.S Makefile
	@echo "make $@"; mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) -c $< -o $@
$(B)/%.a:
	@echo "make $@"; rm -f $@
	$(Q)ar rcs $@ $^
$(B)/registry $(B)/examples $(TESTS) $(BENCHES):
	@echo "make $@"
	$(Q)$(CC) $(LDFLAGS) $^ $(LIBS) -o $@
# Preloaded into the programs under test, whatever those are built as.
$(B)/fault_shim.so: $(SHIM) tests/fault_page.h
	@echo "make $@"
	$(Q)$(CC) $(LANGUAGE) $(WARNINGS) -O2 -g -fPIC -shared $< -o $@
# The C of the guide is compiled, and its tests are run.
$(B)/guide/checked: docs/GUIDE.md tools/guide-check include/keepsake.h include/keepsake_test.h \
		$(B)/libkeepsake.a
	@echo "make $@"; mkdir -p $(@D)
	$(Q)tools/guide-check $(@D) $< $(B)/libkeepsake.a -- $(CC) $(filter-out -MMD -MP,$(CFLAGS)) $(LDFLAGS) -- $(LIBS)
	@touch $@
$(B)/%.tidy: %.c $(B)/%.o .clang-tidy
	@echo "make $@"
	$(Q)clang-tidy-14 --quiet $< -- $(LANGUAGE)
	@touch $@

run:
	@tools/packages build
	@$(MAKE) V=release all
	@exec build/release/registry start
# The slowest first, so that none of them is left for the end alone.
SLOW = %/test_store_faults %/test_instance %/test_journal %/test_store %/test_store_io
test_programs = $(patsubst tests/%.c,build/$(1)/%,$(filter tests/test_%,$(MAINS)))
RUNS = $(call test_programs,asan) $(call test_programs,release)
test:
	@tools/packages build test
	@$(MAKE) V=release tests fuzzers $(SIM) build/release/bench/instructions \
		build/release/bench/bench_app
	@$(MAKE) V=asan tests fuzzers
	@tools/run-tests $(filter $(SLOW),$(RUNS)) build/release/faults build/release/hostile \
		"build/release/crash_loop --rounds 30" "build/asan/faults --every 4" build/asan/hostile \
		tests/browser/run $(SIM_RUNS) build/release/bench/instructions \
		$(filter-out $(SLOW),$(RUNS)) $(call replays,release) $(call replays,asan)
coverage:
	@tools/packages build test
	@$(MAKE) V=coverage test-programs fuzzers
	@find build/coverage -name '*.gcda' -delete
	@TEST_LIMIT_S=1200 tools/run-tests $(filter $(SLOW),$(call test_programs,coverage)) \
		$(filter-out $(SLOW),$(call test_programs,coverage)) $(call replays,coverage)
	@tools/coverage
# For TIME seconds: the simulator, the crash loop, the fuzz targets.
soak:
	@tools/packages build test fuzz
	@$(MAKE) V=release $(SIM) build/release/crash_loop build/release/registry \
		build/release/fuzz/seeds
	@$(MAKE) V=fuzz CC=clang-14 fuzzers
	@tools/soak $(TIME) $(TARGETS)
bench:
	@tools/packages build test
	@$(MAKE) V=release benches
	@exec build/release/bench/bench $(ARGS)
lint:
	@tools/packages build test lint
	+@tools/lint
format:
	clang-format-14 -i $(filter-out include/keepsake.h,$(wildcard $(addsuffix /*.[ch],include src \
		src/* apps/* tests bench sim fuzz)))
packages:
	@tools/packages build test lint
clean:
	rm -rf build

include fuzz/fuzz.mk
-include $(wildcard $(B)/*.d $(B)/*/*.d $(B)/*/*/*.d)
.SECONDARY:
.DELETE_ON_ERROR:
.PHONY: all tests test-programs benches objects analyzed tidy sources run test coverage soak bench lint format packages clean
