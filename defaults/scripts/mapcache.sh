# shellcheck shell=bash
# Tiles of the cache of this node (MAPCACHE_DATA_PATH).
[[ -n ${K_MAPCACHE-} ]] && return
K_MAPCACHE=1

# shellcheck source=log.sh
. "${KARGO_SCRIPTS_PATH:?}/log.sh"
# shellcheck source=file.sh
. "${KARGO_SCRIPTS_PATH:?}/file.sh"

_mapcache_seed() {
  docker run --rm --network "${DOCKER_BACK_NETWORK:?}" --user www-data:www-data \
    --volume "${MAPCACHE_DATA_PATH:?}:/mnt/data" \
    --volume "${KARGO_BUILD_PATH:?}/configs/mapcache:/etc/mapcache:ro" \
    "${MAPCACHE_IMAGE:?}:${MAPCACHE_TAG:?}" mapcache_seed -c /etc/mapcache/mapcache.xml "$@"
}

# _mapcache_area [FILE]: sets area to the options that keep to the area of a
# file of configs/mapcache.
_mapcache_area() {
  area=()
  [[ -n ${1-} ]] || return 0
  if ! file_exists "$KARGO_BUILD_PATH/configs/mapcache/$1"; then
    log_error "configs/mapcache has no file $1"
    return 1
  fi
  area=(-d "/etc/mapcache/$1")
}

# delete_mapcache_tiles LAYER FROM TO [AREA], FROM and TO being zoom levels
delete_mapcache_tiles() {
  local area
  _mapcache_area "${4-}" || return
  log_info "delete tiles of $1, levels $2 to $3, ${4:-everywhere}"
  _mapcache_seed -t "$1" -z "$2,$3" -m delete "${area[@]}"
}

# seed_mapcache_tiles LAYER FROM TO THREADS [AREA]
seed_mapcache_tiles() {
  local area
  _mapcache_area "${5-}" || return
  log_info "make tiles of $1, levels $2 to $3, ${5:-everywhere}"
  _mapcache_seed -t "$1" -z "$2,$3" -n "$4" -m seed "${area[@]}"
}
