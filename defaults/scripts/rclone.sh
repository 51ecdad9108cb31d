# shellcheck shell=bash
# Copies to and from the remotes of rclone's configuration.
[[ -n ${K_RCLONE-} ]] && return
K_RCLONE=1

# shellcheck source=log.sh
. "${KARGO_SCRIPTS_PATH:?}/log.sh"
# shellcheck source=file.sh
. "${KARGO_SCRIPTS_PATH:?}/file.sh"

remote_exists() {
  rclone listremotes | grep --fixed-strings --line-regexp --quiet "$1:"
}

# copy_to_remote REMOTE SOURCE DESTINATION
copy_to_remote() {
  if ! remote_exists "$1"; then
    log_error "rclone knows no remote $1"
    return 1
  fi
  if ! file_path_exists "$2"; then
    log_error "$2 does not exist"
    return 1
  fi
  log_info "copy $2 to $1:$3"
  rclone copy "$2" "$1:$3"
}

# copy_from_remote REMOTE SOURCE DESTINATION
copy_from_remote() {
  if ! remote_exists "$1"; then
    log_error "rclone knows no remote $1"
    return 1
  fi
  if ! file_path_exists "$3"; then
    log_error "$3 does not exist"
    return 1
  fi
  log_info "copy $1:$2 to $3"
  rclone copy "$1:$2" "$3"
}
