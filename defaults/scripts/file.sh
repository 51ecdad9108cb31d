# shellcheck shell=bash
# Files and directories.
[[ -n ${K_FILE-} ]] && return
K_FILE=1

# shellcheck source=log.sh
. "${KARGO_SCRIPTS_PATH:?}/log.sh"

file_exists() { [[ -f $1 ]]; }
directory_exists() { [[ -d $1 ]]; }
file_path_exists() { [[ -e $1 ]]; }

delete_file_if_exist() {
  file_exists "$1" || return 0
  log_info "delete file $1"
  rm -- "$1"
}

create_directory_if_not_exist() {
  directory_exists "$1" && return 0
  log_info "create directory $1"
  mkdir -p -- "$1"
}

delete_directory_if_exist() {
  directory_exists "$1" || return 0
  log_info "delete directory $1"
  rm -rf -- "$1"
}

# make_temp_directory prints the path of a new one; who asks for it removes it.
make_temp_directory() { mktemp -d; }
