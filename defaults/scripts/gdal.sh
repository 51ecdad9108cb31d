# shellcheck shell=bash
# Geographic files, with the tools of GDAL (GDAL_IMAGE and GDAL_TAG).
[[ -n ${K_GDAL-} ]] && return
K_GDAL=1

# shellcheck source=log.sh
. "${KARGO_SCRIPTS_PATH:?}/log.sh"

# _remote_setting REMOTE NAME prints a setting of a remote of rclone.
_remote_setting() {
  rclone config dump | jq --raw-output --arg remote "$1" --arg name "$2" '.[$remote][$name] // ""'
}

# make_tile_index_from_remote_directory REMOTE:PATH PREFIX writes PREFIX.shp and
# what belongs to it: which part of the world each file on object storage shows.
make_tile_index_from_remote_directory() {
  local remote=${1%%:*} path=${1#*:} directory name
  local AWS_S3_ENDPOINT AWS_REGION AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
  directory=$(realpath "$(dirname "$2")") name=$(basename "$2")
  log_info "list files of $1"
  rclone lsf --recursive --files-only "$1" | sed "s#^#/vsis3/$path/#" >"$directory/$name.lst" || return

  AWS_S3_ENDPOINT=$(_remote_setting "$remote" endpoint)
  AWS_REGION=$(_remote_setting "$remote" region)
  AWS_ACCESS_KEY_ID=$(_remote_setting "$remote" access_key_id)
  AWS_SECRET_ACCESS_KEY=$(_remote_setting "$remote" secret_access_key)
  export AWS_S3_ENDPOINT AWS_REGION AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
  log_info "make the index $2"
  docker run --rm --env AWS_S3_ENDPOINT --env AWS_REGION --env AWS_ACCESS_KEY_ID --env AWS_SECRET_ACCESS_KEY \
    --volume "$directory:/data" --workdir /data "${GDAL_IMAGE:?}:${GDAL_TAG:?}" \
    gdaltindex -tileindex location -t_srs EPSG:4326 -src_srs_name tile_srs -src_srs_format EPSG \
    "$name.shp" --optfile "$name.lst"
}
