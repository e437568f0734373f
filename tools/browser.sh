#!/bin/sh
# Installs what tests of pages need and nothing else does: the browser that people use, and a Chinese font for it.
set -eu

[ -x /usr/bin/chromium ] && [ -n "$(fc-list :lang=zh 2>/dev/null)" ] && exit 0

packages="chromium fontconfig fonts-noto-cjk"
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "setup: installing $packages"
    DEBIAN_FRONTEND=noninteractive apt-get update -q >/dev/null
    # shellcheck disable=SC2086  # several packages
    DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $packages >/dev/null
else
    echo "setup: the tests of pages need these packages: sudo apt-get install $packages" >&2
    exit 1
fi
