#!/usr/bin/env bash
# Starts a Docker daemon where none answers (as root), and waits until it does.
set -euo pipefail

docker info >/dev/null 2>&1 && exit 0
command -v dockerd >/dev/null || { echo "no Docker daemon: apt-get install docker.io, then again" >&2; exit 2; }
[ "$(id -u)" -eq 0 ] || { echo "the Docker daemon does not answer: sudo systemctl start docker, then again" >&2; exit 2; }
log=${TMPDIR:-/tmp}/dockerd.log
echo "== starting dockerd (log: $log)"
# Of a daemon that was killed: their numbers may be others' by now, and dockerd would wait for the containerd it believes in.
rm -f /var/run/docker.pid /var/run/docker/containerd/containerd.pid
runtimes=()
# With gVisor, if it is installed and no configuration of the machine's owner says how.
if command -v runsc >/dev/null && [ ! -e /etc/docker/daemon.json ]; then
  runtimes=(--add-runtime "runsc=$(cd "$(dirname "$0")" && pwd)/runsc.sh")
fi
setsid nohup dockerd "${runtimes[@]}" >"$log" 2>&1 </dev/null &
for _ in $(seq 180); do
  docker info >/dev/null 2>&1 && exit 0
  sleep 1
done
tail -n 20 "$log" >&2
echo "dockerd did not come up within three minutes; its last lines are above" >&2
exit 2
