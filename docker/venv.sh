# The virtual environment .venv, for the tests and for petct if no Docker engine answers; others by setting VENV.
# shellcheck shell=bash

# NVIDIA's packages: an environment does without those that cannot be had.
OPTIONAL=(docker/tensorrt docker/nvrtc)

# petct, and the missing packages of the requirements.txt in each folder: provide_venv FOLDER ...
provide_venv() {
  provide_packages "$@"
  cmp --silent "$ROOT/pyproject.toml" "$VENV/installed/project" || install_project
}

provide_packages() {
  local folder
  fits "$@" || make_venv
  for folder in "$@"; do
    has_layer "$folder" || install_layer "$folder" || is_optional "$folder" ||
      fail "The packages of $folder/requirements.txt cannot be installed into ${VENV#"$ROOT/"}."
  done
}

record_of() {
  echo "$VENV/installed/${1//\//_}"
}

has_layer() {
  [[ -f $(record_of "$1") ]]
}

is_optional() {
  [[ " ${OPTIONAL[*]} " == *" $1 "* ]]
}

# True if .venv was created by this checkout and matches the current requirements.txt of the folders.
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
  # In an activated .venv, python3 is a link into the folder that is deleted below.
  [[ $(command -v "$python") != "$VENV"/* ]] || python=$("$python" -c 'import sys; print(sys._base_executable)')
  [[ ! -e $VENV || -e $VENV/installed ]] || fail "$VENV was not made by these scripts: move it away."
  say "Making ${VENV#"$ROOT/"} with $python"
  rm -rf "$VENV"
  "$python" -m venv "$VENV" >/dev/null 2>&1 || {
    rm -rf "$VENV"
    fail "$python cannot make virtual environments (Debian and Ubuntu: apt-get install python3-venv)."
  }
  mkdir "$VENV/installed"
  echo "$ROOT" >"$VENV/installed/root"
}

# If this is interrupted, the record stays empty, so that the next run creates .venv again.
install_layer() {
  local lock=$ROOT/$1/requirements.txt record retries=5
  record=$(record_of "$1")
  say "Installing the packages of $1 into ${VENV#"$ROOT/"}"
  : >"$record"
  ! is_optional "$1" || retries=1
  if pip_install --retries "$retries" --require-hashes --requirement "$lock" 2>/dev/null ||
    { ! is_optional "$1" && install_with_uv "$lock"; }; then
    link_tensorrt
    cp "$lock" "$record"
  else
    rm "$record"
    return 1
  fi
}

# TensorRT-RTX looks for itself under this name, beside its file, when an engine has a plugin.
link_tensorrt() {
  local library
  for library in "$VENV"/lib/python3*/site-packages/tensorrt_rtx_libs/libtensorrt_rtx.so.1; do
    [[ ! -f $library ]] || ln --symbolic --force libtensorrt_rtx.so.1 "${library%.1}"
  done
}

pip_install() {
  "$VENV/bin/pip" install --quiet --disable-pip-version-check --no-deps "$@"
}

# Package indexes usually have only the GPU builds of torch, of several GB; uv finds the CPU builds.
install_with_uv() {
  pip_install uv &&
    "$VENV/bin/uv" pip install --quiet --python "$VENV/bin/python" --torch-backend cpu --no-deps --require-hashes \
      --requirement "$1"
}

install_project() {
  pip_install --no-build-isolation --editable "$ROOT"
  cp "$ROOT/pyproject.toml" "$VENV/installed/project"
}
