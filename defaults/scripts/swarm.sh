# shellcheck shell=bash
# The nodes of the Swarm, and the containers of this one.
[[ -n ${K_SWARM-} ]] && return
K_SWARM=1

this_swarm_node() { docker info --format '{{.Name}}'; }
all_swarm_nodes() { docker node ls --format '{{.Hostname}}'; }
other_swarm_nodes() { all_swarm_nodes | grep --fixed-strings --line-regexp --invert-match "$(this_swarm_node)"; }

# docker_id_from_name NAME: a running container of this node whose name holds NAME.
docker_id_from_name() {
  docker ps --filter status=running --filter "name=$1" --format '{{.ID}}' | head -n 1
}
