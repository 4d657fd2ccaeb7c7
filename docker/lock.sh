#!/usr/bin/env bash
# Pins every package that the images, the tools and the tests install, with the hashes of its files.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage() {
  cat <<'EOF'
Usage: docker/lock.sh [OPTION-OF-UV ...]
Rewrites each requirements.txt from the requirements.in beside it with `uv pip compile`. Each holds what it adds to the
layers below it, so that they install one after the other with --no-deps. Versions stay, with their hashes, while they
fit; --upgrade or --upgrade-package NAME takes newer ones. torch's CPU builds come from PyTorch's index, or, where
UV_FIND_LINKS is set, from that folder; a new version's lock should list the builds for all Python versions.
EOF
}

# Each layer, in the order of locking, with the layers below it.
LAYERS=(
  "docker/runtime"
  "docker/tensorrt docker/runtime"
  "docker/cuda docker/runtime"
  "docker/dicom docker/runtime"
  "docker/tools docker/runtime"
  "docker/nvrtc docker/runtime docker/tensorrt docker/tools"
  "docker/release"
  "docker/cohort docker/runtime docker/tensorrt docker/tools docker/nvrtc"
  "tests docker/runtime docker/tensorrt docker/tools docker/nvrtc docker/cohort"
)

# Names of the packages pinned in requirements files.
names() {
  sed --quiet 's/^\([a-z0-9-]*\)==.*/\1/p' "$@"
}

# lock LAYER REQUIREMENTS-BELOW OPTION-OF-UV ...
lock() {
  local layer=$1 below=$2
  shift 2
  say "Locking $layer"
  # shellcheck disable=SC2046
  "$UV" pip compile --quiet --config-file docker/uv.toml --python-version 3.11 \
    --python-platform x86_64-unknown-linux-gnu --generate-hashes --no-annotate \
    --custom-compile-command docker/lock.sh --constraints "$below" \
    $(names "$below" | sed 's/^/--no-emit-package=/') \
    --output-file "$layer/requirements.txt" "$@" "$layer/requirements.in" >/dev/null
}

main() {
  local layers layer scratch
  [[ ${1:-} == --help ]] && usage && return
  cd "$ROOT"
  scratch=$(mktemp --directory)
  # shellcheck disable=SC2064
  trap "rm -rf '$scratch'" EXIT
  python3 -m venv "$scratch"
  "$scratch/bin/pip" install --quiet --disable-pip-version-check uv
  UV=$scratch/bin/uv
  [[ -n ${UV_FIND_LINKS:-} ]] || export UV_TORCH_BACKEND=cpu
  for layers in "${LAYERS[@]}"; do
    read -ra layers <<<"$layers"
    : >"$scratch/below.txt"
    for layer in "${layers[@]:1}"; do
      cat "$layer/requirements.txt" >>"$scratch/below.txt"
    done
    lock "${layers[0]}" "$scratch/below.txt" "$@"
  done
}

main "$@"
