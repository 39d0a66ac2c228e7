#!/usr/bin/env bash
# Install the system packages that CI's tests need. Safe to run again: what is there already is left alone.
# On a machine that is not Debian or Ubuntu, or without the right to install, it says what is missing and goes on, since
# the tests that need an absent tool say so themselves.
set -euo pipefail

packages=(
    ca-certificates # downloads over https
    chromium        # the notebook front-end is tested in a browser
    g++             # torch.compile on a CPU compiles C++
    gcc
    git             # tests look at the tracked files
    make
    nodejs          # and its JavaScript modules by node --test
    python3-venv    # Debian splits it from python3
    xvfb            # napari is tested on a virtual screen, with what Qt needs of X and OpenGL:
    libdbus-1-3
    libegl1
    libfontconfig1
    libgl1
    libgl1-mesa-dri
    libxcb-cursor0
    libxcb-icccm4
    libxcb-image0
    libxcb-keysyms1
    libxcb-randr0
    libxcb-render-util0
    libxcb-shape0
    libxcb-xinerama0
    libxkbcommon-x11-0
    fonts-dejavu-core
)

missing=()
for package in "${packages[@]}"; do
    if ! dpkg-query --show --showformat '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed'; then
        missing+=("$package")
    fi
done
if [ "${#missing[@]}" -eq 0 ]; then
    exit 0
fi

if ! command -v apt-get >/dev/null; then
    echo "Not a Debian system; please see to it that these are there: ${missing[*]}" >&2
    exit 0
fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    if ! sudo -n true 2>/dev/null; then
        echo "Missing, and no right to install: ${missing[*]}. Run: sudo apt-get install ${missing[*]}" >&2
        exit 0
    fi
    as_root=(sudo)
fi

export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get update -q
install=("${as_root[@]}" apt-get install -q -y --no-install-recommends)
if ! "${install[@]}" "${missing[@]}"; then
    # One that this release has under another name, as Ubuntu has chromium, must not keep the others away.
    for package in "${missing[@]}"; do
        "${install[@]}" "$package" || echo "Could not install $package: the tests that need it will skip." >&2
    done
fi
