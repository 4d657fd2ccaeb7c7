#!/usr/bin/env bash
# Downloads the images' packages with the host's pip, for hosts whose containers cannot access a package index.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

usage() {
  cat <<'EOF'
Usage: docker/offline/wheelhouse.sh [LAYER ...]
Fills docker/LAYER/wheelhouse with the wheels that each layer named installs (default: runtime tensorrt tools); a build
prefers them to a package index. build.sh calls it where the base image could not be pulled. The host needs pip 20.3 or
later, of any Python 3; the wheels are for the images' Python 3.11 on linux/amd64. Where pip's index has no CPU build of
torch, set PIP_EXTRA_INDEX_URL to the one where PyTorch keeps them.
EOF
}

# Platform tags of glibc 2.36 and earlier.
platforms() {
  local minor
  for minor in $(seq 36 -1 5); do
    printf -- '--platform manylinux_2_%s_x86_64\n' "$minor"
  done
  printf -- '--platform %s\n' manylinux2014_x86_64 manylinux2010_x86_64 manylinux1_x86_64
}

all_layers() {
  (cd "$ROOT/docker" && dirname -- */requirements.txt) | paste -sd ' '
}

download() {
  local layer=$1 folder=$2
  shift 2
  # shellcheck disable=SC2046
  python3 -m pip download --quiet --no-deps --dest "$folder" \
    --require-hashes --requirement "$ROOT/docker/$layer/requirements.txt" \
    --implementation cp --python-version 3.11 --abi cp311 --abi abi3 --abi none $(platforms) "$@"
}

fill() {
  local layer=$1 lock=$ROOT/docker/$1/requirements.txt wheelhouse=$ROOT/docker/$1/wheelhouse
  cmp --silent "$lock" "$wheelhouse/filled" && return
  say "Downloading wheels into docker/$layer/wheelhouse"
  rm -f "$wheelhouse"/*.whl
  download "$layer" "$wheelhouse"
  cp "$lock" "$wheelhouse/filled"
}

main() {
  local layer layers=("$@")
  [[ ${1:-} == --help ]] && usage && return
  [[ $# -eq 0 ]] && layers=(runtime tensorrt tools)
  python3 -m pip --version >/dev/null 2>&1 || fail "The host has no pip: install it (Debian: apt-get install python3-pip)."
  for layer in "${layers[@]}"; do
    [[ -f $ROOT/docker/$layer/requirements.txt ]] || refuse "'$layer' is no layer of an image; there is: $(all_layers)."
    fill "$layer"
  done
}

main "$@"
