# The simulator. Included by the Makefile: `make sim` runs what `make test` runs of it, `make
# sim-soak` goes on until a seed fails, `make sim-mutants` proves that it finds bugs.
SIM_SOURCES := $(wildcard sim/*.c)
SIM_OBJECTS = $(SIM_SOURCES:sim/%.c=$(B)/sim-objects/%.o)
SIM_WRAPPED = malloc calloc realloc free mmap munmap die _exit __assert_fail
SIM = build/release/sim
SIM_RUNS = "$(SIM) --seeds 200 --probes" "$(SIM) --twins --seeds 60" "$(SIM) --tapes sim/tapes"
comma := ,
$(B)/sim-objects/%.o: sim/%.c Makefile sim/sim.mk
	@echo "make $@"; mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) -I. -c $< -o $@
$(B)/sim: $(SIM_OBJECTS) $(B)/libregistry.a $(B)/libkeepsake.a
	@echo "make $@"; rm -rf $@
	$(Q)$(CC) $(LDFLAGS) $(addprefix -Wl$(comma)--wrap=,$(SIM_WRAPPED)) $^ $(LIBS) -o $@

sim: $(B)/sim
	@tools/run-tests $(SIM_RUNS)
sim-soak: $(B)/sim
	$(B)/sim --first --once --seeds 1000000000 --seed $$(date +%s)
sim-mutants:
	@sim/mutants.sh
.PHONY: sim sim-soak sim-mutants
