#!/usr/bin/env bash
# need.sh COMMAND PACKAGE...: installs the Debian packages when COMMAND is missing.
set -euo pipefail

command=$1
shift
if command -v "$command" >/dev/null 2>&1; then
	exit 0
fi
sudo=
if [ "$(id -u)" != 0 ]; then
	sudo=sudo
fi
if ! command -v apt-get >/dev/null 2>&1 || { [ -n "$sudo" ] && ! command -v sudo >/dev/null 2>&1; }; then
	echo "need.sh: $command is missing; install it (Debian: apt-get install $*)" >&2
	exit 1
fi
echo "$command is missing: installing $* with apt-get" >&2
export DEBIAN_FRONTEND=noninteractive
$sudo apt-get update -qq >/dev/null
$sudo apt-get install -y -qq --no-install-recommends "$@" >/dev/null
