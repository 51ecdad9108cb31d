# shellcheck shell=bash
# Databases of the service mariadb. Passwords go by the environment, not by
# command lines, which everybody on the node may read.
[[ -n ${K_MARIADB-} ]] && return
K_MARIADB=1

# shellcheck source=log.sh
. "${KARGO_SCRIPTS_PATH:?}/log.sh"
# shellcheck source=file.sh
. "${KARGO_SCRIPTS_PATH:?}/file.sh"

# _mariadb PASSWORD COMMAND... runs a client of the server.
_mariadb() {
  local password=$1
  shift
  MYSQL_PWD=$password docker run --rm --interactive --network "${DOCKER_BACK_NETWORK:?}" \
    --env MYSQL_PWD "${MARIADB_IMAGE:?}:${MARIADB_TAG:?}" "$@"
}

# _mariadb_root runs SQL of standard input.
_mariadb_root() {
  _mariadb "${MARIADB_ROOT_PASSWORD:?}" mariadb --host mariadb --user root --batch --skip-column-names
}

# _sql_name and _sql_text write a name and a text as SQL does.
# shellcheck disable=SC2016 # the backquotes are SQL's
_sql_name() { printf '`%s`' "${1//\`/\`\`}"; }
_sql_text() {
  local text=${1//\\/\\\\}
  printf "'%s'" "${text//\'/\'\'}"
}

# mariadb_db_exists DATABASE
mariadb_db_exists() {
  local found
  found=$(_mariadb_root <<<"SELECT 1 FROM information_schema.schemata WHERE schema_name = $(_sql_text "$1")")
  [[ $found == 1 ]]
}

# create_mariadb_db DATABASE
create_mariadb_db() {
  log_info "create database $1"
  _mariadb_root <<<"CREATE DATABASE $(_sql_name "$1")"
}

# create_mariadb_user USER PASSWORD DATABASE
create_mariadb_user() {
  log_info "create user $1"
  _mariadb_root <<SQL
CREATE USER IF NOT EXISTS $(_sql_text "$1")@'%' IDENTIFIED BY $(_sql_text "$2");
GRANT ALL PRIVILEGES ON $(_sql_name "$3").* TO $(_sql_text "$1")@'%';
SQL
}

# drop_mariadb_db DATABASE
drop_mariadb_db() {
  log_info "drop database $1"
  _mariadb_root <<<"DROP DATABASE $(_sql_name "$1")"
}

# drop_mariadb_user USER
drop_mariadb_user() {
  log_info "drop user $1"
  _mariadb_root <<<"DROP USER $(_sql_text "$1")@'%'"
}

# backup_mariadb_db USER PASSWORD DATABASE DIRECTORY writes DATABASE.gz.
backup_mariadb_db() {
  if ! directory_exists "$4"; then
    log_error "directory $4 does not exist"
    return 1
  fi
  log_info "back up database $3"
  (
    set -o pipefail
    _mariadb "$2" mariadb-dump --host mariadb --user "$1" --single-transaction "$3" | gzip >"$4/$3.gz"
  )
}

# restore_mariadb_db USER PASSWORD DATABASE DIRECTORY
restore_mariadb_db() {
  if ! file_exists "$4/$3.gz"; then
    log_error "file $4/$3.gz does not exist"
    return 1
  fi
  log_info "restore database $3"
  (
    set -o pipefail
    gunzip --stdout "$4/$3.gz" | _mariadb "$2" mariadb --host mariadb --user "$1" "$3"
  )
}
