#!/usr/bin/env bash
# venv.sh DIR [PACKAGE...]: a Python environment in DIR that holds the packages.
set -euo pipefail

cd "$(dirname "$0")/.."
dir=$1
shift
if [ "$(cat "$dir/packages" 2>/dev/null)" = "ready $*" ]; then
	exit 0
fi
scripts/need.sh python3 python3
if ! python3 -c 'import ensurepip, venv' >/dev/null 2>&1; then
	# need.sh asks for a command, and this is a module: any name that is not there will do.
	scripts/need.sh python3-venv python3-venv
fi
python3 -m venv "$dir"
if [ $# -gt 0 ]; then
	"$dir/bin/python" -m pip install --quiet --disable-pip-version-check "$@" >&2
fi
echo "ready $*" >"$dir/packages"
