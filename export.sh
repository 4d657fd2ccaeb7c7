#!/usr/bin/env bash
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/docker/lib.sh"

usage() {
  cat <<'EOF'
Usage: ./export.sh [ALGORITHM ...]
Writes the two files to upload for each algorithm, or for those named: dist/ALGORITHM_VERSION.tar.gz (the image)
and dist/ALGORITHM_model.tar.gz (the model). Run ./build.sh first. An image that the platform would refuse, for it
runs as root or on another architecture than linux/amd64, is not written. Where no Docker engine answers, the models
are written, what is missing is named, and the exit status is 1.
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

# Leaves a whole file or none: write_file NAME-IN-DIST WHERE-TO-UPLOAD COMMAND ...
write_file() {
  local file=$ROOT/dist/$1 where=$2
  shift 2
  mkdir -p "$ROOT/dist"
  "$@" | compress >"$file.part"
  mv "$file.part" "$file"
  say "dist/${file##*/} ($(du -h "$file" | cut -f 1)): on your algorithm's page, $where"
}

tar_model() {
  (cd "$(model_of "$1")" && tar --create --owner 0 --group 0 --numeric-owner -- *)
}

export_image() {
  write_file "$1_$VERSION.tar.gz" 'Containers, Upload a Container' docker save "$(image_of "$1")"
}

export_model() {
  ! is_demo "$1" || say "The model of $1 is the demo's: ./build.sh $1 --checkpoint DIR takes yours."
  write_file "$1_model.tar.gz" 'Models, Upload a Model' tar_model "$1"
}

main() {
  local name status=0
  [[ ${1:-} == --help ]] && usage && return
  choose_algorithms "$@"
  find_docker "the models are written, the images are not."
  for name in "${ALGORITHMS[@]}"; do
    need_built "$name"
    [[ -z $DOCKER ]] || need_uploadable "$(image_of "$name")"
  done
  for name in "${ALGORITHMS[@]}"; do
    export_model "$name"
    if [[ -n $DOCKER ]]; then
      export_image "$name"
    else
      say "dist/${name}_$VERSION.tar.gz is missing: where a Docker engine answers, run ./build.sh $name and ./export.sh $name."
      status=1
    fi
  done
  return "$status"
}

main "$@"
