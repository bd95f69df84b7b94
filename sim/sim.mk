# The simulator. Included by the Makefile: `make sim` runs what `make test` runs of it, `make
# sim-soak` goes on until a seed fails, `make sim-mutants` proves that it finds bugs.
SIM_SOURCES := $(wildcard sim/*.c)
SIM_OBJECTS = $(addprefix $(B)/,$(SIM_SOURCES:.c=.o))
SIM_WRAPPED = malloc calloc realloc free mmap munmap die
SIM = build/release/sim/sim
comma := ,
$(SIM_OBJECTS): LANGUAGE += -I.
$(B)/sim/sim: $(SIM_OBJECTS) $(B)/libregistry.a $(B)/libkeepsake.a
	@echo "make $@"
	$(Q)$(CC) $(LDFLAGS) $(addprefix -Wl$(comma)--wrap=,$(SIM_WRAPPED)) $^ $(LIBS) -o $@

sim: $(B)/sim/sim
	$(if $(wildcard sim/tapes/*.tape),$(B)/sim/sim --tape $(sort $(wildcard sim/tapes/*.tape)))
	$(B)/sim/sim --twins --seeds 60
	$(B)/sim/sim --seeds 200 --probes
sim-soak: $(B)/sim/sim
	$(B)/sim/sim --first --once --seeds 1000000000 --seed $$(date +%s)
sim-mutants:
	@sim/mutants.sh
.PHONY: sim sim-soak sim-mutants
