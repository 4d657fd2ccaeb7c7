#!/usr/bin/env bash
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/docker/lib.sh"
source "$ROOT/docker/venv.sh"

usage() {
  cat <<'EOF'
Usage: ./export.sh [ALGORITHM ...] [--api invoke|exec] [--watch SLUG]
Writes the two files to upload for each algorithm, or for those named: dist/ALGORITHM_VERSION.tar.gz (the image)
and dist/ALGORITHM_model.tar.gz (the model); and dist/ALGORITHM_VERSION.cdx.json, which lists the image's Python packages
(CycloneDX). Run ./build.sh first. An image that the platform would refuse is not written. Where no Docker engine
answers, the models are written, what is missing is named, and the exit status is 1.
  --api NAME    how the platform calls the image: invoke, many cases in one process that is warm, which endpoints need; or
                exec, a process per case (default: invoke)
  --watch SLUG  then name the pages to upload on, wait for the image at https://grand-challenge.org/algorithms/SLUG/, and say
                whether the platform has taken it; takes exactly one ALGORITHM, and your token from the variable
                GRAND_CHALLENGE_AUTHORIZATION. The platform's API takes no images: the upload itself is yours, in a browser
EOF
}

# What the platform holds of a model's tarball in memory.
MODEL_IN_MEMORY_BYTES=$((4 * 1024 ** 3))

compress() {
  if command -v pigz >/dev/null; then pigz; else gzip; fi
}

# Leaves a whole file or none: write_file NAME-IN-DIST LIMIT WHERE-TO-UPLOAD COMMAND ...
write_file() {
  local file=$ROOT/dist/$1 limit=$2 where=$3
  shift 3
  mkdir -p "$ROOT/dist"
  "$@" | compress >"$file.part"
  mv "$file.part" "$file"
  say "dist/${file##*/} ($(numfmt --to=si "$(stat --format %s "$file")")B$limit): on your algorithm's page, $where"
}

tar_model() {
  (cd "$(model_of "$1")" && tar --create --owner 0 --group 0 --numeric-owner -- *)
}

# What docker save writes is checked before it is compressed.
export_image() (
  archive=$ROOT/build/$1/image.tar
  trap 'rm -f "$archive"' EXIT
  docker save --output "$archive" "$(image_of "$1" "$API")"
  petct_tools --read "$archive" -- check image "$archive" >&2 || exit
  write_file "$1_$VERSION.tar.gz" ' of 10 GB' 'Containers, Upload a Container' cat "$archive"
)

# What the image was installed from, as its label says.
list_packages() {
  local layer locks=()
  for layer in $(docker image inspect --format '{{index .Config.Labels "petct.layers"}}' "$(image_of "$1" "$API")"); do
    locks+=("$ROOT/docker/$layer/requirements.txt")
  done
  (
    VENV=$ROOT/build/release
    provide_packages docker/release
    cat "${locks[@]}" | "$VENV/bin/cyclonedx-py" requirements --pyproject "$ROOT/pyproject.toml" --output-reproducible \
      --output-file "$ROOT/dist/$1_$VERSION.cdx.json" -
  ) || { say "dist/$1_$VERSION.cdx.json is missing: the packages of docker/release are needed for it." && return 1; }
  say "dist/$1_$VERSION.cdx.json: the Python packages in that image, for your records"
}

export_model() {
  local file=$ROOT/dist/$1_model.tar.gz
  ! is_demo "$1" || say "The model of $1 is the demo's: ./build.sh $1 --checkpoint DIR takes yours."
  write_file "$1_model.tar.gz" '' 'Models, Upload a Model' tar_model "$1"
  [[ $(stat --format %s "$file") -le $MODEL_IN_MEMORY_BYTES ]] ||
    say "The platform holds a model's tarball in memory up to 4 GiB only: a larger one comes from its disk, and starts later."
}

watch() {
  VENV=$ROOT/build/release provide_packages docker/release
  "$ROOT/build/release/bin/python" "$ROOT/docker/release/watch.py" "$SLUG"
}

read_arguments() {
  local names=()
  API=invoke
  SLUG=
  while [[ $# -gt 0 ]]; do
    case $1 in
      --help) usage && exit ;;
      --api)
        [[ " ${APIS[*]} " == *" ${2:-} "* ]] || refuse "--api is one of: ${APIS[*]}; found '${2:-}'."
        API=$2
        shift
        ;;
      --watch)
        [[ ${2:-} =~ ^[a-z0-9-]+$ ]] || refuse "--watch: found '${2:-}', expected the last part of your algorithm's address."
        SLUG=$2
        shift
        ;;
      -*) refuse "There is no option '$1'; see ./export.sh --help." ;;
      *) names+=("$1") ;;
    esac
    shift
  done
  [[ -z $SLUG || ${#names[@]} -eq 1 ]] || refuse "--watch takes exactly one ALGORITHM, found ${#names[@]}."
  [[ -z $SLUG || -n ${GRAND_CHALLENGE_AUTHORIZATION:-} ]] ||
    refuse "--watch needs your token (your profile on the platform, API tokens) in GRAND_CHALLENGE_AUTHORIZATION."
  choose_algorithms "${names[@]}"
}

main() {
  local name status=0
  read_arguments "$@"
  find_docker "the models are written, the images are not."
  [[ -z $DOCKER ]] || need_own_image "$TOOLS_IMAGE" "./build.sh ${ALGORITHMS[*]}"
  for name in "${ALGORITHMS[@]}"; do
    need_built "$name"
  done
  for name in "${ALGORITHMS[@]}"; do
    if [[ -n $DOCKER ]]; then
      export_image "$name"
      list_packages "$name" || status=1
    else
      say "dist/${name}_$VERSION.tar.gz is missing: where a Docker engine answers, run ./build.sh $name and ./export.sh $name."
      status=1
    fi
    export_model "$name"
  done
  [[ -z $SLUG ]] || watch || status=$?
  return "$status"
}

main "$@"
