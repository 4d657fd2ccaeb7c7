#!/usr/bin/env bash
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/docker/lib.sh"
source "$ROOT/docker/venv.sh"

usage() {
  cat <<'EOF'
Usage: ./test.sh [ALGORITHM ...]
Runs the images of all algorithms, or of those named, on a synthetic case as Grand Challenge does, checks the masks
as it does and prints a table. The exit status is 0 where every mask is there and right; a mask of the demo's model
must also reach a Dice of 0.5 against the truth. Run ./build.sh first. build/test/ALGORITHM keeps masks, logs and what
was on stderr, warnings.txt.
Where no Docker engine answers, the algorithms run as plain processes from .venv, on input and model that must stay
unchanged, and the table says so.
EOF
}

DEMO=$ROOT/build/demo
LEAST_DICE=0.5

row() {
  printf '%-22s %-10s %9s %9s %6s  %s\n' "$@"
}

make_case() {
  local made_from
  made_from=$(fingerprint "$ROOT/common/demo/phantom")
  [[ $(cat "$DEMO/made_from" 2>/dev/null) == "$made_from" ]] && return
  say "Making the demo case in build/demo"
  rm -rf "$DEMO"
  mkdir -p "$DEMO"
  petct_tools --write "$DEMO" -- phantom --output "$DEMO"
  echo "$made_from" >"$DEMO/made_from"
}

# The first group of the last line of a log that fits: logged LOG EXPRESSION
logged() {
  sed --quiet --regexp-extended "s|.*$2.*|\1|p" "$1" | tail -n 1
}

evaluate() {
  local folder=$1 masks=("$1"/output/images/*/)
  petct_tools --read "$DEMO/truth" --read "${masks[0]%/}" \
    -- evaluate --truth "$DEMO/truth" --prediction "${masks[0]%/}" >>"$folder/log.txt" 2>>"$folder/warnings.txt"
}

run_algorithm() {
  local name=$1 output=$2
  if [[ -n $DOCKER ]]; then
    "$ROOT/docker/as_platform.sh" "$(image_of "$name")" "$DEMO/input" "$(model_of "$name")" "$output"
  else
    run_as_process "$name" "$output"
  fi
}

# Runs in a shell of its own. Taking away the right to write stops no one who is root: the content is compared, too.
run_as_process() (
  name=$1 output=$2 status=0
  model=$(model_of "$name")
  before=$(fingerprint "$DEMO/input" "$model")
  trap 'chmod -R u+w "$DEMO/input"' EXIT
  chmod -R a-w "$DEMO/input"
  petct_tools -- run "$name" --input "$DEMO/input" --model "$model" --output "$output" || status=$?
  [[ $(fingerprint "$DEMO/input" "$model") == "$before" ]] || fail "The run of $name changed its input or its model."
  exit "$status"
)

# Runs, checks and measures; prints what is wrong, or "passed".
verdict() {
  local name=$1 folder=$2 status=0
  run_algorithm "$name" "$folder/output" >"$folder/log.txt" 2>"$folder/warnings.txt" || status=$?
  if [[ $status -ne 0 ]]; then
    echo "failed with exit code $status: $(tail -n 1 "$folder/warnings.txt")"
  elif ! petct_tools --read "$DEMO/input" --read "$folder/output" \
    -- check "$name" --input "$DEMO/input" --output "$folder/output" \
    >>"$folder/log.txt" 2>>"$folder/warnings.txt" || ! evaluate "$folder"; then
    echo "refused: $(tail -n 1 "$folder/warnings.txt")"
  elif is_demo "$name" && ! awk -v dice="$(dice "$folder")" -v least="$LEAST_DICE" 'BEGIN {exit !(dice + 0 >= least)}'; then
    echo "Dice is below $LEAST_DICE"
  else
    echo passed
  fi
}

dice() {
  logged "$1/log.txt" 'Dice ([0-9.]+) \(mean\)'
}

test_algorithm() {
  local name=$1 folder=$ROOT/build/test/$1 result
  rm -rf "$folder"
  mkdir -p "$folder/output"
  say "Running $(if [[ -n $DOCKER ]]; then image_of "$name"; else echo "$name"; fi)"
  result=$(verdict "$name" "$folder")
  TABLE+=$(row "$name" "$(logged "$folder/log.txt" 'engine: ([^,]+)')" \
    "$(logged "$folder/log.txt" 'done: ([0-9.]+) s')" "$(logged "$folder/log.txt" 'peak memory ([0-9]+) MiB')" \
    "$(dice "$folder")" "$result")$'\n'
  [[ $result == passed ]]
}

main() {
  local name status=0
  [[ ${1:-} == --help ]] && usage && return
  choose_algorithms "$@"
  find_docker "the algorithms run as plain processes, not in containers."
  for name in "${ALGORITHMS[@]}"; do
    need_built "$name"
  done
  if [[ -n $DOCKER ]]; then
    need_own_image tools "$TOOLS_IMAGE" "./build.sh ${ALGORITHMS[*]}"
  else
    provide_venv docker/runtime docker/tools
  fi
  make_case
  TABLE=
  for name in "${ALGORITHMS[@]}"; do
    test_algorithm "$name" || status=1
  done
  row algorithm engine seconds 'peak MiB' Dice verdict
  printf '%s' "$TABLE"
  [[ -n $DOCKER ]] || echo "not in a container"
  return "$status"
}

main "$@"
