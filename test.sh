#!/usr/bin/env bash
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/docker/lib.sh"
source "$ROOT/docker/venv.sh"

usage() {
  cat <<'EOF'
Usage: ./test.sh [ALGORITHM ...] [--instance NAME]
Checks the images of all algorithms, or of those named, runs them on a synthetic case as Grand Challenge does, in both of
its ways to call, checks the masks as it does and prints a table: seconds and memory of the run and their limits, and
seconds of the case in a process that is warm. The exit status is 0 where every image and mask is there and right; a mask
of the demo's model must also reach a Dice of 0.5 against the truth. For a model of your own, it says how long a clinical
case would take here. Run ./build.sh first. build/test/ALGORITHM keeps masks, logs, what was on stderr, warnings.txt, and
report.html, which shows the mask and its lesions.
  --instance NAME  run on as many cores and as much memory as one of the platform's machines has: cpu-2-8, cpu-2-16,
                   cpu-4-32, t4-4-16, t4-8-32, a10g-4-16, a10g-8-32 (default: the first in the algorithm's interface.json)
Where no Docker engine answers, the algorithms run as plain processes from .venv, on input and model that must stay
unchanged, and the table says so. Containers are given the machine's NVIDIA GPUs where Docker can do so; the table says
which engine each run took, and whether a GPU was there.
EOF
}

MIN_DICE=0.5

row() {
  printf '%-20s %-9s %-10s %13s %13s %8s %6s  %-8s  %s\n' "$@"
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

# A page for people, beside the mask's logs.
report() {
  local case folder=$2 own=()
  case=$(case_of "$1")
  ! has_own_interface "$1" || own=(--model "$(model_of "$1")")
  petct_tools --read "$case" --read "$(model_of "$1")" --write "$folder" -- report "$case/input" "$folder/output" \
    --truth "$case/truth" --log "$folder/log.txt" --log "$folder/warnings.txt" "${own[@]}" --output "$folder" \
    >>"$folder/log.txt" 2>>"$folder/warnings.txt"
}

# The machine to run on, by its name on the platform.
instance_of() {
  [[ -z $INSTANCE ]] || { echo "$INSTANCE" && return; }
  sed --quiet 's/.*"instances": \["\([a-z0-9-]*\)".*/\1/p' "$ROOT/containers/$1/interface.json"
}

as_platform() {
  local api=$1 name=$2 output=$3
  shift 3
  "$ROOT/docker/as_platform.sh" --instance "$(instance_of "$name")" "$@" "$(image_of "$name" "$api")" \
    "$(case_of "$name")/input" "$(model_of "$name")" "$output"
}

run_algorithm() {
  if [[ -n $DOCKER ]]; then as_platform exec "$@"; else run_as_process "$@"; fi
}

# The case in a process that is warm.
serve_algorithm() {
  if [[ -n $DOCKER ]]; then as_platform invoke "$@"; else serve_as_process "$@"; fi
}

# Whether the platform would take both images.
check_images() {
  local api archive=$ROOT/build/test/image.tar status=0
  for api in ${DOCKER:+"${APIS[@]}"}; do
    docker save --output "$archive" "$(image_of "$1" "$api")"
    petct_tools --read "$archive" -- check image "$archive" >>"$2/log.txt" 2>>"$2/warnings.txt" || status=1
    rm "$archive"
  done
  return "$status"
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

# The server ends, and its last line is out, before the files are looked at.
serve_as_process() (
  name=$1 output=$2 port=$((20000 + RANDOM % 10000)) status=0
  ORT_DISABLE_TELEMETRY=1 PYTHONDONTWRITEBYTECODE=1 "$VENV/bin/petct" serve "$name" --port "$port" \
    --input "$(case_of "$name")/input" --model "$(model_of "$name")" --output "$output" &
  petct_tools -- invoke --port "$port" >&2 || status=$?
  kill $!
  wait $! || true
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
  elif ! check "$name" "$folder" || ! evaluate "$name" "$folder" || ! report "$name" "$folder" ||
    ! check_images "$name" "$folder"; then
    echo "refused: $(tail -n 1 "$folder/warnings.txt")"
  elif is_demo "$name" && ! awk -v dice="$(dice "$folder")" -v minimum="$MIN_DICE" 'BEGIN {exit !(dice + 0 >= minimum)}'; then
    echo "Dice is below $MIN_DICE"
  elif ! serve_algorithm "$name" "$folder/served" >"$folder/served.txt" 2>"$folder/calls.txt"; then
    echo "serving failed: $(tail -n 1 "$folder/calls.txt")"
  elif ! diff --recursive "$folder/output" "$folder/served" >>"$folder/calls.txt"; then
    echo "serving gave another mask"
  else
    echo passed
  fi
}

dice() {
  logged "$1/log.txt" 'Dice ([0-9.]+) \(mean\)'
}

# Of a log: limited VALUE LIMIT
limited() {
  echo "$1${2:+ of $2}"
}

limit_in_mib() {
  local gib
  [[ -z $DOCKER ]] || { read -r _ gib <<<"${INSTANCES[$(instance_of "$1")]}" && echo $(((gib - 1) * 1024)); }
}

test_algorithm() {
  local name=$1 folder=$ROOT/build/test/$1 result
  rm -rf "$folder"
  mkdir -p "$folder/output" "$folder/served"
  say "Running $(if [[ -n $DOCKER ]]; then image_of "$name" exec; else echo "$name"; fi)"
  result=$(verdict "$name" "$folder")
  TABLE+=$(row "$name" "$(if [[ -n $DOCKER ]]; then instance_of "$name"; else echo none; fi)" \
    "$(logged "$folder/log.txt" 'engine: ([^,]+)')" \
    "$(limited "$(logged "$folder/log.txt" 'done: ([0-9.]+) s')" "$(logged "$folder/log.txt" 'time_limit ([0-9]+)')")" \
    "$(limited "$(logged "$folder/log.txt" 'peak memory ([0-9]+) MiB')" "$(limit_in_mib "$name")")" \
    "$(logged "$folder/served.txt" 'done: ([0-9.]+) s' 2>/dev/null)" "$(dice "$folder")" "$result" \
    "$(find "$folder" -maxdepth 1 -name report.html -printf "build/test/$name/%f")")$'\n'
  is_demo "$name" || estimate "$name" "$folder"
  [[ $result == passed ]]
}

# How long a clinical case would take with this model, on this machine.
estimate() {
  petct_tools --read "$(model_of "$1")" -- engines --model "$(model_of "$1")" 2>>"$2/warnings.txt" |
    sed --quiet "s/.*\(a clinical case: .*\)/$1: \1/p" >"$2/estimate.txt" || true
  ESTIMATES+=$(cat "$2/estimate.txt")$'\n'
}

read_arguments() {
  local names=()
  INSTANCE=
  while [[ $# -gt 0 ]]; do
    case $1 in
      --help) usage && exit ;;
      --instance)
        INSTANCE=${2:-}
        [[ -n $INSTANCE && -n ${INSTANCES[$INSTANCE]:-} ]] || refuse "--instance: found '$INSTANCE'; see ./test.sh --help."
        shift
        ;;
      -*) refuse "There is no option '$1'; see ./test.sh --help." ;;
      *) names+=("$1") ;;
    esac
    shift
  done
  choose_algorithms "${names[@]}"
}

main() {
  local name status=0
  read_arguments "$@"
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
  ESTIMATES=
  for name in "${ALGORITHMS[@]}"; do
    make_case "$name"
    test_algorithm "$name" || status=1
  done
  row algorithm instance engine seconds 'peak MiB' 'warm s' Dice verdict report
  printf '%s' "$TABLE" "$ESTIMATES"
  [[ -n $DOCKER ]] || echo "not in a container"
  has_gpu || echo "without a GPU: $(if [[ -n $DOCKER ]]; then echo Docker has none to give; else echo no NVIDIA driver answers; fi)"
  return "$status"
}

main "$@"
