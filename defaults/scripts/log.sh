# shellcheck shell=bash
# Messages: to the terminal where there is one, else to the log of the system.
[[ -n ${K_LOG-} ]] && return
K_LOG=1

_log() {
  local level=$1 color=$2
  shift 2
  if [[ -t 2 ]]; then
    printf '\e[%sm%s\e[0m %s\n' "$color" "$level" "$*" >&2
  elif command -v logger >/dev/null; then
    logger --tag kargo "$level: $*"
  else
    printf '%s: %s\n' "$level" "$*" >&2
  fi
}

log_info() { _log info 32 "$@"; }
log_warning() { _log warning 33 "$@"; }
log_error() { _log error 31 "$@"; }
