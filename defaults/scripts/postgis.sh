# shellcheck shell=bash
# Databases of the service postgis. Passwords go by the environment, not by
# command lines, which everybody on the node may read.
[[ -n ${K_POSTGIS-} ]] && return
K_POSTGIS=1

# shellcheck source=log.sh
. "${KARGO_SCRIPTS_PATH:?}/log.sh"
# shellcheck source=file.sh
. "${KARGO_SCRIPTS_PATH:?}/file.sh"

# _postgis USER PASSWORD DIRECTORY COMMAND... runs a command that finds the
# server, with a directory of this node as /backup.
_postgis() {
  local user=$1 password=$2 directory=$3
  shift 3
  PGPASSWORD=$password docker run --rm --interactive --network "${DOCKER_BACK_NETWORK:?}" \
    --env PGPASSWORD --env PGHOST=postgis --env PGUSER="$user" \
    ${directory:+--volume "$directory:/backup"} "${POSTGIS_IMAGE:?}:${POSTGIS_TAG:?}" "$@"
}

# _postgis_root runs SQL of standard input; arguments are options of psql.
_postgis_root() {
  _postgis "${POSTGIS_ROOT_USER:?}" "${POSTGIS_ROOT_PASSWORD:?}" "" \
    psql --dbname postgres --no-psqlrc --quiet --set ON_ERROR_STOP=1 "$@"
}

# postgis_db_exists DATABASE
postgis_db_exists() {
  local found
  found=$(_postgis_root --tuples-only --set name="$1" <<<"SELECT 1 FROM pg_database WHERE datname = :'name'")
  [[ $found == *1* ]]
}

# create_postgis_db DATABASE
create_postgis_db() {
  log_info "create database $1"
  _postgis_root --set name="$1" <<<'CREATE DATABASE :"name"'
}

# create_postgis_user USER PASSWORD DATABASE
create_postgis_user() {
  log_info "create user $1"
  _postgis_root --set name="$1" --set database="$3" <<SQL
CREATE USER :"name" WITH ENCRYPTED PASSWORD '${2//\'/\'\'}';
GRANT ALL PRIVILEGES ON DATABASE :"database" TO :"name";
SQL
}

# drop_postgis_db DATABASE
drop_postgis_db() {
  log_info "drop database $1"
  _postgis_root --set name="$1" <<<'DROP DATABASE :"name"'
}

# drop_postgis_user USER
drop_postgis_user() {
  log_info "drop user $1"
  _postgis_root --set name="$1" <<<'DROP ROLE :"name"'
}

# backup_postgis_db USER PASSWORD DATABASE DIRECTORY writes DATABASE.gz, in
# PostgreSQL's own format whatever the name says.
backup_postgis_db() {
  if ! directory_exists "$4"; then
    log_error "directory $4 does not exist"
    return 1
  fi
  log_info "back up database $3"
  _postgis "$1" "$2" "$4" pg_dump --format custom --file "/backup/$3.gz" "$3"
}

# restore_postgis_db USER PASSWORD DATABASE DIRECTORY
restore_postgis_db() {
  if ! file_exists "$4/$3.gz"; then
    log_error "file $4/$3.gz does not exist"
    return 1
  fi
  log_info "restore database $3"
  _postgis "$1" "$2" "$4" pg_restore --dbname "$3" "/backup/$3.gz"
}
