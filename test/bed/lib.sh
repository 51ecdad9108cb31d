# shellcheck shell=bash
# lib.sh - functions of all scripts of the test bed. It is sourced, never run.

# LAB_NAME prefixes the cgroup and the host's network interface; LAB_ROOT holds every file of the lab.
LAB_NAME=${LAB_NAME:-kargo}
LAB_ROOT=${LAB_ROOT:-${TMPDIR:-/tmp}/kargo-lab-$LAB_NAME}

# sshd, nft and similar programs are in directories that are not in every user's PATH.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

log() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() { log "$*"; exit 1; }

# usage prints the header comment of the running script.
usage() { sed -n '2,/^[^#]/{/^#/!d;s/^# \{0,1\}//p}' "$0"; }

# need COMMAND... fails if a command is missing, and names the group to install.
need() {
  local group=$1 command; shift
  for command; do
    type -P "$command" >/dev/null || die "missing command $command: run test/bed/install $group"
  done
}

# wait_for SECONDS COMMAND... polls until the command succeeds; fails after SECONDS.
wait_for() {
  local end=$((SECONDS + $1)); shift
  until "$@" >/dev/null 2>&1; do
    ((SECONDS <= end)) || return 1
    sleep 0.05
  done
}

# kernel_has_ipvs reports whether engines can balance service addresses themselves.
kernel_has_ipvs() { [ -e /proc/net/ip_vs ] || { modprobe ip_vs 2>/dev/null && [ -e /proc/net/ip_vs ]; }; }

# free_ports COUNT prints free TCP ports. They are below the ephemeral range, so that no outgoing
# connection takes one before it is used.
free_ports() {
  python3 - "$1" <<'PYTHON'
import random, socket, sys
held = []
for port in random.sample(range(20000, 32000), 2000):
    s = socket.socket()
    try:
        s.bind(("0.0.0.0", port))
    except OSError:
        continue
    held.append(s)
    if len(held) == int(sys.argv[1]):
        break
print(*(s.getsockname()[1] for s in held))
PYTHON
}

# --- cgroups: each node and each `run` has its own, so that a kill reaches all of its processes ---

CGROUPS=/sys/fs/cgroup

cgroup_v2() { [ -f "$CGROUPS/cgroup.controllers" ]; }

# On a machine without an init system no cgroups are mounted. Version 2 needs one line, and dockerd needs no more.
cgroup_mount() {
  grep -qE '^[^ ]+ /sys/fs/cgroup(/[^ ]*)? cgroup2? ' /proc/mounts || mount -t cgroup2 cgroup2 "$CGROUPS"
}

# cgroup_dirs PATH prints the directory of the cgroup in each hierarchy (version 2 has one).
cgroup_dirs() {
  local hierarchy
  if cgroup_v2; then echo "$CGROUPS/$1"; return; fi
  for hierarchy in "$CGROUPS"/*/; do
    [ ! -e "$hierarchy/cgroup.procs" ] || echo "$hierarchy$1"
  done
}

# cgroup_file PATH CONTROLLER NAME prints where a controller's file is.
cgroup_file() {
  if cgroup_v2; then echo "$CGROUPS/$1/$3"; else echo "$CGROUPS/$2/$1/$3"; fi
}

# cgroup_enter PATH moves the calling (sub)shell into the cgroup, and makes the cgroup if it is missing.
cgroup_enter() {
  local dir
  while read -r dir; do
    mkdir -p "$dir"
    [[ $dir != "$CGROUPS/cpuset/"* ]] || cpuset_inherit "${dir#"$CGROUPS/cpuset/"}"
    echo "$BASHPID" >"$dir/cgroup.procs"
  done < <(cgroup_dirs "$1")
}

# A new cpuset (version 1) is empty. It accepts a process only after it and those above it are filled, from the top down.
cpuset_inherit() {
  local at=$CGROUPS/cpuset part file
  for part in ${1//\// }; do
    for file in cpuset.cpus cpuset.mems; do
      [ -n "$(<"$at/$part/$file")" ] || cat "$at/$file" >"$at/$part/$file"
    done
    at+=/$part
  done
}

cgroup_processes() {
  local top; top=$(cgroup_file "$1" freezer .)
  [ ! -d "$top" ] || find "$top" -name cgroup.procs -exec cat {} + 2>/dev/null || true
}
cgroup_empty() { [ -z "$(cgroup_processes "$1")" ]; }

# cgroup_freeze PATH / cgroup_thaw PATH stop and continue everything in the cgroup.
cgroup_freeze() {
  if cgroup_v2; then echo 1 >"$CGROUPS/$1/cgroup.freeze"
  else echo FROZEN >"$CGROUPS/freezer/$1/freezer.state"; fi
}
cgroup_thaw() {
  if cgroup_v2; then echo 0 >"$CGROUPS/$1/cgroup.freeze"; return; fi
  find "$CGROUPS/freezer/$1" -name freezer.state -exec sh -c 'for f; do echo THAWED >"$f"; done' sh {} +
}

# cgroup_kill PATH kills everything in the cgroup and below. It is frozen meanwhile, so that no process can fork.
cgroup_kill() {
  [ -d "$(cgroup_file "$1" freezer .)" ] || return 0
  if [ -e "$CGROUPS/$1/cgroup.kill" ]; then
    echo 1 >"$CGROUPS/$1/cgroup.kill"
  else
    cgroup_freeze "$1"
    cgroup_processes "$1" | xargs -r kill -KILL 2>/dev/null || true
    cgroup_thaw "$1"
  fi
  wait_for 20 cgroup_empty "$1" || die "cgroup $1 still has processes: $(cgroup_processes "$1" | xargs)"
}

# cgroup_remove PATH removes the cgroup and those below it. They must be empty.
cgroup_remove() {
  local dir
  while read -r dir; do
    [ ! -d "$dir" ] || wait_for 5 cgroup_remove_dir "$dir" || die "cannot remove $dir"
  done < <(cgroup_dirs "$1")
}
cgroup_remove_dir() { find "$1" -depth -type d -exec rmdir {} +; }
