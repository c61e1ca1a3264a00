#!/usr/bin/env bash
# Installs the Debian packages that `make demo` or `make test` needs, or says which command installs them.
#   scripts/system-packages.sh demo|test
set -euo pipefail

languages=(g++ libboost-dev libssl-dev lld nodejs node-typescript default-jdk-headless
           golang-go golang-github-stretchr-testify-dev rustc cargo librust-regex-dev librust-aho-corasick-dev librust-memchr-dev librust-md5-dev
           librust-rand-dev python3-numpy)
case "${1:-}" in
  demo)
    # With a Docker daemon that can build the image, the host needs nothing else.
    if docker info >/dev/null 2>&1; then packages=(mmdebstrap); else packages=(bubblewrap "${languages[@]}"); fi ;;
  test)
    packages=(docker.io mmdebstrap bubblewrap git "${languages[@]}")
    # The pages are tested in a browser; any of this family does.
    command -v chromium chromium-browser google-chrome >/dev/null || packages+=(chromium fonts-dejavu-core) ;;
  *) echo "usage: $0 demo|test" >&2; exit 2 ;;
esac

if ! command -v dpkg-query >/dev/null; then
  echo "this is not Debian or Ubuntu: install the equivalents of ${packages[*]} by hand if a language is missing" >&2
  exit 0
fi
missing=()
for package in "${packages[@]}"; do
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

# gVisor for the tests, which not every distribution has: along with the rest, no reason to ask for anything by itself.
[ "$1" = test ] && optional=(runsc) || optional=()
install="apt-get install --yes --no-install-recommends ${missing[*]}"
if [ "$(id -u)" -ne 0 ]; then
  echo "missing Debian packages; run:  sudo $install" >&2
  # The demo goes on with the languages that are there and says which are not; the tests need them all.
  [ "$1" = demo ] && exit 0 || exit 2
fi
echo "== $install"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
for package in "${optional[@]}"; do
  apt-cache show "$package" >/dev/null 2>&1 && install+=" $package"
done
$install -qq >/dev/null
