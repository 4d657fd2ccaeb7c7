#!/usr/bin/env bash
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage() {
  cat <<'EOF'
Usage: docker/as_platform.sh [OPTION ...] IMAGE INPUT MODEL OUTPUT [ARGUMENT ...]
Runs an algorithm's image on one case as Grand Challenge does: no network, no capabilities, no new privileges, a
read-only root, an empty /tmp, INPUT and MODEL read-only, bounded memory, cores and processes, the image's own user, and
the machine's NVIDIA GPUs where Docker can give them. An image that waits for calls is called.
What it leaves in /output comes to the folder OUTPUT, which must be empty. The exit status is the container's, or the call's.
  --instance NAME  cores and memory of one of the platform's machines (default: cpu-2-8)
  --memory BYTES   another limit of the memory
  --no-gpu         leave the machine's GPUs out
EOF
}

# Sets CORES, LIMIT and SHARED: what one of the platform's machines has, or this machine if that is less. The platform keeps
# a GiB for itself; half of the memory is there to be shared. Sizes are in bytes: choose_instance NAME
choose_instance() {
  local cores gib here=$(($(sed --quiet 's/^MemTotal: *\([0-9]*\) kB$/\1/p' /proc/meminfo) * 1024))
  [[ -n ${INSTANCES[$1]:-} ]] || refuse "There is no instance '$1'; there is: $(printf '%s\n' "${!INSTANCES[@]}" | sort | paste -sd ' ')."
  read -r cores gib <<<"${INSTANCES[$1]}"
  CORES=$((cores < $(nproc) ? cores : $(nproc)))
  LIMIT=$(((gib - 1) * 1024 ** 3))
  LIMIT=$((LIMIT < here ? LIMIT : here))
  SHARED=$((gib * 1024 ** 3 / 2))
}

read_options() {
  GPU=$(gpu_option)
  choose_instance cpu-2-8
  while [[ ${1:-} == --* ]]; do
    case $1 in
      --help) usage && exit ;;
      --instance) choose_instance "${2:-}" && shift ;;
      --memory) LIMIT=${2:-} && shift ;;
      --no-gpu) GPU=--env=NVIDIA_VISIBLE_DEVICES=void ;;
      *) refuse "There is no option '$1'; see docker/as_platform.sh --help." ;;
    esac
    shift
  done
  REST=("$@")
}

# Call a container that waits for that; its log comes at the end: call_it CONTAINER
call_it() {
  local status=0
  docker start "$1" >/dev/null
  docker exec "$1" petct invoke >&2 || status=$?
  docker stop --time 10 "$1" >/dev/null
  docker logs "$1"
  return "$status"
}

main() {
  local container api status=0
  read_options "$@"
  set -- "${REST[@]}"
  [[ $# -ge 4 ]] || refuse "IMAGE, INPUT, MODEL and OUTPUT are needed; see docker/as_platform.sh --help."
  local image=$1 input=$2 model=$3 output=$4
  shift 4
  api=$(docker image inspect --format '{{index .Config.Labels "org.grand-challenge.api-method"}}' "$image")
  container=$(docker create ${GPU:+"$GPU"} --network none --cap-drop ALL --security-opt no-new-privileges --read-only \
    --tmpfs /tmp --volume /output --volume "$(realpath "$input"):/input:ro" \
    --volume "$(realpath "$model"):/opt/ml/model:ro" --memory "$LIMIT" --memory-swap "$LIMIT" \
    --cpus "$CORES" --ulimit "data=$LIMIT" --pids-limit 256 --shm-size "$SHARED" "$image" "$@")
  # shellcheck disable=SC2064
  trap "docker rm --force --volumes $container >/dev/null" EXIT
  if [[ $api == invoke ]]; then
    call_it "$container" || status=$?
  else
    docker start --attach "$container" || status=$?
  fi
  docker cp "$container:/output/." - | tar --extract --no-same-owner --directory "$output"
  return "$status"
}

main "$@"
