#!/usr/bin/env bash
# seed-cache OPTIONS... - run mapcache_seed with these options on this node, in
# the background; `docker logs` of the container that it prints tells how far it is.
set -euo pipefail

docker run --detach --network "${DOCKER_BACK_NETWORK:?}" --user www-data:www-data \
  --volume "${MAPCACHE_DATA_PATH:?}:/mnt/data" \
  --volume "${KARGO_BUILD_PATH:?}/configs/mapcache:/etc/mapcache:ro" \
  "${MAPCACHE_IMAGE:?}:${MAPCACHE_TAG:?}" mapcache_seed -c /etc/mapcache/mapcache.xml "$@"
