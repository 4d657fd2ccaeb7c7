#!/usr/bin/env bash
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage() {
  cat <<'EOF'
Usage: docker/as_platform.sh [--memory BYTES] [--no-gpu] IMAGE INPUT MODEL OUTPUT [ARGUMENT ...]
Runs an algorithm's image on one case as Grand Challenge does: no network, no capabilities, no new privileges, a
read-only root, an empty /tmp, INPUT and MODEL read-only, bounded memory and processes, the image's own user, and the
machine's NVIDIA GPUs where Docker can give them, unless --no-gpu is there.
What it leaves in /output comes to the folder OUTPUT, which must be empty. The exit status is the container's.
EOF
}

PLATFORM_MEMORY=$((7 * 1024 ** 3))

# Memory limit in bytes: what an algorithm gets on the platform's smallest machine (8 GiB), or less if this machine has less.
memory() {
  local here=$(($(sed --quiet 's/^MemTotal: *\([0-9]*\) kB$/\1/p' /proc/meminfo) * 1024))
  echo $((here < PLATFORM_MEMORY ? here : PLATFORM_MEMORY))
}

main() {
  local limit container gpu status=0
  [[ ${1:-} == --help ]] && usage && return
  limit=$(memory)
  if [[ ${1:-} == --memory ]]; then
    limit=${2:-}
    shift 2
  fi
  gpu=$(gpu_option)
  if [[ ${1:-} == --no-gpu ]]; then
    gpu=--env=NVIDIA_VISIBLE_DEVICES=void
    shift
  fi
  [[ $# -ge 4 ]] || refuse "IMAGE, INPUT, MODEL and OUTPUT are needed; see docker/as_platform.sh --help."
  local image=$1 input=$2 model=$3 output=$4
  shift 4
  container=$(docker create ${gpu:+"$gpu"} --network none --cap-drop ALL --security-opt no-new-privileges --read-only \
    --tmpfs /tmp --volume /output --volume "$(realpath "$input"):/input:ro" \
    --volume "$(realpath "$model"):/opt/ml/model:ro" --memory "$limit" --memory-swap "$limit" \
    --ulimit "data=$limit" --pids-limit 512 --shm-size 128m "$image" "$@")
  # shellcheck disable=SC2064
  trap "docker rm --force --volumes $container >/dev/null" EXIT
  docker start --attach "$container" || status=$?
  docker cp "$container:/output/." - | tar --extract --no-same-owner --directory "$output"
  return "$status"
}

main "$@"
