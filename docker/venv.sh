# The virtual environment .venv: petct where no Docker engine answers, and the tests.
# shellcheck shell=bash

# Installs the packages that the folders' requirements.txt lock, as far as they are missing: provide_venv FOLDER ...
provide_venv() {
  local folder
  fits "$@" || make_venv
  for folder in "$@"; do
    [[ -f $(record_of "$folder") ]] || install_locked "$folder"
  done
  cmp --silent "$ROOT/pyproject.toml" "$VENV/installed/project" || install_project
}

record_of() {
  echo "$VENV/installed/${1//\//_}"
}

# Whether .venv was made here and holds nothing but what the folders lock now.
fits() {
  local folder record
  [[ $(cat "$VENV/installed/root" 2>/dev/null) == "$ROOT" ]] && has_interpreter || return 1
  for folder in "$@"; do
    record=$(record_of "$folder")
    [[ ! -f $record ]] || cmp --silent "$record" "$ROOT/$folder/requirements.txt" || return 1
  done
}

has_interpreter() {
  local found
  found=$(identity "$VENV/bin/python") || return 1
  [[ -z ${PYTHON:-} || $(identity "$PYTHON") == "$found" ]]
}

identity() {
  "$1" -c 'import sys; print(sys.base_prefix, sys.version)' 2>/dev/null
}

make_venv() {
  local python=${PYTHON:-python3}
  "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 ||
    fail "$python is missing or older than 3.11: install Python 3.11 or later, or set PYTHON to such an interpreter."
  # In an activated .venv, python3 is a link in the folder that is made anew.
  [[ $(command -v "$python") != "$VENV"/* ]] || python=$("$python" -c 'import sys; print(sys._base_executable)')
  [[ ! -e $VENV || -e $VENV/installed ]] || fail "$VENV was not made by these scripts: move it away."
  say "Making .venv with $python"
  rm -rf "$VENV"
  "$python" -m venv "$VENV" >/dev/null 2>&1 || {
    rm -rf "$VENV"
    fail "$python cannot make virtual environments (Debian and Ubuntu: apt-get install python3-venv)."
  }
  mkdir "$VENV/installed"
  echo "$ROOT" >"$VENV/installed/root"
}

# An empty record stays behind where this is interrupted, and has .venv made anew.
install_locked() {
  local lock=$ROOT/$1/requirements.txt
  say "Installing the packages of $1 into .venv"
  : >"$(record_of "$1")"
  pip_install --require-hashes --requirement "$lock" 2>/dev/null || install_with_uv "$lock" ||
    fail "The packages of $1/requirements.txt cannot be installed into .venv."
  cp "$lock" "$(record_of "$1")"
}

pip_install() {
  "$VENV/bin/pip" install --quiet --disable-pip-version-check --no-deps "$@"
}

# Indexes as a rule have only torch's builds for GPUs, of several gigabytes; uv knows where those for CPUs are.
install_with_uv() {
  pip_install uv &&
    "$VENV/bin/uv" pip install --quiet --python "$VENV/bin/python" --torch-backend cpu --no-deps --require-hashes \
      --requirement "$1"
}

install_project() {
  pip_install --no-build-isolation --editable "$ROOT"
  cp "$ROOT/pyproject.toml" "$VENV/installed/project"
}
