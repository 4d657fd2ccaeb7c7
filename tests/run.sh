#!/usr/bin/env bash
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../docker/lib.sh"
source "$ROOT/docker/venv.sh"

usage() {
  cat <<'EOF'
Usage: tests/run.sh [PYTEST ARGUMENT ...]
Makes the virtual environment .venv, or brings it up to date, then runs ruff, mypy, import-linter and pytest. PYTHON
names another interpreter than python3; it must be 3.11 or later.
EOF
}

main() {
  local status=0
  [[ ${1:-} == --help ]] && usage && return
  cd "$ROOT"
  provide_venv docker/runtime docker/tensorrt docker/tools docker/nvrtc docker/cohort tests
  { has_layer docker/tensorrt && has_layer docker/nvrtc; } ||
    say "NVIDIA's packages cannot be had: tests that need them are skipped"
  "$VENV/bin/ruff" check || status=1
  "$VENV/bin/ruff" format --check || status=1
  "$VENV/bin/mypy" || status=1
  "$VENV/bin/lint-imports" --no-cache --no-logo || status=1
  "$VENV/bin/pytest" "$@" || status=1
  return "$status"
}

main "$@"
