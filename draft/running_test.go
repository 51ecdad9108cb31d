package draft_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"kargo"
	"kargo/draft"
	"kargo/merge"
	"kargo/plan"
	"kargo/render"
)

// stack says everything that a compose file can say to Swarm.
const stack = `
services:
  web:
    image: nginx:1.27
    entrypoint: [/run, "a b"]
    command: ["--price=$$5", "yes"]
    hostname: "{{.Node.Hostname}}"
    user: "1000"
    working_dir: /srv
    environment: {EMPTY: "", HASH: "$$2y$$05$$x", "ON": "on", NUMBER: "1.10"}
    labels: {inside: "true"}
    healthcheck: {test: [CMD, check], interval: 5s, timeout: 1s, start_period: 1m30s, retries: 2}
    networks:
      own: {aliases: [www]}
      outside:
    ports: ["80:8080", "53:53/udp", {target: 9, published: 99, mode: host}]
    volumes:
      - data:/data
      - {type: volume, source: fixed, target: /fixed, read_only: true, volume: {nocopy: true}}
      - other:/other
      - /cache
      - /etc/hosts:/hosts:ro
      - {type: tmpfs, target: /tmp, tmpfs: {size: 1000000}}
    configs: [page, {source: page, target: /etc/page, uid: "33", mode: 0440}, {source: given, target: /given}]
    secrets: [password]
    extra_hosts: ["db:10.0.0.1"]
    dns: [10.0.0.2]
    dns_search: [example.org]
    cap_add: [NET_ADMIN]
    cap_drop: [CHOWN]
    sysctls: {net.core.somaxconn: "1024"}
    ulimits: {nofile: {soft: 10, hard: 20}, nproc: 5}
    init: false
    read_only: true
    tty: true
    stdin_open: true
    stop_signal: SIGINT
    stop_grace_period: 1m
    logging: {driver: json-file, options: {max-size: "1m"}}
    deploy:
      replicas: 3
      labels: {"traefik.http.routers.web.rule": "Host(` + "`a$$b`" + `)", empty: ""}
      placement: {constraints: [node.role == worker], preferences: [{spread: node.labels.zone}], max_replicas_per_node: 2}
      resources:
        limits: {cpus: "0.125", memory: 64M, pids: 50}
        reservations: {cpus: "1.5", memory: 32M, generic_resources: [{discrete_resource_spec: {kind: gpu, value: 2}}]}
      restart_policy: {condition: on-failure, delay: 1s, max_attempts: 3, window: 2m}
      update_config: {parallelism: 0, delay: 3s, failure_action: rollback, monitor: 20s, max_failure_ratio: 0.15, order: start-first}
      rollback_config: {parallelism: 2, order: stop-first}
  plain: {image: "redis:7"}
  agent: {image: "agent:1", deploy: {mode: global, endpoint_mode: dnsrr}}
  job: {image: "job:1", deploy: {mode: replicated-job, replicas: 2, restart_policy: {condition: none}}}
  check: {image: "check:1", healthcheck: {disable: true}, networks: [default, own]}
networks:
  own: {attachable: true, driver_opts: {encrypted: ""}, labels: {team: a}, ipam: {config: [{subnet: 172.30.0.0/16}]}}
  outside: {external: true, name: gateway}
volumes:
  data: {driver: local, driver_opts: {type: nfs, o: "addr=10.0.0.9"}, labels: {keep: "yes"}}
  fixed: {name: a-name}
  other: {external: true, name: others}
configs:
  page: {file: ./page.txt}
  given: {external: true, name: given-v1}
secrets:
  password: {file: ./password.txt}
`

func workspace(t *testing.T, files map[string]string) kargo.Stack {
	t.Helper()
	user := fstest.MapFS{}
	for name, content := range files {
		user[name] = &fstest.MapFile{Data: []byte(content)}
	}
	ws, problems, err := merge.Merge(t.Context(), merge.Input{Defaults: fstest.MapFS{}, User: kargo.Files{FS: user}, Root: "/srv/.kargo"})
	if err != nil {
		t.Fatal(err)
	}
	stacks, more := render.Render(ws)
	for _, problem := range append(problems, more...) {
		if !problem.Warning {
			t.Error(problem)
		}
	}
	if len(stacks) != 1 {
		t.Fatalf("%d stacks", len(stacks))
	}
	return stacks[0]
}

var digest = regexp.MustCompile(`-[0-9a-f]{12}$`)

// deployed returns a stack as `docker stack deploy` leaves it: its configs and secrets
// have no digest in their names, and nobody sees the content of secrets.
func deployed(stack kargo.Stack) kargo.Stack {
	for i := range stack.Configs {
		config := &stack.Configs[i]
		if config.Name = digest.ReplaceAllString(config.Name, ""); config.Secret {
			config.Data = nil
		}
	}
	for _, service := range stack.Services {
		container := service.Spec.TaskTemplate.ContainerSpec
		for _, reference := range container.Configs {
			reference.ConfigName = digest.ReplaceAllString(reference.ConfigName, "")
		}
		for _, reference := range container.Secrets {
			reference.SecretName = digest.ReplaceAllString(reference.SecretName, "")
		}
	}
	return stack
}

// The compose file of a stack that runs asks for the same services, networks and
// configs.
func TestFromStacksKeepsAllThatComposeFilesSay(t *testing.T) {
	running := deployed(workspace(t, map[string]string{
		"stacks/shop/compose.yml": stack, "stacks/shop/page.txt": "a $page\n", "stacks/shop/password.txt": "geheim",
	}))
	made, err := draft.FromStacks([]kargo.Stack{running})
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for name, file := range made.Files {
		files[name] = string(file.Data)
	}
	again := deployed(workspace(t, files))
	if len(again.Services) != len(running.Services) {
		t.Fatalf("%d services, want %d", len(again.Services), len(running.Services))
	}
	for i, service := range running.Services {
		for _, line := range plan.Diff(service.Spec, again.Services[i].Spec, kargo.Mask{}) {
			t.Errorf("%s: %s", service.Name, line)
		}
	}
	if got, want := networks(again), networks(running); got != want {
		t.Errorf("networks:\n%s\nwant\n%s", got, want)
	}
	if got := files["stacks/shop/configs/page"]; got != "a $page\n" {
		t.Errorf("the config has %q", got)
	}
	if got, want := strings.Join(made.Lost, "\n"), "secret shop_password: Swarm does not show its content. The compose file refers to it as external, "+
		"so it stays as it is; to change it by the workspace, put the new content into an encrypted file and name it with file:"; got != want {
		t.Errorf("lost:\n%s\nwant\n%s", got, want)
	}
	if t.Failed() {
		t.Log(files["stacks/shop/compose.yml"])
	}
}

func networks(stack kargo.Stack) string {
	stack.Services, stack.Configs = nil, nil
	return asText(stack.Networks)
}

func asText(value any) string {
	data, err := json.MarshalIndent(value, "", " ")
	if err != nil {
		panic(err)
	}
	return string(data)
}
