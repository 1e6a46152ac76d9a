# Every chore, by name. `just` lists them.

python := ".venv/bin/python"

_default:
    @just --list

# a virtual environment with everything for development
setup:
    python3 -m venv .venv
    .venv/bin/pip install -c constraints.txt -e '.[dev]'

# the tests
test *args:
    {{python}} -m pytest {{args}}

# style, types and the floors of the house
check:
    .venv/bin/ruff check
    .venv/bin/ruff format --check
    .venv/bin/mypy
    .venv/bin/lint-imports

# put the code into the house's style
format:
    .venv/bin/ruff check --fix
    .venv/bin/ruff format

# the figures that the docs quote
bench *args:
    {{python}} bench/hunt.py {{args}}

# the versions that the tests ran with
constraints:
    {{python}} -m pip freeze --exclude-editable | grep -v '^-e ' > constraints.txt
