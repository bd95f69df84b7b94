# The fuzz targets. Included by the Makefile: `make test` replays what is kept in fuzz/corpus, `make
# fuzz` looks for more, each target for TIME seconds, and `make fuzz-keep` keeps what of it reaches
# code that nothing in the corpus does. TARGETS="json http" takes only these.
FUZZ_TARGETS := $(patsubst fuzz/fuzz_%.c,%,$(wildcard fuzz/fuzz_*.c))
FUZZERS = $(addprefix $(B)/fuzz/,$(FUZZ_TARGETS))
FUZZ_SHARED := $(filter-out fuzz/fuzz_% fuzz/seeds.c fuzz/replay.c,$(wildcard fuzz/*.c))
TARGETS ?= $(FUZZ_TARGETS)
TIME ?= 60
# Not pointer-overflow: it objects to nothing added to a null pointer, which an empty buffer does.
CFLAGS_fuzz = -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize=pointer-overflow \
	-fno-sanitize-recover=all -DKS_ASAN
replays = $(foreach target,$(FUZZ_TARGETS),"build/$(1)/fuzz/$(target) fuzz/corpus/$(target)")

$(B)/fuzz/%.o: LANGUAGE += -Itests
$(B)/libfuzz.a: $(call objects,$(FUZZ_SHARED)) $(if $(filter fuzz,$(V)),,$(B)/fuzz/replay.o)
$(FUZZERS) $(B)/fuzz/seeds: $(B)/fuzz/%: $(B)/libfuzz.a $(B)/libtests.a $(B)/libexamples.a \
	$(B)/libkeepsake.a
$(FUZZERS): $(B)/fuzz/%: $(B)/fuzz/fuzz_%.o
$(B)/fuzz/seeds: $(B)/fuzz/seeds.o
$(FUZZERS) $(B)/fuzz/seeds:
	@echo "make $@"
	$(Q)$(CC) $(LDFLAGS) $(if $(filter fuzz,$(V)),-fsanitize=fuzzer) -Wl,--wrap=die \
		$(filter %.o,$^) $(filter %.a,$^) $(LIBS) -lcmocka -lhttp_parser -o $@

fuzzers: $(FUZZERS)
fuzz:
	@tools/packages build test fuzz
	@$(MAKE) V=release build/release/fuzz/seeds
	@$(MAKE) V=fuzz CC=clang-14 fuzzers
	@fuzz/run $(TIME) $(TARGETS)
fuzz-keep:
	@fuzz/keep $(TARGETS)
.PHONY: fuzzers fuzz fuzz-keep
