#!/usr/bin/env bash
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/docker/lib.sh"
source "$ROOT/docker/venv.sh"

usage() {
  cat <<'EOF'
Usage: ./build.sh [ALGORITHM ...] [OPTION ...]
Builds the images of all algorithms, or of those named, and exports their models into build/ALGORITHM/model. Where no
Docker engine answers, it makes the virtual environment .venv instead, exports the models with it and builds no image;
PYTHON names another interpreter than python3 then; it must be 3.11 or later.
  --checkpoint DIR           export this training folder instead of the demo's; takes exactly one ALGORITHM
  --plans FILE               plans as JSON, for a training folder that comes without (gepnet)
  --interface FILE           the sockets of your algorithm on the platform, as an interface.json (nnunet)
  --folds 0,1                export these folds (default: all)
What a run does unless its own arguments say otherwise; the model folder keeps it until the next ./build.sh:
  --engine NAME              what computes (default: auto)
  --precision NAME           float32 or bfloat16 (default: float32)
  --time-limit SECONDS|none  run fewer folds and mirrorings where all do not fit
  --mirroring all|none       (default: all)
  --step PART                how far one tile is from the next, in tiles (default: 0.5)
PIP_INDEX_URL and PIP_EXTRA_INDEX_URL, where set, name the package indexes that the images install from.
EOF
}

read_arguments() {
  local names=()
  CHECKPOINT=
  FILES=()
  FOLDS=
  SETTINGS=()
  while [[ $# -gt 0 ]]; do
    case $1 in
      --help) usage && exit ;;
      -*) read_option "$1" "${2:-}" && shift ;;
      *) names+=("$1") ;;
    esac
    shift
  done
  [[ -z $CHECKPOINT || ${#names[@]} -eq 1 ]] || refuse "--checkpoint takes exactly one ALGORITHM, found ${#names[@]}."
  [[ ${#FILES[@]} -eq 0 || -n $CHECKPOINT ]] ||
    refuse "${FILES[0]} is of use with --checkpoint only: give the weights' folder, too."
  choose_algorithms "${names[@]}"
}

read_option() {
  local value=$2
  case $1 in
    --checkpoint)
      [[ -d $value ]] || refuse "--checkpoint: there is no folder '$value'; give the folder that training left."
      CHECKPOINT=$(cd "$value" && pwd)
      ;;
    --plans | --interface)
      [[ -f $value ]] || refuse "$1: there is no file '$value'; give a JSON file."
      FILES+=("$1" "$(realpath "$value")")
      ;;
    --folds | --engine | --precision | --time-limit | --mirroring | --step)
      [[ -n $value ]] || refuse "$1 needs a value; see ./build.sh --help."
      if [[ $1 == --folds ]]; then FOLDS=$value; else SETTINGS+=("$1" "$value"); fi
      ;;
    *) refuse "There is no option '$1'; see ./build.sh --help." ;;
  esac
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
    "$ROOT/docker/offline/base.sh"
  }
}

# Where no registry is reached, containers as a rule reach no package index either, but the host's pip may.
provide_wheels() {
  [[ $(docker image inspect --format '{{index .Config.Labels "petct.base"}}' "$BASE_IMAGE") == bootstrapped ]] || return 0
  python3 -m pip --version >/dev/null 2>&1 || return 0
  "$ROOT/docker/offline/wheelhouse.sh"
}

build_shared_images() {
  local indexes=(--build-arg PIP_INDEX_URL --build-arg PIP_EXTRA_INDEX_URL)
  provide_base
  provide_wheels
  build_image "$RUNTIME_IMAGE" "${indexes[@]}" "$ROOT/docker/runtime"
  build_image "$TOOLS_IMAGE" "${indexes[@]}" --build-arg "RUNTIME=$RUNTIME_IMAGE" "$ROOT/docker/tools"
  record_image tools "$TOOLS_IMAGE"
}

build_algorithm() {
  build_image "$(image_of "$1")" --build-arg "RUNTIME=$RUNTIME_IMAGE" --build-arg "ALGORITHM=$1" \
    --build-arg "VERSION=$VERSION" --file "$ROOT/docker/algorithm/Dockerfile" "$ROOT"
  record_image "$1" "$(image_of "$1")"
}

# What the model of a checkpoint depends on: source_of ALGORITHM CHECKPOINT
source_of() {
  local i
  echo "$2"
  fingerprint "$2" "$ROOT/common" "$ROOT/containers/$1" "$ROOT"/docker/{runtime,tools}/requirements.txt
  [[ -z $FOLDS ]] || echo "folds $FOLDS"
  for ((i = 1; i < ${#FILES[@]}; i += 2)); do
    echo "${FILES[i - 1]} $(sha256sum <"${FILES[i]}")"
  done
}

export_model() {
  local name=$1 checkpoint=${CHECKPOINT:-$(demo_of "$1")} folder=$ROOT/build/$1 made_from i mounts=()
  [[ -d $checkpoint ]] || fail "$name has no demo checkpoint: give your own with --checkpoint DIR."
  made_from=$(source_of "$name" "$checkpoint")
  if [[ -f $folder/model/model.json && $(cat "$folder/made_from" 2>/dev/null) == "$made_from" ]]; then
    say "The model of $name is up to date"
    return
  fi
  [[ -z $(checkpoint_of "$name") || $(checkpoint_of "$name") == "$checkpoint" ]] ||
    say "The model of $(checkpoint_of "$name") is replaced"
  say "Exporting $checkpoint into build/$name/model"
  mkdir -p "$folder"
  rm -rf "$folder/model" "$folder/made_from"
  for ((i = 1; i < ${#FILES[@]}; i += 2)); do
    mounts+=(--read "${FILES[i]}")
  done
  petct_tools --read "$checkpoint" "${mounts[@]}" --write "$folder" \
    -- export "$name" --checkpoint "$checkpoint" --model "$folder/model" \
    "${FILES[@]}" ${FOLDS:+--folds "$FOLDS"} "${SETTINGS[@]}"
  echo "$made_from" >"$folder/made_from"
}

# Settings of an earlier build are forgotten, so that the model folder holds what this one was told.
set_model() {
  petct_tools --write "$(model_of "$1")" -- settings "$(model_of "$1")" --clear "${SETTINGS[@]}" >/dev/null
  [[ ${#SETTINGS[@]} -eq 0 ]] || say "Runs of $1 are told ${SETTINGS[*]}"
}

main() {
  local name
  read_arguments "$@"
  find_docker "the models are exported by plain processes, and no images are built."
  mkdir -p "$ROOT/build/log"
  if [[ -n $DOCKER ]]; then
    build_shared_images
  else
    provide_venv docker/runtime docker/tools
  fi
  for name in "${ALGORITHMS[@]}"; do
    [[ -z $DOCKER ]] || build_algorithm "$name"
    export_model "$name"
    set_model "$name"
  done
}

main "$@"
