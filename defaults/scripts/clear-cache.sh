#!/usr/bin/env bash
# clear-cache LAYER - remove what MapCache keeps of a layer, on this node.
set -euo pipefail

# shellcheck source=log.sh
. "${KARGO_SCRIPTS_PATH:?}/log.sh"
# shellcheck source=file.sh
. "${KARGO_SCRIPTS_PATH:?}/file.sh"

layer=${1:?say which layer}
if [[ $layer == */* || $layer == .* ]]; then
  log_error "$layer is not the name of a layer"
  exit 1
fi
delete_directory_if_exist "${MAPCACHE_DATA_PATH:?}/$layer/GLOBAL_WEBMERCATOR"
