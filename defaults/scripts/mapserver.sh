# shellcheck shell=bash
# Data of the MapServer that runs on this node (MAPSERVER_DATA_PATH).
[[ -n ${K_MAPSERVER-} ]] && return
K_MAPSERVER=1

# shellcheck source=log.sh
. "${KARGO_SCRIPTS_PATH:?}/log.sh"
# shellcheck source=rclone.sh
. "${KARGO_SCRIPTS_PATH:?}/rclone.sh"
# shellcheck source=swarm.sh
. "${KARGO_SCRIPTS_PATH:?}/swarm.sh"

# sync_remote_tile_index REMOTE:PATH copies the index PATH.shp and what belongs
# to it, and makes MapServer find tiles in it faster.
sync_remote_tile_index() {
  local remote=${1%%:*} path=${1#*:} extension container
  for extension in shp shx dbf prj; do
    copy_from_remote "$remote" "$path.$extension" "${MAPSERVER_DATA_PATH:?}" || return
  done
  container=$(docker_id_from_name mapserver)
  if [[ -z $container ]]; then
    log_error "no MapServer runs on this node"
    return 1
  fi
  docker exec --workdir /mnt/data "$container" shptree "$(basename "$path").shp"
}
