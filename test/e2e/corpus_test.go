package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	dockerswarm "github.com/docker/docker/api/types/swarm"

	"kargo"
	"kargo/render"
)

// properties are lines of a service, as people write them, and as nobody should: what
// `kargo check` passes of it, Swarm must accept.
var properties = []struct {
	path   string
	values []string
}{
	{"image", []string{"kargo/testserver:1", "localhost:5000/a/b", "a@sha256:" + strings.Repeat("a", 64), "A/b", "a:b:c", "registry.example.org:99999/x", "x:" + strings.Repeat("t", 128), "x:" + strings.Repeat("t", 129)}},
	{"command", []string{"[run]", "run --all", `["{{.Node.Hostname}}"]`, `["{{.Nope}}"]`, `[""]`, `"a 'b c'"`}},
	{"entrypoint", []string{"/run", `["/run", "$$X"]`, `[]`}},
	{"hostname", []string{"a", "a.b", "A_b", "-a", `"{{.Task.Slot}}"`, `"{{.Node.Hostname}}-{{.Task.Slot}}"`, `"{{.Service.Nope}}"`, strings.Repeat("h", 63), strings.Repeat("h", 64), `"a b"`}},
	{"user", []string{`"1000"`, `"1000:1000"`, "nobody", `"a b"`, `"{{.Service.Name}}"`}},
	{"working_dir", []string{"/srv", "srv", `"{{.Service.ID}}"`}},
	{"environment", []string{"{A: 1}", `["A=1", "B"]`, `{A: "{{.Task.ID}}"}`, `{A: "{{.Task.Nope}}"}`, `{A: "{{"}`, `["=x"]`, `{"": x}`, `{A: ""}`, `["A"]`, `{A: "{{range .Service.Labels}}x{{end}}"}`}},
	{"labels", []string{"{a: b}", `["a", "b=c"]`, `{"": x}`, `{"a b": c}`}},
	{"healthcheck", []string{
		"{test: [CMD, x]}", "{test: x, interval: 1ms}", "{test: x, interval: 999us}", "{test: x, timeout: 0s}", "{test: x, retries: -1}", "{test: x, retries: 0, start_period: 1us}",
		"{disable: true}", `{test: [NONE, x]}`, "{test: [x, y]}", "{interval: 5s}", "{test: []}", "{test: x, start_period: 10s, start_interval: 1s}", "{test: x, interval: -5s}",
	}},
	{"ports", []string{
		`["18080:80"]`, `["18080:80", "18080:81"]`, `["18080:80/tcp", "18080:80/udp"]`, `["80"]`, `["18080-18082:80-82"]`, `["70000:80"]`, `["18080:0"]`,
		`[{target: 80, published: 18080, mode: host}]`, `[{target: 80, mode: nope}]`, `[{target: 80, protocol: sctp}]`, `[{target: 80, protocol: icmp}]`, `[{target: 80, published: 18080, mode: host}, {target: 80, published: 18080}]`,
		`["127.0.0.1:18080:80"]`,
	}},
	{"volumes", []string{
		`["/a:/b"]`, `["/a:b"]`, `["data:/data"]`, `["/cache"]`, `[{type: tmpfs, target: /t, tmpfs: {size: 1}}]`, `[{type: tmpfs, target: /t, tmpfs: {size: -1}}]`, `["/a:/b", "/c:/b"]`,
		`[{type: bind, source: /a, target: /}]`, `[{type: bind, source: /a, target: /b, bind: {propagation: rslave}}]`, `[{type: bind, source: /a, target: /b, bind: {propagation: nope}}]`,
		`["/a:/b:ro", "data:/b/c"]`, `[{type: volume, source: data, target: /d, volume: {subpath: x}}]`, `[{type: npipe, source: '\\.\pipe\x', target: '\\.\pipe\y'}]`,
		`["data:/x/../y"]`, `["data:/x/", "/a:/x"]`, `[{type: volume, source: "data", target: "{{.Task.Slot}}"}]`, `[{type: bind, source: "/a/{{.Node.ID}}", target: "/b"}]`,
	}},
	{"cap_add", []string{"[NET_ADMIN]", "[cap_chown]", "[ALL]", "[NOPE]", "[NET_ADMIN, NET_ADMIN]"}},
	{"cap_drop", []string{"[ALL]", "[CHOWN]"}},
	{"sysctls", []string{"{net.core.somaxconn: 1024}", `["net.ipv4.ip_forward=1"]`, `{"": 1}`}},
	{"ulimits", []string{"{nofile: 10}", "{nofile: {soft: 10, hard: 20}}", "{nofile: {soft: 20, hard: 10}}", "{nope: 1}", "{nproc: -1}", "{nofile: {soft: -1, hard: -1}}"}},
	{"dns", []string{"[1.1.1.1]", `["::1"]`, "[nope]", "1.1.1.1", `["1.1.1.1:53"]`}},
	{"dns_search", []string{"[example.org]", `["a b"]`, `["."]`}},
	{"extra_hosts", []string{`["db:10.0.0.1"]`, `["db:nope"]`, `["db:::1"]`, `["a b:10.0.0.1"]`, `["db:host-gateway"]`}},
	{"stop_signal", []string{"SIGINT", "int", `"9"`, "NOPE"}},
	{"stop_grace_period", []string{"1s", "0s", "-1s", "1h30m"}},
	{"logging", []string{"{driver: json-file, options: {max-size: 1m}}", "{driver: none}", "{options: {a: b}}", `{driver: ""}`}},
	{"init", []string{"true", "false"}},
	{"read_only", []string{"true"}},
	{"tty", []string{"true"}},
	{"isolation", []string{"default", "nope", "hyperv"}},
	{"deploy.replicas", []string{"0"}},
	{"deploy.endpoint_mode", []string{"vip", "dnsrr", "nope"}},
	{"deploy.labels", []string{"{a: b}", `{"": b}`, `["a=b"]`}},
	{"deploy.placement", []string{
		`{constraints: ["node.role == manager"]}`, `{constraints: ["node.role = manager"]}`, `{constraints: ["node.labels.x==a b"]}`, `{constraints: ["node.role==boss"]}`, `{constraints: ["engine.labels.a!=b"]}`,
		`{constraints: ["node.nope==x"]}`, `{constraints: ["node.labels.==x"]}`, `{constraints: ["node.hostname==*"]}`, `{constraints: ["node.id==a/b"]}`, `{constraints: [""]}`,
		`{preferences: [{spread: node.labels.zone}]}`, `{preferences: [{spread: ""}]}`, `{max_replicas_per_node: 1}`, `{constraints: ["node.ip==10.0.0.0/8"]}`, `{constraints: ["node.ip==nope"]}`,
	}},
	{"deploy.resources", []string{
		"{limits: {memory: 64M}}", "{limits: {memory: 1M}}", `{limits: {cpus: "0.0001"}}`, `{limits: {cpus: "0.5"}, reservations: {cpus: "1"}}`, "{limits: {memory: 64M}, reservations: {memory: 128M}}",
		"{limits: {pids: 5}}", "{limits: {pids: -1}}", `{limits: {cpus: "-1"}}`, `{limits: {cpus: "0.0000000001"}}`,
		"{reservations: {generic_resources: [{discrete_resource_spec: {kind: gpu, value: 1}}]}}", `{reservations: {generic_resources: [{discrete_resource_spec: {kind: "", value: 1}}]}}`,
		"{reservations: {generic_resources: [{discrete_resource_spec: {kind: gpu, value: -1}}]}}", "{reservations: {generic_resources: [{discrete_resource_spec: {kind: gpu, value: 1}}, {discrete_resource_spec: {kind: gpu, value: 2}}]}}",
	}},
	{"deploy.restart_policy", []string{"{condition: any}", "{condition: none}", "{condition: always}", "{condition: on-failure, max_attempts: 3, window: 5s}", "{delay: -1s}", "{window: -1s}", "{condition: \"\"}"}},
	{"deploy.update_config", []string{
		"{parallelism: 0}", "{order: start-first}", "{order: nope}", "{failure_action: rollback}", "{failure_action: nope}", "{max_failure_ratio: 1}", "{max_failure_ratio: 1.1}", "{max_failure_ratio: -0.1}",
		"{monitor: 5s, delay: 1s}", "{delay: -1s}", "{monitor: -1s}",
	}},
	{"deploy.rollback_config", []string{"{parallelism: 2}", "{failure_action: rollback}", "{order: start-first}", "{failure_action: pause}"}},
}

// generated returns a compose file with one service that has some properties.
func generated(random *rand.Rand) string {
	top, deploy := "services:\n  app:\n", "    deploy:\n"
	for i, property := range properties {
		// Few at a time: the first that is refused hides the others.
		if i > 0 && random.IntN(len(properties)) >= 5 {
			continue
		}
		value := property.values[0]
		if i > 0 || random.IntN(8) == 0 {
			value = property.values[random.IntN(len(property.values))]
		}
		if name, ofDeploy := strings.CutPrefix(property.path, "deploy."); ofDeploy {
			deploy += "      " + name + ": " + value + "\n"
		} else {
			top += "    " + property.path + ": " + value + "\n"
		}
	}
	switch random.IntN(12) {
	case 0:
		deploy += "      mode: global\n"
	case 1:
		deploy += "      mode: replicated-job\n"
	case 2:
		deploy += "      mode: global-job\n"
	default:
		deploy += "      mode: replicated\n"
	}
	return top + deploy + "volumes: {data: {}}\n"
}

// Swarm accepts whatever `kargo check` passes, in a corpus that is the same in every
// run. No task is started.
func TestSwarmAcceptsWhatCheckPasses(t *testing.T) {
	t.Parallel()
	s := onDocker(t)
	random := rand.New(rand.NewPCG(1, 1))
	passed, refused := 0, 0
	for i := range 900 {
		file := generated(random)
		name := fmt.Sprintf("c%d", i)
		ws := kargo.Workspace{Root: "/srv/.kargo", Env: kargo.Environment{"STACKS": name, kargo.SuffixStack.Of(name): "app", "KARGO_STACK_PREFIX": s.prefix + "-"},
			Files: map[string]kargo.File{"deploy/app.yml": {Data: []byte(file), Origin: kargo.OriginUser, Source: "deploy/app.yml"}}}
		stacks, problems := render.Render(ws)
		if problems.Err() != nil {
			refused++
			continue
		}
		passed++
		spec := stacks[0].Services[0].Spec
		spec.TaskTemplate.Networks = nil
		withoutTasks(&spec)
		made, err := s.api.ServiceCreate(t.Context(), spec, dockerswarm.ServiceCreateOptions{})
		if err != nil {
			t.Errorf("check passes, and Swarm says: %v\n%s", err, file)
			continue
		}
		if err := s.api.ServiceRemove(t.Context(), made.ID); err != nil {
			t.Fatal(err)
		}
	}
	if passed < 250 || refused < 250 {
		t.Errorf("%d services passed and %d were refused: the corpus says little", passed, refused)
	}
}

// withoutTasks lets a service start no task.
func withoutTasks(spec *dockerswarm.ServiceSpec) {
	zero := uint64(0)
	if spec.Mode.Replicated != nil {
		spec.Mode.Replicated.Replicas = &zero
	} else if placement := spec.TaskTemplate.Placement; placement != nil {
		placement.Constraints = append(placement.Constraints, "node.labels.nowhere==true")
	}
}
