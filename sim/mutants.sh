#!/bin/bash
# make sim-mutants: builds each of the bugs in sim/mutants.txt into a copy of the tree, one at a time,
# and runs tapes and seeds until it is caught. Writes the table build/mutants/table.md; fails when one
# was not caught. With names, only those. SECONDS_EACH of CPU.
set -u
root=$(cd "$(dirname "$0")/.." && pwd)
tree=$root/build/mutants/tree
table=$root/build/mutants/table.md
seconds=${SECONDS_EACH:-60}
only=" $* "
mkdir -p "$tree/build"
cp -r "$root"/{src,sim,apps,include,web,tools,fuzz,Makefile} "$tree"
build() { make -C "$tree" V=release build/release/sim >"$root/build/mutants/log" 2>&1; }
simulate() { (ulimit -t "$seconds"; cd "$tree" && exec build/release/sim --once --shrink 0 "$@" 2>&1); }
build || { cat "$root/build/mutants/log"; exit 1; }
missed=0
{ echo "| Mutant | What is wrong | Caught by seed | CPU s | How |"; echo "|---|---|---|---|---|"; } >"$table"
while IFS='|' read -r name file why; do
    [ $# -gt 0 ] && [[ $only != *" $name "* ]] && continue
    if ! perl "$root/sim/mutate.pl" "$root/sim/mutants.txt" "$name" <"$root/$file" >"$tree/$file"; then
        echo "$name: its text is not in $file exactly once"; missed=$((missed + 1))
    elif ! build; then
        echo "$name: does not build"; head -5 "$root/build/mutants/log"; missed=$((missed + 1))
    else
        out=$(simulate --tapes sim/tapes)
        seed=$(sed -n 's,.*it was the tape .*/\(.*\)\.tape,tape \1,p' <<<"$out" | head -1)
        if [ -z "$seed" ]; then
            out=$(simulate --seeds 1000000 --first)
            seed=$(grep -o '^seed [0-9]*' <<<"$out" | head -1 | cut -c6-)
        fi
        how=$(grep '^seed' <<<"$out" | head -1 | cut -d: -f2- | tr '|' '/' | cut -c2-110)
        cpu=$(grep -o 'in [0-9.]* s of CPU' <<<"$out" | cut -d' ' -f2)
        [ -n "$seed" ] || { seed=none; how="SURVIVED $seconds s"; missed=$((missed + 1)); }
        echo "$name: seed ${seed:-?} in ${cpu:-?} s: $how"
        echo "| $name | $why | $seed | $cpu | $how |" >>"$table"
    fi
    cp "$root/$file" "$tree/$file"
done < <(sed -n 's/^== *\([^|]*[^| ]\) *| *\([^|]*[^| ]\) *| */\1|\2|/p' "$root/sim/mutants.txt")
[ $missed = 0 ] && echo "every mutant was caught" || echo "$missed mutants were not caught"
[ $missed = 0 ]
