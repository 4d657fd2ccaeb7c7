#!/usr/bin/env bash
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/docker/lib.sh"

usage() {
  cat <<'EOF'
Usage: ./export.sh [ALGORITHM ...]
Writes the two files to upload for each algorithm, or for those named: dist/ALGORITHM_VERSION.tar.gz (the image)
and dist/ALGORITHM_model.tar.gz (the model). Run ./build.sh first. An image that the platform would refuse, for it
runs as root or on another architecture than linux/amd64, is not written.
EOF
}

inspect() {
  docker image inspect --format "$2" "$1"
}

need_uploadable() {
  local image=$1 user platform
  user=$(inspect "$image" '{{.Config.User}}')
  platform=$(inspect "$image" '{{.Os}}/{{.Architecture}}')
  case ${user,,} in
    '' | root | 0 | root:* | 0:*)
      refuse "$image runs as root ('$user'), which the platform refuses: name another user in its Dockerfile (USER)."
      ;;
  esac
  [[ $platform == linux/amd64 ]] ||
    refuse "$image is for $platform, the platform runs linux/amd64: build it with --platform linux/amd64."
}

compress() {
  if command -v pigz >/dev/null; then pigz; else gzip; fi
}

export_algorithm() {
  local name=$1 image dist=$ROOT/dist
  local image_file=$dist/$1_$VERSION.tar.gz model_file=$dist/$1_model.tar.gz
  image=$(image_of "$name")
  need_built "$name"
  need_uploadable "$image"
  ! is_demo "$name" || say "The model of $name is the demo's: ./build.sh $name --checkpoint DIR takes yours."
  mkdir -p "$dist"
  docker save "$image" | compress >"$image_file.part"
  (cd "$(model_of "$name")" && tar --create --owner 0 --group 0 --numeric-owner -- *) | compress >"$model_file.part"
  mv "$image_file.part" "$image_file"
  mv "$model_file.part" "$model_file"
  say "dist/${image_file##*/} ($(du -h "$image_file" | cut -f 1)): on your algorithm's page, Containers, Upload a Container"
  say "dist/${model_file##*/} ($(du -h "$model_file" | cut -f 1)): on your algorithm's page, Models, Upload a Model"
}

main() {
  local name
  [[ ${1:-} == --help ]] && usage && return
  choose_algorithms "$@"
  need_docker
  for name in "${ALGORITHMS[@]}"; do
    export_algorithm "$name"
  done
}

main "$@"
