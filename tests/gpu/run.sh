#!/usr/bin/env bash
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../../docker/lib.sh"
source "$ROOT/docker/venv.sh"

usage() {
  cat <<'EOF'
Usage: tests/gpu/run.sh [--benchmark | PYTEST ARGUMENT ...]
Runs the tests that need an NVIDIA GPU, in the virtual environment .venv: every engine loads and computes what torch
does, whole cases give the CPU's mask, and memory that runs out ends in a mask. --benchmark runs benchmarks/gpu.py
instead, with torch's CUDA build, of several GB, in build/torch-cuda; its table goes to build/benchmarks/gpu/table.md.
EOF
}

TORCH=$ROOT/build/torch-cuda

need_gpu() {
  [[ -e /dev/nvidiactl ]] || fail "No NVIDIA GPU is visible: run this on a machine with one, and its driver."
}

# The version is that of the lock; uv finds the build for the driver that is there.
provide_cuda_torch() {
  local version
  version=$(sed -n 's/^torch==\([0-9.]*\).*/\1/p' "$ROOT/docker/tools/requirements.txt")
  [[ $(cat "$TORCH/version" 2>/dev/null) == "$version" ]] && return
  say "Installing torch's CUDA build into build/torch-cuda"
  rm -rf "$TORCH"
  pip_install uv
  "$VENV/bin/uv" pip install --quiet --python "$VENV/bin/python" --torch-backend auto --target "$TORCH" \
    "torch==$version"
  echo "$version" >"$TORCH/version"
}

main() {
  [[ ${1:-} == --help ]] && usage && return
  need_gpu
  cd "$ROOT"
  provide_venv docker/runtime docker/tensorrt docker/tools docker/nvrtc tests
  if [[ ${1:-} == --benchmark ]]; then
    shift
    provide_cuda_torch
    PYTHONPATH=$TORCH:$ROOT "$VENV/bin/python" benchmarks/gpu.py "$@"
  else
    "$VENV/bin/pytest" --override-ini "addopts=-ra --strict-markers --import-mode=importlib" tests/gpu "$@"
  fi
}

main "$@"
