#!/usr/bin/env bash
# sync-tile-index REMOTE:PATH - copy the index PATH.shp to MapServer on this node.
set -euo pipefail

# shellcheck source=mapserver.sh
. "${KARGO_SCRIPTS_PATH:?}/mapserver.sh"

sync_remote_tile_index "${1:?say which remote:path}"
