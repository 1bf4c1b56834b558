#!/usr/bin/env bash
# node.sh DIR PACKAGE...: the npm packages in DIR/node_modules.
set -euo pipefail

dir=$1
shift
if [ "$(cat "$dir/node-packages" 2>/dev/null)" = "ready $*" ]; then
	exit 0
fi
mkdir -p "$dir"
npm install --silent --no-audit --no-fund --no-save --prefix "$dir" "$@" >&2
echo "ready $*" >"$dir/node-packages"
