#!/usr/bin/env bash
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/docker/lib.sh"
source "$ROOT/docker/venv.sh"

usage() {
  cat <<'EOF'
Usage: ./build.sh [ALGORITHM ...] [OPTION ...]
Builds the images of all algorithms, or of those named, and exports their models into build/ALGORITHM/model. Each
algorithm has two images, one for each way in which the platform calls: ALGORITHM (exec) and ALGORITHM-invoke. Where no
Docker engine answers, it makes the virtual environment .venv instead, exports the models with it and builds no image;
PYTHON names another interpreter than python3 then; it must be 3.11 or later.
  --checkpoint DIR           export this training folder instead of the demo's; takes exactly one ALGORITHM
  --plans FILE               plans as JSON, for a training folder that comes without (gepnet)
  --interface FILE           the sockets of your algorithm on the platform, as an interface.json (nnunet)
  --folds 0,1                export these folds (default: all)
What the images compute with; without either option it is NVIDIA GPUs by TensorRT-RTX, and CPUs where there is none. Where
NVIDIA's packages cannot be had, everything is made as with --cpu.
  --cpu                      CPUs alone: smaller images, and models without engines for GPUs
  --cuda                     NVIDIA GPUs by ONNX Runtime, for those that TensorRT-RTX does not serve (V100)
What else the images hold:
  --dicom                    pydicom and its decoders, for sockets of DICOM instances
What TensorRT-RTX's engines in the model are compiled for, and what else is in the model:
  --targets 7.5|default|all  GPUs of compute capability 7.5 (T4), those from 8.0 on, or both (default: all)
  --batch-mirrorings         engines that also take all mirrorings of a tile at once
  --deform gather|plugin     deformable convolutions by TensorRT's own layers or by a CUDA kernel (default: gather)
  --no-cpu                   leave out what CPUs compute with: such a model needs a GPU
  --cpu-weights float32|float16  precision in which weights for CPUs are stored (default: float32)
What a run does unless its own arguments say otherwise; the model folder keeps it until the next ./build.sh:
  --engine NAME              what computes (default: auto)
  --precision NAME           of engines other than TensorRT-RTX's: float32 or bfloat16 (default: float32)
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
  VARIANT=tensorrt
  DICOM=
  WEIGHTS=()
  ENGINES=()
  SETTINGS=()
  while [[ $# -gt 0 ]]; do
    case $1 in
      --help) usage && exit ;;
      --cpu | --cuda) choose_variant "${1#--}" ;;
      --dicom) DICOM=yes ;;
      --batch-mirrorings | --no-cpu) ENGINES+=("$1") ;;
      -*) read_option "$1" "${2:-}" && shift ;;
      *) names+=("$1") ;;
    esac
    shift
  done
  [[ -z $CHECKPOINT || ${#names[@]} -eq 1 ]] || refuse "--checkpoint takes exactly one ALGORITHM, found ${#names[@]}."
  [[ ${#FILES[@]} -eq 0 || -n $CHECKPOINT ]] ||
    refuse "${FILES[0]} is of use with --checkpoint only: give the weights' folder, too."
  [[ ${#ENGINES[@]} -eq 0 || $VARIANT == tensorrt ]] ||
    refuse "${ENGINES[0]} is about TensorRT-RTX's engines: leave out --$VARIANT."
  choose_algorithms "${names[@]}"
}

choose_variant() {
  [[ $VARIANT == tensorrt || $VARIANT == "$1" ]] || refuse "--cpu and --cuda exclude each other."
  VARIANT=$1
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
    --targets | --deform | --cpu-weights | --folds | --engine | --precision | --time-limit | --mirroring | --step)
      [[ -n $value ]] || refuse "$1 needs a value; see ./build.sh --help."
      keep_value "$1" "$value"
      ;;
    *) refuse "There is no option '$1'; see ./build.sh --help." ;;
  esac
}

keep_value() {
  case $1 in
    --targets) keep_one_of "$@" 7.5 default all && ENGINES+=("$1" "$2") ;;
    --deform) keep_one_of "$@" gather plugin && ENGINES+=("$1" "$2") ;;
    --cpu-weights) keep_one_of "$@" float32 float16 && WEIGHTS=("$1" "$2") ;;
    --folds) FOLDS=$2 ;;
    *) SETTINGS+=("$1" "$2") ;;
  esac
}

# keep_one_of OPTION VALUE CHOICE ...
keep_one_of() {
  [[ " ${*:3} " == *" $2 "* ]] || refuse "$1 is one of: ${*:3}; found '$2'."
}

log_of() {
  echo "$ROOT/build/log/${1%%:*}.txt"
}

# Build output goes to a log: try_image TAG DOCKER-BUILD-ARGUMENT ...
try_image() {
  local tag=$1
  shift
  say "Building $tag"
  docker build --platform linux/amd64 --tag "$tag" "$@" >"$(log_of "$tag")" 2>&1
}

# The end of the log is shown where the build fails: build_image TAG DOCKER-BUILD-ARGUMENT ...
build_image() {
  try_image "$@" || {
    tail -n 40 "$(log_of "$1")" >&2
    fail "$1 was not built; the whole log is $(log_of "$1")"
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
  "$ROOT/docker/offline/wheelhouse.sh" "$@"
}

# The runtime image with another layer on it: build_on_runtime BUILDER LAYER TAG
build_on_runtime() {
  "$1" "$3" "${INDEXES[@]}" --build-arg "RUNTIME=$RUNTIME_IMAGE" "$ROOT/docker/$2"
}

# An index that does not answer is given up soon: there is a way without these packages.
build_tensorrt() {
  PIP_RETRIES=1 provide_wheels tensorrt 2>"$(log_of "$TENSORRT_IMAGE")" && build_on_runtime try_image tensorrt "$TENSORRT_IMAGE"
}

# Whatever else was asked for, the models and images for CPUs can be made; not what only NVIDIA's packages can do.
go_on_without_tensorrt() {
  local log=${1:+ (the log is $1)}
  [[ ${#ENGINES[@]} -eq 0 ]] || fail "NVIDIA's packages cannot be had$log: ${ENGINES[0]} needs them."
  say "NVIDIA's packages cannot be had$log: building for CPUs"
  VARIANT=cpu
}

# Sets BASIS to the image that the algorithms' stand on, LAYERS to the folders of its locks, and TOOLS_BASIS to the image
# that the tools' stands on.
build_basis() {
  provide_wheels runtime
  build_image "$RUNTIME_IMAGE" "${INDEXES[@]}" "$ROOT/docker/runtime"
  BASIS=$RUNTIME_IMAGE
  LAYERS=runtime
  TOOLS_BASIS=$RUNTIME_IMAGE
  if [[ $VARIANT == cuda ]]; then
    provide_wheels cuda
    build_on_runtime build_image cuda "$CUDA_IMAGE"
    BASIS=$CUDA_IMAGE
    LAYERS+=' cuda'
  elif [[ $VARIANT == tensorrt ]]; then
    if build_tensorrt; then
      BASIS=$TENSORRT_IMAGE
      LAYERS+=' tensorrt'
      TOOLS_BASIS=$TENSORRT_IMAGE
    else
      go_on_without_tensorrt "$(log_of "$TENSORRT_IMAGE")"
    fi
  fi
  [[ -z $DICOM ]] || add_dicom
}

add_dicom() {
  provide_wheels dicom
  build_image "$DICOM_IMAGE" "${INDEXES[@]}" --build-arg "RUNTIME=$BASIS" "$ROOT/docker/dicom"
  BASIS=$DICOM_IMAGE
  LAYERS+=' dicom'
}

build_tools() {
  provide_wheels tools
  build_image "$TOOLS_IMAGE" "${INDEXES[@]}" --build-arg "RUNTIME=$TOOLS_BASIS" "$ROOT/docker/tools"
  if has_plugin; then
    provide_wheels nvrtc
    build_image "$TOOLS_IMAGE" "${INDEXES[@]}" --build-arg "TOOLS=$TOOLS_IMAGE" "$ROOT/docker/nvrtc"
  fi
  record_image "$TOOLS_IMAGE"
}

build_shared_images() {
  INDEXES=(--build-arg PIP_INDEX_URL --build-arg PIP_EXTRA_INDEX_URL)
  provide_base
  build_basis
  build_tools
}

has_plugin() {
  [[ " ${ENGINES[*]} " == *" --deform plugin "* ]]
}

provide_environment() {
  local layer nvidia=()
  [[ $VARIANT != cuda ]] || refuse "--cuda makes images, for which a Docker engine is needed: leave it out."
  [[ $VARIANT != tensorrt ]] || nvidia=(docker/tensorrt)
  ! has_plugin || nvidia+=(docker/nvrtc)
  provide_venv docker/runtime "${nvidia[@]}" docker/tools
  for layer in "${nvidia[@]}"; do
    has_layer "$layer" || go_on_without_tensorrt
  done
}

# An image for each way to call it; they differ in label and entry point.
build_algorithm() {
  local api image
  for api in "${APIS[@]}"; do
    image=$(image_of "$1" "$api")
    build_image "$image" --target "$api" --build-arg "RUNTIME=$BASIS" --build-arg "ALGORITHM=$1" \
      --build-arg "VERSION=$VERSION" --build-arg "LAYERS=$LAYERS" --file "$ROOT/docker/algorithm/Dockerfile" "$ROOT"
    record_image "$image"
  done
}

# Sets EXPORT to what `petct export` is told besides the checkpoint, and LOCKS to the packages that do it.
choose_export() {
  EXPORT=("${WEIGHTS[@]}")
  LOCKS=("$ROOT"/docker/{runtime,tools}/requirements.txt)
  [[ $VARIANT == tensorrt ]] || return 0
  EXPORT+=(--tensorrt "${ENGINES[@]}")
  LOCKS+=("$ROOT/docker/tensorrt/requirements.txt")
}

# What the model of a checkpoint depends on: source_of ALGORITHM CHECKPOINT
source_of() {
  local i
  echo "$2"
  fingerprint "$2" "$ROOT/common" "$ROOT/containers/$1" "${LOCKS[@]}"
  echo "options ${EXPORT[*]}"
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
    "${FILES[@]}" ${FOLDS:+--folds "$FOLDS"} "${EXPORT[@]}" "${SETTINGS[@]}"
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
    provide_environment
  fi
  choose_export
  for name in "${ALGORITHMS[@]}"; do
    [[ -z $DOCKER ]] || build_algorithm "$name"
    export_model "$name"
    set_model "$name"
  done
}

main "$@"
