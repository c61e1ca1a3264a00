#!/usr/bin/env bash
# gVisor as a runtime of the daemon that scripts/start-docker.sh starts. Sandboxes have no network, and the releases that
# Debian packages cannot take over one that today's Docker has made.
exec runsc --network=none "$@"
