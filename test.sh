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
unchanged, and the table says so. Containers are given the machine's NVIDIA GPUs where Docker can do so; the table says
which engine each run took, and whether a GPU was there.
EOF
}

MIN_DICE=0.5

row() {
  printf '%-22s %-10s %9s %9s %6s  %s\n' "$@"
}

# Whether a model has sockets of its own instead of the algorithm's.
has_own_interface() {
  grep --quiet '^ "interface": {' "$(model_of "$1")/model.json"
}

# Where the case of an algorithm lies; all share one but those with sockets of their own.
case_of() {
  if has_own_interface "$1"; then echo "$ROOT/build/$1/demo"; else echo "$ROOT/build/demo"; fi
}

make_case() {
  local folder made_from sockets=()
  folder=$(case_of "$1")
  ! has_own_interface "$1" || sockets=(--model "$(model_of "$1")")
  made_from=$(fingerprint "$ROOT/common/demo/phantom" ${sockets[1]:+"${sockets[1]}/model.json"})
  [[ $(cat "$folder/made_from" 2>/dev/null) == "$made_from" ]] && return
  say "Making the demo case in ${folder#"$ROOT/"}"
  rm -rf "$folder"
  mkdir -p "$folder"
  petct_tools ${sockets[1]:+--read "${sockets[1]}"} --write "$folder" -- phantom --output "$folder" "${sockets[@]}"
  echo "$made_from" >"$folder/made_from"
}

# The first group of the last line of a log that fits: logged LOG EXPRESSION
logged() {
  sed --quiet --regexp-extended "s|.*$2.*|\1|p" "$1" | tail -n 1
}

# The truth knows lesions alone, which are label 1 of every demo's mask.
evaluate() {
  local truth folder=$2 masks=("$2"/output/images/*/)
  truth=$(case_of "$1")/truth
  petct_tools --read "$truth" --read "${masks[0]%/}" -- evaluate --label 1 --truth "$truth" \
    --prediction "${masks[0]%/}" >>"$folder/log.txt" 2>>"$folder/warnings.txt"
}

check() {
  local input folder=$2
  input=$(case_of "$1")/input
  petct_tools --read "$input" --read "$folder/output" --read "$(model_of "$1")" \
    -- check output "$1" --input "$input" --output "$folder/output" --model "$(model_of "$1")" \
    >>"$folder/log.txt" 2>>"$folder/warnings.txt"
}

run_algorithm() {
  local name=$1 output=$2
  if [[ -n $DOCKER ]]; then
    "$ROOT/docker/as_platform.sh" "$(image_of "$name")" "$(case_of "$name")/input" "$(model_of "$name")" "$output"
  else
    run_as_process "$name" "$output"
  fi
}

# Runs in a shell of its own. Taking away the right to write stops no one who is root: the content is compared, too.
run_as_process() (
  name=$1 output=$2 status=0
  model=$(model_of "$name")
  input=$(case_of "$name")/input
  before=$(fingerprint "$input" "$model")
  trap 'chmod -R u+w "$input"' EXIT
  chmod -R a-w "$input"
  petct_tools -- run "$name" --input "$input" --model "$model" --output "$output" || status=$?
  [[ $(fingerprint "$input" "$model") == "$before" ]] || fail "The run of $name changed its input or its model."
  exit "$status"
)

has_gpu() {
  if [[ -n $DOCKER ]]; then [[ -n $(gpu_option) ]]; else [[ -e /dev/nvidiactl ]]; fi
}

# Runs, checks and measures; prints what is wrong, or "passed".
verdict() {
  local name=$1 folder=$2 status=0
  run_algorithm "$name" "$folder/output" >"$folder/log.txt" 2>"$folder/warnings.txt" || status=$?
  if [[ $status -ne 0 ]]; then
    echo "failed with exit code $status: $(tail -n 1 "$folder/warnings.txt")"
  elif ! check "$name" "$folder" || ! evaluate "$name" "$folder"; then
    echo "refused: $(tail -n 1 "$folder/warnings.txt")"
  elif is_demo "$name" && ! awk -v dice="$(dice "$folder")" -v minimum="$MIN_DICE" 'BEGIN {exit !(dice + 0 >= minimum)}'; then
    echo "Dice is below $MIN_DICE"
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
    need_own_image "$TOOLS_IMAGE" "./build.sh ${ALGORITHMS[*]}"
  else
    provide_venv docker/runtime docker/tools
  fi
  TABLE=
  for name in "${ALGORITHMS[@]}"; do
    make_case "$name"
    test_algorithm "$name" || status=1
  done
  row algorithm engine seconds 'peak MiB' Dice verdict
  printf '%s' "$TABLE"
  [[ -n $DOCKER ]] || echo "not in a container"
  has_gpu || echo "without a GPU: $(if [[ -n $DOCKER ]]; then echo Docker has none to give; else echo no NVIDIA driver answers; fi)"
  return "$status"
}

main "$@"
