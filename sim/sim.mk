# The simulator: `make sim`, and build/release/sim --seed N --hours H. Included by the Makefile.
SIM_SOURCES := $(wildcard sim/*.c)
SIM_OBJECTS = $(addprefix $(B)/,$(SIM_SOURCES:.c=.o))
SIM_WRAPPED = malloc calloc realloc free mmap munmap die
$(SIM_OBJECTS): LANGUAGE += -I.
$(B)/sim/sim: $(SIM_OBJECTS) $(B)/libregistry.a $(B)/libkeepsake.a
	@echo "make $@"
	$(Q)$(CC) $(LDFLAGS) $(addprefix -Wl$(comma)--wrap=,$(SIM_WRAPPED)) $^ $(LIBS) -o $@
comma := ,
