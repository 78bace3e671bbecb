#!/usr/bin/env bash
# Runs the fuzz targets with libFuzzer and clang's address and undefined sanitizers.
#
#   test/fuzz/fuzz.sh                    a minute each
#   test/fuzz/fuzz.sh SECONDS            so long each
#   test/fuzz/fuzz.sh SECONDS plan ...   only these
#
# Built in build-fuzz/ (or $WHIMBREL_FUZZ_BUILD). What libFuzzer learns stays in build-fuzz/learned/TARGET and is where the
# next run begins. An input that breaks a promise is put into build-fuzz/found/; once the code is
# right it moves by hand, under a name that says what it is, to test/fuzz/corpus/TARGET, where
# ctest runs it for good. The exit code is 1 when there is such an input. The same target of an
# ordinary asan build shows the lines: build-asan/fuzz_TARGET last build-fuzz/found/NAME
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

seconds=${1:-60}
if [[ ! $seconds =~ ^[0-9]+$ ]]; then
  echo "usage: test/fuzz/fuzz.sh [SECONDS [TARGET...]]" >&2
  exit 2
fi
shift || true
targets=("$@")
((${#targets[@]})) || targets=(plan value record journal canonical backup)

build=${WHIMBREL_FUZZ_BUILD:-build-fuzz}
mkdir -p "$build"
# Warnings are the business of the clang preset.
sanitizers=-fsanitize=fuzzer-no-link,address,undefined
cmake -S . -B "$build" -G Ninja -D WHIMBREL_FUZZ=ON -D CMAKE_CXX_COMPILER=clang++-19 \
  -D CMAKE_CXX_COMPILER_LAUNCHER=ccache -D CMAKE_BUILD_TYPE=None \
  -D CMAKE_CXX_FLAGS="-O1 -g1 -w $sanitizers -fno-sanitize-recover=all -fno-omit-frame-pointer" \
  -D CMAKE_EXE_LINKER_FLAGS=-fuse-ld=mold >"$build/configure.log" ||
  { cat "$build/configure.log"; exit 1; }
cmake --build "$build" --target "${targets[@]/#/fuzz_}"

export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
# The journal's file is synced at each record: memory is as good a place for it.
[[ ! -w /dev/shm ]] || export TMPDIR=${TMPDIR:-/dev/shm}

code=0
for target in "${targets[@]}"; do
  learned=$build/learned/$target
  mkdir -p "$learned" "$build/found"
  [[ $target != plan ]] || cp examples/*/migration.yaml "$learned/"
  options=(-max_total_time="$seconds" -timeout=20 -rss_limit_mb=2500 -print_final_stats=1
    -artifact_prefix="$build/found/$target-" -verbosity=0)
  [[ ! $target =~ ^(plan|value)$ ]] || options+=(-dict=test/fuzz/plan.dict)
  printf '%-10s %s s\n' "$target" "$seconds"
  "$build/fuzz_$target" "${options[@]}" "$learned" "test/fuzz/corpus/$target" \
    2>"$build/$target.log" || { code=1; tail -n 40 "$build/$target.log"; }
  grep -h 'number_of_executed_units\|new_units_added' "$build/$target.log" || true
done
exit "$code"
