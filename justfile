# Daily commands; `just` alone lists them. Each is one line that can be typed without just.

set positional-arguments

_list:
    @just --list

# Everything: .venv, linters, types, tests; takes pytest's arguments.
all *arguments:
    tests/run.sh "$@"

# Some tests, quickly: just test tests/common/test_sizes.py -k rounded
test *arguments:
    .venv/bin/pytest "$@"

# Style, types, and who imports whom.
lint:
    .venv/bin/ruff check && .venv/bin/ruff format --check && .venv/bin/mypy && .venv/bin/lint-imports

# Fix what can be mended.
format:
    .venv/bin/ruff check --fix && .venv/bin/ruff format

# Image and model of one algorithm, run as the platform does; takes build.sh's options.
algorithm name *options:
    ./build.sh {{name}} {{options}} && ./test.sh {{name}}

# Pin packages anew: just lock --upgrade
lock *options:
    docker/lock.sh "$@"

# What each benchmark measures.
benchmarks:
    @grep --files-with-matches __main__ benchmarks/*.py | xargs head --lines 1

# One benchmark: just benchmark prediction --runs 3
benchmark name *options:
    PYTHONPATH=. .venv/bin/python benchmarks/{{name}}.py {{options}}
