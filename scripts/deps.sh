#!/usr/bin/env bash
# deps.sh extensions|flights: fetches into .cache what tests and examples need.
# What is there already is not fetched again.
set -euo pipefail

cd "$(dirname "$0")/.."
cache=$PWD/.cache
mkdir -p "$cache"

# The version of DuckDB that engine/duckdb is linked with: an extension loads
# into that version only, and its signature is checked at LOAD.
duckdb=1.5.5
flights=vega-datasets@3.2.1

work=
trap 'rm -rf "$work"' EXIT

# pip runs pip: the system's, else that of a virtual environment of our own.
pip() {
	if python3 -m pip --version >/dev/null 2>&1; then
		python3 -m pip "$@"
	else
		scripts/venv.sh "$cache/venv"
		"$cache/venv/bin/python" -m pip "$@"
	fi
}

# extensions puts NAME.duckdb_extension into .cache/extensions; each is a file
# inside a wheel.
extensions() {
	local dir=$cache/extensions name
	for name in ducklake sqlite_scanner; do
		if [ -f "$dir/$name.duckdb_extension" ] && [ "$(cat "$dir/$name.version" 2>/dev/null)" = "$duckdb" ]; then
			continue
		fi
		echo "fetching the DuckDB extension $name $duckdb" >&2
		scripts/need.sh python3 python3
		work=$(mktemp -d "$cache/fetch.XXXXXX")
		pip download --quiet --disable-pip-version-check --no-deps --dest "$work" "duckdb-extension-${name//_/-}==$duckdb" >&2
		python3 -m zipfile -e "$work"/*.whl "$work/wheel"
		mkdir -p "$dir"
		mv "$work/wheel/duckdb_extension_$name/extensions/v$duckdb/$name.duckdb_extension" "$dir/"
		echo "$duckdb" >"$dir/$name.version"
		rm -rf "$work"
	done
}

# flights puts 3 million real flights into .cache/data. It fails, and says so,
# when they cannot be had: callers have a way without them.
flights() {
	local file=$cache/data/flights-3m.parquet
	if [ -f "$file" ]; then
		return
	fi
	if ! command -v npm >/dev/null 2>&1; then
		echo "npm is missing: the flights of the package $flights cannot be fetched" >&2
		return 1
	fi
	echo "fetching 3 million flights (the package $flights, 17 MB)" >&2
	work=$(mktemp -d "$cache/fetch.XXXXXX")
	if ! (cd "$work" && npm pack --silent --fetch-retries=1 "$flights" >/dev/null && tar -xzf ./*.tgz package/data/flights-3m.parquet); then
		echo "the package $flights cannot be fetched" >&2
		return 1
	fi
	mkdir -p "$cache/data"
	mv "$work/package/data/flights-3m.parquet" "$file"
}

case ${1-} in
extensions) extensions ;;
flights) flights ;;
*)
	echo "usage: deps.sh extensions|flights" >&2
	exit 2
	;;
esac
