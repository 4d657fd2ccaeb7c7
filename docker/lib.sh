# What the scripts share: names, versions, messages, and the image that holds torch.
# shellcheck shell=bash disable=SC2034

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
VERSION=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$ROOT/pyproject.toml")
BASE_IMAGE=python:3.11-slim-bookworm
RUNTIME_IMAGE=petct-runtime:$VERSION
TOOLS_IMAGE=petct-tools:$VERSION

say() {
  printf '%s\n' "$*" >&2
}

# For what the caller got wrong.
refuse() {
  say "$*"
  exit 2
}

# For what the machine lacks.
fail() {
  say "$*"
  exit 1
}

need_docker() {
  docker version >/dev/null 2>&1 ||
    fail "No Docker engine answers: install one (Debian and Ubuntu: apt-get install docker.io) and start it."
}

has_image() {
  docker image inspect "$1" >/dev/null 2>&1
}

all_algorithms() {
  local dockerfile
  for dockerfile in "$ROOT"/containers/*/Dockerfile; do
    basename "$(dirname "$dockerfile")"
  done
}

# Sets ALGORITHMS to the names given, or to all where none is given.
choose_algorithms() {
  local name
  for name in "$@"; do
    [[ -f $ROOT/containers/$name/Dockerfile ]] ||
      refuse "No algorithm is called '$name'; there is: $(all_algorithms | paste -sd ' ')."
  done
  ALGORITHMS=("$@")
  [[ $# -gt 0 ]] || mapfile -t ALGORITHMS < <(all_algorithms)
}

image_of() {
  echo "$1:$VERSION"
}

model_of() {
  echo "$ROOT/build/$1/model"
}

need_built() {
  has_image "$(image_of "$1")" || fail "There is no image $(image_of "$1"): run ./build.sh $1 first."
  [[ -f $(model_of "$1")/model.json ]] || fail "There is no model in $(model_of "$1"): run ./build.sh $1 first."
}

demo_of() {
  echo "$ROOT/containers/$1/demo/checkpoint"
}

# The checkpoint whose model was exported last; empty where none was.
checkpoint_of() {
  head -n 1 "$ROOT/build/$1/made_from" 2>/dev/null || true
}

is_demo() {
  [[ $(checkpoint_of "$1") == "$(demo_of "$1")" ]]
}

# One hash over the content and the paths of files and folders.
fingerprint() {
  find "$@" -type f -not -name '*.pyc' -print0 | sort --zero-terminated | xargs --null sha256sum | sha256sum
}

# Runs petct on this checkout as the calling user: petct_tools [DOCKER OPTION ...] -- ARGUMENT ...
petct_tools() {
  local options=()
  while [[ $1 != -- ]]; do
    options+=("$1")
    shift
  done
  docker run --rm --network none --user "$(id -u):$(id -g)" \
    --volume "$ROOT/common:/opt/petct/common:ro" --volume "$ROOT/containers:/opt/petct/containers:ro" \
    "${options[@]}" "$TOOLS_IMAGE" "${@:2}"
}
