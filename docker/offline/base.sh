#!/usr/bin/env bash
# Builds python:3.11-slim-bookworm from Debian packages, for hosts without access to a container registry.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

usage() {
  cat <<'EOF'
Usage: docker/offline/base.sh
Makes the image python:3.11-slim-bookworm from Debian's packages with mmdebstrap and `docker import`.
build.sh calls it where the image cannot be pulled. DEBIAN_MIRROR names another mirror than mmdebstrap's default.
EOF
}

[[ ${1:-} == --help ]] && usage && exit
[[ $# -eq 0 ]] || refuse "docker/offline/base.sh takes no arguments."
need_docker
command -v mmdebstrap >/dev/null ||
  fail "mmdebstrap is missing: install it (Debian and Ubuntu: apt-get install mmdebstrap) to make $BASE_IMAGE here."

scratch=$(mktemp --directory)
trap 'rm -rf "$scratch"' EXIT
say "Making $BASE_IMAGE from Debian's packages"
# shellcheck disable=SC2016
mmdebstrap --variant=minbase --architectures=amd64 \
  --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr --include=usr-is-merged,ca-certificates,python3-venv \
  --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
  --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/man/*' \
  --dpkgopt='path-exclude=/usr/share/info/*' \
  --customize-hook='ln -s python3 "$1/usr/bin/python"' \
  bookworm "$scratch/base.tar" ${DEBIAN_MIRROR:+"$DEBIAN_MIRROR"} >"$scratch/log" 2>&1 || {
  tail -n 20 "$scratch/log" >&2
  fail "mmdebstrap could not make $BASE_IMAGE; DEBIAN_MIRROR names another mirror."
}
docker import --platform linux/amd64 \
  --change 'ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin' --change 'ENV LANG=C.UTF-8' \
  --change 'CMD ["python3"]' --change 'LABEL petct.base=bootstrapped' \
  "$scratch/base.tar" "$BASE_IMAGE" >/dev/null
