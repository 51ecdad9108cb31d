package e2e_test

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/mount"
	dockerswarm "github.com/docker/docker/api/types/swarm"
	"github.com/docker/docker/pkg/stdcopy"

	"kargo"
)

// engineAttack is one thing that the author of a workspace tries on a real engine: a
// stack with one service. In its texts NODE stands for a folder of the node, VICTIM for
// the namespace of somebody else's stack, THEIRS for the prefix of its networks, PAGE and
// PASSWORD for its config and its secret, MINE for the namespace of the stack itself, and
// ROOT for the merged configuration.
type engineAttack struct {
	name    string
	called  string            // the service, if not as the stack
	service string            // lines of the service; it is on the shared network unless they say otherwise
	deploy  string            // further entries of its deploy section
	network string            // the network n
	top     string            // further sections of the compose file
	files   map[string]string // of the workspace
	stack   map[string]string // variables of the stack, by their suffix
	env     map[string]string // variables
	before  func(*siege)      // what exists already
	// rule refuses it: when the revision is read, or, if held, beside what is live.
	rule string
	held bool
	// reached reports whether somebody beside the Swarm sees that the attack got what it
	// wants. If it is nil, the policy open refuses the attack, too. idle attacks have got it
	// when their service is in Swarm, without any task.
	reached func(s *siege, service string) bool
	idle    bool
}

// engineAttacks are the classes of attacks, each in its plainest form and in the one that
// was seen to work once.
var engineAttacks = []engineAttack{
	{name: "a path of the node", service: `volumes: ["NODE:/x"]`, rule: "bind-mounts", reached: readsTheNode},
	{name: "the socket of Docker", service: `volumes: ["/run/docker.sock:/x/docker.sock"]`, rule: "docker-socket", idle: true, reached: (*siege).exists},
	{name: "a volume that is a bind", service: "volumes: [data:/x]", top: "volumes: {data: {driver_opts: {type: none, o: bind, device: NODE}}}",
		rule: "bind-mounts", reached: readsTheNode},
	{name: "a volume whose template spells bind", service: "volumes: [data:/x]",
		top: `volumes: {data: {driver_opts: {type: tmpfs, device: NODE, o: '{{print "bi" "nd"}}'}}}`, rule: "docker-socket", reached: readsTheNode},
	{name: "a bind whose template spells a path", service: `volumes: [{type: bind, source: '/{{slice "NODE" 1}}', target: /x}]`, rule: "docker-socket"},
	{name: "a bind whose template takes a label", service: `volumes: [{type: bind, source: '/{{index .Service.Labels "path"}}', target: /x}]`,
		deploy: ", labels: {path: NODE}", rule: "docker-socket", reached: readsTheNode},
	{name: "a template in the environment", service: `environment: {A: '{{printf "%9d" 1}}'}`, rule: "templates", reached: func(s *siege, service string) bool {
		return slices.Contains(s.inspect(service).Config.Env, "A=        1")
	}},
	{name: "a hostname by a template", service: `hostname: '{{index .Service.Labels "host"}}'`, deploy: ", labels: {host: VICTIM_db}", rule: "templates", reached: func(s *siege, service string) bool {
		return s.answers(service)
	}},
	{name: "a link that a container left", service: `volumes: ["ROOT/logs/link:/x:ro"]`, rule: "bind-mounts", reached: readsTheNode, before: func(s *siege) {
		s.link(filepath.Join(s.thief.data, ".kargo", "logs", "link"))
	}},
	{name: "a name of somebody else's service", service: "networks: {back: {aliases: [VICTIM_db]}}", rule: "aliases", reached: (*siege).answers},
	{name: "the name of a service on a network of its own", called: "cache", rule: "aliases", held: true, reached: func(s *siege, _ string) bool {
		return strings.HasPrefix(s.says(s.victim.service("dbs", "api"), "get", "http://cache/"), "version="+s.key+" ")
	}},
	{name: "its name as a hostname", service: "hostname: VICTIM_db", rule: "aliases", reached: (*siege).answers},
	{name: "a network of somebody else's", service: "networks: [n]", network: "{external: true, name: VICTIM_own}", rule: "external-networks", reached: meetsTheVictim},
	{name: "a shared network of somebody else's", service: "networks: [front]", env: map[string]string{"DOCKER_FRONT_NETWORK": "THEIRS-front"},
		rule: "shared-networks", reached: meetsTheVictim},
	{name: "a network of nobody's", service: "networks: [n]", network: "{external: true, name: MINE-lan}", rule: "external-networks", before: func(s *siege) {
		s.network(s.namespace + "-lan")
	}, idle: true, reached: (*siege).exists},
	{name: "a plugin as the driver of a network", service: "networks: [n]", network: "{driver: evil/driver}", rule: "network-drivers"},
	{name: "the network of the node", service: "networks: [n]", network: "{external: true, name: host}", rule: "host-network", idle: true, reached: (*siege).exists},
	{name: "a network of nobody's in the own namespace", service: "networks: [n]", network: "{}", held: true, before: func(s *siege) {
		s.network(s.namespace + "_n")
	}},
	{name: "a volume of somebody else's", service: "volumes: [data:/x]", top: "volumes: {data: {name: VICTIM_data}}", rule: "external-volumes"},
	{name: "a volume of nobody's in the own namespace", service: "volumes: [data:/x]", top: "volumes: {data: }", rule: "external-volumes", held: true, before: func(s *siege) {
		s.docker("volume", "create", s.namespace+"_data")
	}, idle: true, reached: (*siege).exists},
	{name: "a secret of somebody else's", service: "secrets: [s]", top: "secrets: {s: {external: true, name: PASSWORD}}", rule: "external-secrets",
		reached: printsFile("/run/secrets/s", "theirs")},
	{name: "a config of somebody else's", service: "configs: [{source: c, target: /c}]", top: "configs: {c: {external: true, name: PAGE}}", rule: "external-configs",
		idle: true, reached: (*siege).exists},
	{name: "a template that reads a secret into a config", service: "configs: [{source: c, target: /c}]\n    secrets: [s]",
		top:  "configs: {c: {file: ../configs/c, template_driver: golang}}\nsecrets: {s: {external: true, name: PASSWORD}}",
		rule: "external-secrets", files: map[string]string{"configs/c": `{{secret "s"}}`}, idle: true, reached: (*siege).exists},
	{name: "the namespace of somebody else's stack", stack: map[string]string{"NAME": "VICTIM"}, held: true},
	{name: "a namespace within it", stack: map[string]string{"NAME": "VICTIM_b"}, rule: "own-names", held: true},
	{name: "a service of nobody's in the own namespace", stack: map[string]string{"ADOPT": "true"}, rule: "adoption", idle: true, before: func(s *siege) {
		s.docker("service", "create", "--detach", "--name", s.namespace+"_"+s.key, "--label", kargo.LabelNamespace+"="+s.namespace, "--endpoint-mode", "dnsrr",
			"--no-resolve-image", "kargo/testserver:1")
		service := s.namespace + "_" + s.key
		s.t.Cleanup(func() { _ = s.thief.api.ServiceRemove(context.Background(), service) }) // it may be the thief's, and gone
	}, reached: func(s *siege, service string) bool {
		return s.services()[service].Spec.Labels[kargo.LabelInstance] == s.thief.prefix
	}},
	{name: "a socket of the node as a log", service: "logging: {driver: syslog, options: {syslog-address: 'unix://NODE/log'}}", rule: "log-options",
		reached: func(s *siege, _ string) bool { return s.logged.Load() > 0 }},
	{name: "a file of the node as a log's certificate", service: "logging: {driver: fluentd, options: {fluentd-address: 'unix://NODE/log', fluentd-async: 'true'}}", rule: "log-options"},
	{name: "a place on managers", deploy: ", placement: {constraints: [node.role == manager]}", rule: "placement", idle: true, reached: (*siege).exists},
	{name: "a port of the node", service: "ports: [{target: 80, published: 18080, mode: host}]", rule: "host-ports"},
	{name: "a capability", service: "cap_add: [SYS_ADMIN]", rule: "capabilities", idle: true, reached: (*siege).exists},
	{name: "labels of the node", env: map[string]string{"NODE1_LABELS": "MINE=stolen"}, rule: "node-labels", idle: true, reached: func(s *siege, _ string) bool {
		return s.thief.label(s.node, s.namespace) == "stolen"
	}},
	{name: "a route to Traefik's own API", deploy: ", labels: {traefik.http.routers.a.service: api@internal}", rule: "foreign-routes", idle: true, reached: (*siege).exists},
	{name: "a route of somebody else's", deploy: ", labels: {traefik.http.routers.THEIRS.rule: 'Host(`mine.example.com`)'}", rule: "foreign-routes", held: true, idle: true, reached: (*siege).exists},
}

// Each class of attacks is tried on the engine: under restricted somebody beside the Swarm
// sees nothing of it, and the status says which rule refuses it, and where the file asks for
// it. Under open the same attacks reach what they want. When the policy is restricted again,
// plain services undo them, and whom they were aimed at has not noticed anything.
func TestS41_S42_AttacksOnAnEngine(t *testing.T) {
	t.Parallel()
	s := besieged(t)
	before := s.victim.services()
	s.thief.start()
	for i := range engineAttacks {
		s.isRefused(i)
	}
	s.thief.stop()

	s.succeeds()

	s.isUndone()
	if names := moved(before, s.victim.services()); len(names) > 0 {
		t.Errorf("%q of the victim moved", names)
	}
}

// What is live is no way around the policy: it is judged where a workspace leaves it to
// others. The service keeps neither the path of the node that somebody gave it for a moment
// nor the route, and its author cannot change its program meanwhile.
func TestS41_LiveValuesOnAnEngine(t *testing.T) {
	t.Parallel()
	s := besieged(t)
	ignoring := func(program, pointer string) *workspace {
		w := s.workspace().stack("web", "app")
		return w.service("app", replicas(1), networks("back"), image(program)).set(w.variable("web", "IGNORE"), pointer)
	}
	service := s.thief.service("web", "app")
	giveMount := func(spec *dockerswarm.ServiceSpec) {
		spec.TaskTemplate.ContainerSpec.Mounts = append(spec.TaskTemplate.ContainerSpec.Mounts, mount.Mount{Type: mount.TypeBind, Source: s.folder, Target: "/x"})
	}
	s.thief.begin(ignoring("kargo/testserver:1", "/Spec/Labels/*"))

	// The field may not be left to others at all.
	s.thief.repo.commit(ignoring("kargo/testserver:2", "/Spec/TaskTemplate/ContainerSpec/Mounts"))
	s.thief.sync()
	s.thief.awaitStatus("the field is not left to others", refuses("ignored-fields", regexp.MustCompile(`^\.env:\d+: `)))
	s.thief.change(service, giveMount)
	until(t, "the mount is taken away", func() bool { return len(s.services()[service].Spec.TaskTemplate.ContainerSpec.Mounts) == 0 })
	if spec := s.services()[service].Spec; spec.TaskTemplate.ContainerSpec.Image != "kargo/testserver:1" {
		t.Errorf("the program is %s", spec.TaskTemplate.ContainerSpec.Image)
	}

	// One that may be left to others is judged with the value that it has.
	s.thief.deploy(ignoring("kargo/testserver:1", "/Spec/Labels/*"))
	s.thief.change(service, func(spec *dockerswarm.ServiceSpec) {
		spec.Labels = maps.Clone(spec.Labels)
		spec.Labels["traefik.http.routers.app.service"] = "api@internal"
	})
	until(t, "the route is taken away", func() bool { return s.services()[service].Spec.Labels["traefik.http.routers.app.service"] == "" })

	// Where everything is permitted, both are as the workspace says.
	s.thief.stop()
	s.permitAll()
	s.thief.begin(ignoring("kargo/testserver:1", "/Spec/TaskTemplate/ContainerSpec/Mounts"))
	s.thief.change(service, giveMount)
	s.thief.deploy(ignoring("kargo/testserver:2", "/Spec/TaskTemplate/ContainerSpec/Mounts"))
	until(t, "the author's program sees the node", func() bool {
		return strings.HasSuffix(s.inspect(service).Config.Image, ":2") && readsTheNode(s, service)
	})

	// What was sent under the laxer policy is put right under the stricter one, and Swarm does
	// not go back to it when that fails.
	s.thief.stop()
	s.restrict()
	s.thief.start()
	failing := ignoring("kargo/testserver:2", "/Spec/Labels/*").service("app", replicas(1), networks("back"), command("exit 1"))
	s.thief.repo.commit(failing.file("deploy/app.yml", strings.Replace(failing.files["deploy/app.yml"],
		"{monitor: 500ms}", "{monitor: 5s, failure_action: rollback}", 1)))
	s.thief.sync()
	until(t, "the failing program has come to stay", func() bool {
		is := s.thief.inspect(service)
		return slices.Equal(is.Spec.TaskTemplate.ContainerSpec.Args, []string{"exit", "1"}) && len(s.thief.tasks("web", "app", hasFailed)) > 0 &&
			is.PreviousSpec != nil && len(is.PreviousSpec.TaskTemplate.ContainerSpec.Mounts) == 0
	})
	if mounts := s.thief.inspect(service).Spec.TaskTemplate.ContainerSpec.Mounts; len(mounts) > 0 {
		t.Errorf("the service has the mounts %v", mounts)
	}
}

// siege is a real engine with two instances: a victim with a database, and a thief whose
// workspace is an attack.
type siege struct {
	t             *testing.T
	victim, thief *scene
	restricted    []string // the arguments that make the thief's controller strict
	node          string
	folder        string       // of the node, with the file marker
	logged        atomic.Int64 // how often a program connected to the socket in it

	page, password string // the config and the secret of the victim

	// Of the attack that is tried: its key, its namespace, and its service without and with it.
	key, namespace, called, name string
}

// besieged is the engine with the database of the victim on it, and the thief's controller,
// which is not started.
func besieged(t *testing.T) *siege {
	t.Helper()
	s := &siege{t: t, victim: onDocker(t), thief: onDocker(t), folder: shortTempDir(t)}
	if err := os.Chmod(s.folder, 0o755); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(s.folder, "marker"), "the node's\n")
	s.listen()
	nodes, err := s.thief.observer.Nodes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.node = nodes[0].Hostname
	s.restricted = []string{"--policy", "restricted", "--policy-rule", "restart-delay=500ms", "--policy-rule", fmt.Sprintf("shared-networks=front:%s-front,back:%s-back,socket:%[1]s-socket", s.thief.prefix, s.victim.prefix)}
	s.restrict()

	s.victim.begin(s.victim.workspace().stack("dbs", "db").file("configs/page", "theirs\n").file("configs/password", "theirs\n").file("deploy/db.yml", `
services:
  api: &plain
    image: kargo/testserver:1
    networks: [own, back]
    stop_grace_period: 1s
    deploy: {endpoint_mode: dnsrr}
  cache:
    <<: *plain
    networks: [own]
  db:
    image: kargo/testserver:1
    networks: [own, back, front]
    volumes: ["data:/data"]
    configs: [page]
    secrets: [password]
    stop_grace_period: 1s
    deploy:
      endpoint_mode: dnsrr
      labels: {"traefik.http.routers.`+s.victim.prefix+`.rule": "Host(`+"`"+`theirs.example.com`+"`"+`)"}
networks: {own: {}, back: {external: true, name: "${DOCKER_BACK_NETWORK}"}, front: {external: true, name: "${DOCKER_FRONT_NETWORK}"}}
volumes: {data: {}}
configs: {page: {file: ../configs/page}}
secrets: {password: {file: ../configs/password}}
`))
	for _, made := range s.victim.live().Configs {
		if made.Secret {
			s.password = made.Name
		} else {
			s.page = made.Name
		}
	}
	s.victim.stop() // what it would correct must not hide what the thief did
	return s
}

// listen notes who connects to the socket in the folder of the node.
func (s *siege) listen() {
	s.t.Helper()
	socket, err := net.Listen("unix", filepath.Join(s.folder, "log"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = socket.Close() })
	go func() {
		for {
			connection, err := socket.Accept()
			if err != nil {
				return
			}
			s.logged.Add(1)
			_ = connection.Close()
		}
	}()
}

// workspace is one of the thief's, which shares the network of the victim that the operator
// names.
func (s *siege) workspace() *workspace {
	return s.thief.workspace().set("DOCKER_BACK_NETWORK", s.victim.prefix+"-back")
}

// permitAll lifts the policy for the thief's next controller.
func (s *siege) permitAll() { s.thief.args = s.thief.args[:len(s.thief.args)-len(s.restricted)] }

// restrict sets it again.
func (s *siege) restrict() { s.thief.args = append(s.thief.args, s.restricted...) }

// choose makes an attack the one that is tried.
func (s *siege) choose(i int) {
	s.key = fmt.Sprintf("x%d", i)
	s.namespace = "kargo-" + s.thief.prefix + "-" + s.key
	s.called = cmp.Or(engineAttacks[i].called, s.key)
	s.name = s.namespace + "_" + s.called
}

// add adds an attack to a workspace, as a stack of its own.
func (s *siege) add(w *workspace, i int) {
	a := engineAttacks[i]
	s.choose(i)
	victim := strings.TrimSuffix(s.victim.service("dbs", ""), "_")
	words := strings.NewReplacer("NODE1", kargo.EnvName(s.node), "NODE", s.folder, "PAGE", s.page, "PASSWORD", s.password, "VICTIM", victim, "THEIRS", s.victim.prefix, "MINE", s.namespace,
		"ROOT", filepath.Join(s.thief.data, ".kargo"))
	service := a.service
	replicas := 1
	if a.idle {
		replicas = 0
	}
	if !strings.Contains(service, "networks:") {
		service += "\n    networks: [back]"
	}
	if !strings.Contains(service, "environment:") {
		service += "\n    environment: {TESTSERVER_VERSION: " + s.key + "}" // its answers begin with it
	}
	network := ""
	if a.network != "" {
		network = ", n: " + a.network
	}
	w.stack(s.key, s.called).file("deploy/"+s.called+".yml", words.Replace(`
services:
  `+s.called+`:
    image: kargo/testserver:2
    stop_grace_period: 1s
    healthcheck: {disable: true}
    deploy: {endpoint_mode: dnsrr, replicas: `+strconv.Itoa(replicas)+`, update_config: {monitor: 500ms}, restart_policy: {delay: 5s}`+a.deploy+`}
    `+service+`
networks: {back: {external: true, name: "${DOCKER_BACK_NETWORK}"}, front: {external: true, name: "${DOCKER_FRONT_NETWORK}"}`+network+`}
`+a.top+`
`))
	for name, content := range a.files {
		w.file(name, content)
	}
	for suffix, value := range a.stack {
		w.set(w.variable(s.key, suffix), words.Replace(value))
	}
	for name, value := range a.env {
		w.set(words.Replace(name), words.Replace(value))
	}
}

// isRefused tries an attack where it is refused.
func (s *siege) isRefused(i int) {
	a := engineAttacks[i]
	w := s.workspace()
	s.add(w, i)
	if a.before != nil {
		a.before(s)
	}
	service := s.name
	was, existed := s.services()[service]
	commit := s.thief.repo.commit(w)
	s.thief.sync()
	s.thief.awaitStatus(a.name+" is refused in words", func(k kargo.Status) bool {
		if a.held {
			return slices.ContainsFunc(k.Pending.Held, func(h kargo.Hold) bool {
				return h.Stack == s.thief.prefix+"-"+s.key && (a.rule == "" || strings.Contains(h.Reason, "which rule "+a.rule+" of policy restricted does not permit"))
			})
		}
		return k.Head.Commit == commit && refuses(a.rule, regexp.MustCompile(`^(deploy/`+s.called+`\.yml|\.env):\d+: `))(k)
	})
	if a.reached != nil && a.reached(s, service) && !existed {
		s.t.Errorf("%s: it reached what it wants", a.name)
	}
	if is, exists := s.services()[service]; exists != existed || is.Version != was.Version {
		s.t.Errorf("%s: the service exists: %t, and did: %t", a.name, exists, existed)
	}
	if mine := s.thief.services(); len(mine) > 0 {
		s.t.Errorf("%s: the instance has services: %v", a.name, slices.Sorted(maps.Keys(mine)))
	}
}

// succeeds tries all attacks that no policy hinders, at once, where they are permitted.
func (s *siege) succeeds() {
	s.permitAll()
	w := s.workspace()
	for i, a := range engineAttacks {
		if a.reached != nil {
			s.add(w, i)
		}
	}
	s.thief.repo.commit(w)
	s.thief.start()
	missing := map[int]string{}
	for i, a := range engineAttacks {
		if a.reached != nil {
			missing[i] = a.name
		}
	}
	s.t.Cleanup(func() { // tells which did not
		if len(missing) > 0 {
			s.t.Logf("under open these do not reach what they want: %q", slices.Collect(maps.Values(missing)))
		}
	})
	within(s.t, 2*patience, "all attacks reach what they want under open", func() bool {
		maps.DeleteFunc(missing, func(i int, _ string) bool {
			s.choose(i)
			return engineAttacks[i].reached(s, s.name)
		})
		return len(missing) == 0
	})
}

// isUndone makes the policy strict again. Its controller says of each attack why it is
// refused, and plain services in their place undo them.
func (s *siege) isUndone() {
	s.thief.stop()
	s.restrict()
	s.thief.start()
	s.thief.awaitStatus("what runs is refused now", func(k kargo.Status) bool {
		for i, a := range engineAttacks {
			if s.choose(i); a.reached != nil && !a.held && !refuses(a.rule, regexp.MustCompile(`^(deploy/`+s.called+`\.yml|\.env):\d+: `))(k) {
				return false
			}
		}
		return true
	})
	plain := s.workspace()
	for i, a := range engineAttacks {
		if s.choose(i); a.reached != nil {
			plain.stack(s.key, s.called).service(s.called, networks("own"))
		}
	}
	s.thief.repo.commit(plain)
	s.thief.sync()
	until(s.t, "plain services undo the attacks", func() bool {
		s.logged.Store(0)
		for i, a := range engineAttacks {
			if s.choose(i); a.reached != nil && !a.idle && a.reached(s, s.name) {
				return false
			}
		}
		return true
	})
}

// refuses reports whether a status says that a rule refuses the newest revision, and where.
func refuses(rule string, place *regexp.Regexp) func(kargo.Status) bool {
	return func(k kargo.Status) bool {
		return slices.ContainsFunc(k.Problems, func(p kargo.Problem) bool {
			return !p.Warning && place.MatchString(p.String()) && strings.Contains(p.String(), "which rule "+rule+" of policy restricted does not permit")
		})
	}
}

// services are all services of the Swarm, by name.
func (s *siege) services() map[string]kargo.LiveService {
	s.t.Helper()
	cluster, err := s.thief.observer.Observe(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	byName := map[string]kargo.LiveService{}
	for _, service := range cluster.Services {
		byName[service.Name] = service
	}
	return byName
}

// docker runs Docker's own program, as somebody beside the Swarm would.
func (s *siege) docker(args ...string) string {
	s.t.Helper()
	return s.thief.onEngine(args...)
}

// container is one of a service that runs; "" if there is none.
func (s *siege) container(service string) string {
	s.t.Helper()
	found, err := s.thief.api.ContainerList(s.t.Context(), container.ListOptions{Filters: filters.NewArgs(filters.Arg("label", "com.docker.swarm.service.name="+service))})
	if err != nil {
		s.t.Fatal(err)
	}
	if len(found) == 0 {
		return ""
	}
	return found[0].ID
}

// inspect is the container of a service, or an empty one.
func (s *siege) inspect(service string) container.InspectResponse {
	nothing := container.InspectResponse{Config: &container.Config{}}
	id := s.container(service)
	if id == "" {
		return nothing
	}
	found, err := s.thief.api.ContainerInspect(s.t.Context(), id)
	if err != nil { // it has ended meanwhile
		return nothing
	}
	return found
}

// says is what the program in the container of a service prints; "" if there is none.
func (s *siege) says(service string, words ...string) string {
	id := s.container(service)
	if id == "" {
		return ""
	}
	ctx := s.t.Context()
	command, err := s.thief.api.ContainerExecCreate(ctx, id, container.ExecOptions{Cmd: append([]string{"/testserver"}, words...), AttachStdout: true})
	if err != nil { // it has ended meanwhile
		return ""
	}
	stream, err := s.thief.api.ContainerExecAttach(ctx, command.ID, container.ExecAttachOptions{})
	if err != nil {
		return ""
	}
	defer stream.Close()
	var out strings.Builder
	if _, err := stdcopy.StdCopy(&out, io.Discard, stream.Reader); err != nil {
		return ""
	}
	return strings.TrimSpace(out.String())
}

// exists reports whether a service is in Swarm.
func (s *siege) exists(service string) bool { return s.services()[service].ID != "" }

// answers reports whether a request to the name of the victim's service, from the victim
// itself, is answered by another program.
func (s *siege) answers(string) bool {
	theirs := s.victim.service("dbs", "db")
	for range 5 {
		if strings.HasPrefix(s.says(theirs, "get", "http://"+theirs+"/"), "version="+s.key+" ") {
			return true
		}
	}
	return false
}

// network makes a network that belongs to nobody.
func (s *siege) network(name string) {
	s.docker("network", "create", "--driver", "overlay", "--attachable", name)
	s.t.Cleanup(func() {
		s.thief.kill()
		s.thief.removeAll() // what uses it
		until(s.t, name+" can be removed", func() bool { return s.thief.api.NetworkRemove(context.Background(), name) == nil })
	})
}

// link makes a link to the folder of the node, as a container can in a folder that it
// may write to.
func (s *siege) link(name string) {
	s.t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Symlink(s.folder, name); err != nil {
		s.t.Fatal(err)
	}
}

func readsTheNode(s *siege, service string) bool {
	return s.says(service, "print", "/x/marker") == "the node's"
}

func meetsTheVictim(s *siege, service string) bool {
	return strings.HasPrefix(s.says(service, "get", "http://db/"), "version=1 ")
}

func printsFile(file, content string) func(*siege, string) bool {
	return func(s *siege, service string) bool { return s.says(service, "print", file) == content }
}

// hasFailed is a task that ended by itself, with an error.
func hasFailed(task kargo.Task) bool { return task.Err != "" }
