#!/usr/bin/env bash
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../docker/lib.sh"

usage() {
  cat <<'EOF'
Usage: tests/run.sh [PYTEST ARGUMENT ...]
Makes the virtual environment .venv, or brings it up to date, then runs ruff, mypy and pytest. PYTHON names another
interpreter than python3; it must be 3.11 or later.
EOF
}

VENV=$ROOT/.venv
LOCKS=(docker/runtime/requirements.txt docker/tools/requirements.txt tests/requirements.txt)

make_venv() {
  local python=${PYTHON:-python3}
  "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "$python is missing or older than 3.11: set PYTHON to a newer interpreter."
  rm -rf "$VENV"
  "$python" -m venv "$VENV" || fail "$python cannot make virtual environments (Debian: apt-get install python3-venv)."
}

install_locked() {
  "$VENV/bin/pip" install --quiet --disable-pip-version-check --no-deps "${LOCKS[@]/#/--requirement=}"
}

# Indexes as a rule have only torch's builds for GPUs, of several gigabytes; uv knows where those for CPUs are.
install_locked_with_uv() {
  "$VENV/bin/pip" install --quiet --disable-pip-version-check uv
  "$VENV/bin/uv" pip install --quiet --python "$VENV/bin/python" --torch-backend cpu --no-deps \
    "${LOCKS[@]/#/--requirement=}"
}

provide_venv() {
  local wanted
  wanted=$(cat "${LOCKS[@]}" pyproject.toml)
  [[ $(cat "$VENV/installed" 2>/dev/null) == "$wanted" ]] && return
  say "Installing what the tests need into .venv"
  make_venv
  install_locked 2>/dev/null || install_locked_with_uv
  "$VENV/bin/pip" install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
  echo "$wanted" >"$VENV/installed"
}

main() {
  local status=0
  [[ ${1:-} == --help ]] && usage && return
  cd "$ROOT"
  provide_venv
  "$VENV/bin/ruff" check || status=1
  "$VENV/bin/ruff" format --check || status=1
  "$VENV/bin/mypy" || status=1
  "$VENV/bin/pytest" "$@" || status=1
  return "$status"
}

main "$@"
