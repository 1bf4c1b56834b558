#!/usr/bin/env bash
# fuzz.sh DURATION: runs every fuzz target of the tree for that long, one after the other.
set -euo pipefail

cd "$(dirname "$0")/.."
found=0
while IFS=: read -r file func; do
	found=$((found + 1))
	package=$(dirname "$file")
	target=${func#func }
	echo "$package $target"
	go test -run='^$' -fuzz="^$target\$" -fuzztime="$1" "$package" </dev/null
done < <(grep -rEo --include='*_test.go' --exclude-dir='.?*' '^func Fuzz[A-Za-z0-9_]*' .)
echo "$found fuzz targets, $1 each"
