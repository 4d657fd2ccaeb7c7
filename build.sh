#!/usr/bin/env bash
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/docker/lib.sh"

usage() {
  cat <<'EOF'
Usage: ./build.sh [ALGORITHM ...] [--checkpoint DIR [--plans FILE]]
Builds the images of all algorithms, or of those named, and exports their models into build/ALGORITHM/model.
  --checkpoint DIR  export this training folder instead of the demo's; takes exactly one ALGORITHM
  --plans FILE      plans as JSON, for a training folder that comes without (gepnet)
PIP_INDEX_URL and PIP_EXTRA_INDEX_URL, where set, name the package indexes that the images install from.
EOF
}

read_arguments() {
  local names=()
  CHECKPOINT= PLANS=
  while [[ $# -gt 0 ]]; do
    case $1 in
      --help) usage && exit ;;
      --checkpoint)
        [[ -d ${2:-} ]] || refuse "--checkpoint: there is no folder '${2:-}'; give the folder that training left."
        CHECKPOINT=$(cd "$2" && pwd)
        shift
        ;;
      --plans)
        [[ -f ${2:-} ]] || refuse "--plans: there is no file '${2:-}'; give the plans as JSON."
        PLANS=$(realpath "$2")
        shift
        ;;
      -*) refuse "There is no option '$1'; see ./build.sh --help." ;;
      *) names+=("$1") ;;
    esac
    shift
  done
  [[ -z $CHECKPOINT || ${#names[@]} -eq 1 ]] || refuse "--checkpoint takes exactly one ALGORITHM, found ${#names[@]}."
  [[ -z $PLANS || -n $CHECKPOINT ]] || refuse "--plans is of use with --checkpoint only: give the weights' folder, too."
  choose_algorithms "${names[@]}"
}

# Build output goes to a log, shown where the build fails: build_image TAG DOCKER-BUILD-ARGUMENT ...
build_image() {
  local tag=$1 log=$ROOT/build/log/${1%%:*}.txt
  shift
  say "Building $tag"
  docker build --platform linux/amd64 --tag "$tag" "$@" >"$log" 2>&1 || {
    tail -n 40 "$log" >&2
    fail "$tag was not built; the whole log is $log"
  }
}

provide_base() {
  has_image "$BASE_IMAGE" && return
  say "Pulling $BASE_IMAGE"
  docker pull --quiet --platform linux/amd64 "$BASE_IMAGE" >/dev/null 2>&1 || {
    say "$BASE_IMAGE cannot be pulled"
    "$ROOT/docker/base.sh"
  }
}

# Where no registry is reached, containers as a rule reach no package index either, but the host's pip may.
provide_wheels() {
  [[ $(docker image inspect --format '{{index .Config.Labels "petct.base"}}' "$BASE_IMAGE") == bootstrapped ]] || return 0
  python3 -m pip --version >/dev/null 2>&1 || return 0
  "$ROOT/docker/wheelhouse.sh"
}

build_shared_images() {
  local indexes=(--build-arg PIP_INDEX_URL --build-arg PIP_EXTRA_INDEX_URL)
  build_image "$RUNTIME_IMAGE" "${indexes[@]}" "$ROOT/docker/runtime"
  build_image "$TOOLS_IMAGE" "${indexes[@]}" --build-arg "RUNTIME=$RUNTIME_IMAGE" "$ROOT/docker/tools"
}

export_model() {
  local name=$1 checkpoint=${CHECKPOINT:-$(demo_of "$1")} folder=$ROOT/build/$1 made_from volumes=() arguments=()
  [[ -d $checkpoint ]] || fail "$name has no demo checkpoint: give your own with --checkpoint DIR."
  made_from="$checkpoint
$(fingerprint "$checkpoint" "$ROOT/common" "$ROOT/containers/$name" "$ROOT/docker/tools/requirements.txt" ${PLANS:+"$PLANS"})"
  if [[ -f $folder/model/model.json && $(cat "$folder/made_from" 2>/dev/null) == "$made_from" ]]; then
    say "The model of $name is up to date"
    return
  fi
  [[ -z $(checkpoint_of "$name") || $(checkpoint_of "$name") == "$checkpoint" ]] ||
    say "The model of $(checkpoint_of "$name") is replaced"
  say "Exporting $checkpoint into build/$name/model"
  mkdir -p "$folder"
  rm -rf "$folder/model" "$folder/made_from"
  volumes=(--volume "$checkpoint:/checkpoint:ro" --volume "$folder:/export")
  arguments=(--checkpoint /checkpoint --model /export/model)
  if [[ $PLANS ]]; then
    volumes+=(--volume "$PLANS:/plans/${PLANS##*/}:ro")
    arguments+=(--plans "/plans/${PLANS##*/}")
  fi
  petct_tools "${volumes[@]}" -- export "$name" "${arguments[@]}"
  echo "$made_from" >"$folder/made_from"
}

main() {
  local name
  read_arguments "$@"
  need_docker
  mkdir -p "$ROOT/build/log"
  provide_base
  provide_wheels
  build_shared_images
  for name in "${ALGORITHMS[@]}"; do
    build_image "$(image_of "$name")" --build-arg "RUNTIME=$RUNTIME_IMAGE" --build-arg "VERSION=$VERSION" \
      --file "$ROOT/containers/$name/Dockerfile" "$ROOT"
    export_model "$name"
  done
}

main "$@"
