# Shared by the scripts: names, versions, messages, and petct with torch.
# shellcheck shell=bash disable=SC2034

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
VERSION=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$ROOT/pyproject.toml")
BASE_IMAGE=python:3.11-slim-bookworm
RUNTIME_IMAGE=petct-runtime:$VERSION
TENSORRT_IMAGE=petct-tensorrt:$VERSION
CUDA_IMAGE=petct-cuda:$VERSION
DICOM_IMAGE=petct-dicom:$VERSION
TOOLS_IMAGE=petct-tools:$VERSION
VENV=$ROOT/.venv

# The platform's machines: cores and GiB of memory, by name. The same names are in common/grandchallenge/interface.py.
declare -A INSTANCES=(
  [cpu-2-8]="2 8" [cpu-2-16]="2 16" [cpu-4-32]="4 32"
  [t4-4-16]="4 16" [t4-8-32]="8 32" [a10g-4-16]="4 16" [a10g-8-32]="8 32"
)

say() {
  printf '%s\n' "$*" >&2
}

# Exit because of an error of the caller.
refuse() {
  say "$*"
  exit 2
}

# Exit because something is missing on this machine.
fail() {
  say "$*"
  exit 1
}

engine_answers() {
  timeout 60 docker version >/dev/null 2>&1
}

# Sets DOCKER to "yes" if a Docker engine answers; otherwise to "", and prints the consequence given as $1.
find_docker() {
  DOCKER=yes
  engine_answers || {
    DOCKER=
    say "No Docker engine answers: $1"
  }
}

need_docker() {
  engine_answers ||
    fail "No Docker engine answers: install one (Debian and Ubuntu: apt-get install docker.io) and start it."
}

has_image() {
  docker image inspect "$1" >/dev/null 2>&1
}

# Every folder in containers/ with an algorithm.py is an algorithm, as in common/algorithms.py.
all_algorithms() {
  local module
  for module in "$ROOT"/containers/*/algorithm.py; do
    basename "$(dirname "$module")"
  done
}

# Sets ALGORITHMS to the given names, or to all algorithms if there are none.
choose_algorithms() {
  local name
  for name in "$@"; do
    [[ -f $ROOT/containers/$name/algorithm.py ]] ||
      refuse "No algorithm is called '$name'; there is: $(all_algorithms | paste -sd ' ')."
  done
  ALGORITHMS=("$@")
  [[ $# -gt 0 ]] || mapfile -t ALGORITHMS < <(all_algorithms)
}

# Docker's option that gives a container the machine's GPUs; empty where Docker has none to give.
gpu_option() {
  if docker info --format '{{json .Runtimes}}' 2>/dev/null | grep --quiet nvidia; then
    echo --gpus=all
  elif docker info --format '{{json .DiscoveredDevices}}' 2>/dev/null | grep --quiet nvidia.com/gpu; then
    echo --device=nvidia.com/gpu=all
  fi
}

# The platform's ways to call an image, as its label org.grand-challenge.api-method names them.
APIS=(exec invoke)

# One image for each way to call it: image_of ALGORITHM [API]
image_of() {
  case ${2:-exec} in
    exec) echo "$1:$VERSION" ;;
    invoke) echo "$1-invoke:$VERSION" ;;
  esac
}

model_of() {
  echo "$ROOT/build/$1/model"
}

image_id() {
  docker image inspect --format '{{.Id}}' "$1" 2>/dev/null
}

# The file with the id of the image that this checkout built.
record_of_image() {
  echo "$ROOT/build/images/${1%%:*}"
}

record_image() {
  mkdir -p "$ROOT/build/images"
  image_id "$1" >"$(record_of_image "$1")"
}

# All checkouts on a machine share the engine and the image names, so check the image: need_own_image IMAGE REMEDY
need_own_image() {
  local record
  record=$(record_of_image "$1")
  [[ -f $record ]] || fail "This checkout has not built $1: run $2 first."
  has_image "$1" || fail "There is no image $1: run $2 first."
  [[ $(image_id "$1") == "$(cat "$record")" ]] ||
    fail "$1 is not the image that this checkout built (another checkout replaced it): run $2."
}

# Both images, where Docker answers, and the model.
need_built() {
  local api
  for api in ${DOCKER:+"${APIS[@]}"}; do
    need_own_image "$(image_of "$1" "$api")" "./build.sh $1"
  done
  [[ -f $(model_of "$1")/model.json ]] || fail "There is no model in $(model_of "$1"): run ./build.sh $1 first."
}

demo_of() {
  echo "$ROOT/containers/$1/demo/checkpoint"
}

# The checkpoint whose model was exported last; empty if there is none.
checkpoint_of() {
  head -n 1 "$ROOT/build/$1/made_from" 2>/dev/null || true
}

is_demo() {
  [[ $(checkpoint_of "$1") == "$(demo_of "$1")" ]]
}

# One hash over the paths and contents of all files in the given files and folders.
fingerprint() {
  find "$@" -type f -not -name '*.pyc' -print0 | sort --zero-terminated | xargs --null sha256sum | sha256sum
}

# Runs petct from this checkout as the calling user: in the tools image if an engine answers, otherwise from .venv.
# The image can access only the given paths: petct_tools [--read PATH | --write PATH] ... -- ARGUMENT ...
petct_tools() {
  local volumes=()
  while [[ $1 != -- ]]; do
    case $1 in
      --read) volumes+=(--volume "$2:$2:ro") ;;
      --write) volumes+=(--volume "$2:$2") ;;
    esac
    shift 2
  done
  shift
  if [[ -z $DOCKER ]]; then
    ORT_DISABLE_TELEMETRY=1 PYTHONDONTWRITEBYTECODE=1 "$VENV/bin/petct" "$@"
  else
    docker run --rm --network none --user "$(id -u):$(id -g)" \
      --volume "$ROOT/common:/opt/petct/common:ro" --volume "$ROOT/containers:/opt/petct/containers:ro" \
      "${volumes[@]}" "$TOOLS_IMAGE" "$@"
  fi
}
