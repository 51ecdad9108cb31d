#!/usr/bin/env bash
# make-tile-index REMOTE:PATH PREFIX - write PREFIX.shp, an index of the rasters
# on object storage.
set -euo pipefail

# shellcheck source=gdal.sh
. "${KARGO_SCRIPTS_PATH:?}/gdal.sh"

make_tile_index_from_remote_directory "${1:?say which remote:path}" "${2:?say where the index goes}"
