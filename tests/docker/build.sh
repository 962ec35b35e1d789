#!/usr/bin/env bash
# Build docker/Dockerfile with buildah, without a container engine and without a registry: FOLDER/root is the
# image's root file system, and FOLDER/image.json its configuration.
#   tests/docker/build.sh FOLDER
# Needs root, and Debian's packages buildah and mmdebstrap. The base is a minimal Debian with Python from the
# machine's own package mirror, in place of the base that the Dockerfile pins.
set -euo pipefail
folder=$(mkdir -p "$1" && cd "$1" && pwd)
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

storage="$folder/storage"
build() { buildah --root "$storage/images" --runroot "$storage/run" "$@"; }
clean() { [ ! -d "$storage" ] || { build umount --all >/dev/null; build rm --all >/dev/null; rm -rf "$storage"; }; }
trap clean EXIT
clean
rm -rf "$folder/root" "$folder/image.json"

mmdebstrap --quiet --variant=minbase --include=python3,python3-venv,ca-certificates \
    "$(. /etc/os-release && echo "$VERSION_CODENAME")" "$folder/base.tar" </dev/null
base=$(build from scratch)
build add --quiet "$base" "$folder/base.tar" / >/dev/null
build commit --quiet "$base" localhost/base >/dev/null
rm "$folder/base.tar"

# The machine's certificates: its package index may have one of its own. Only the format of Docker keeps health checks.
build bud --isolation chroot --format docker --layers=false --pull-never --quiet \
    --volume /etc/ssl/certs:/etc/ssl/certs:ro --build-arg BASE=localhost/base \
    --file docker/Dockerfile --tag localhost/intertwine .
build inspect --type image localhost/intertwine >"$folder/image.json"
cp -a "$(build mount "$(build from localhost/intertwine)")" "$folder/root"
