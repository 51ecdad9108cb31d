package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	dockerswarm "github.com/docker/docker/api/types/swarm"

	"kargo"
)

// attack is one thing that the author of a workspace tries.
type attack struct {
	name    string
	service string // lines of the service
	top     string // of the compose file
	env     string
	files   map[string]string
	// rule refuses it. If it is empty, the answer has said in it.
	rule, said string
}

// write writes the workspace of the attack.
func (a attack) write(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	service := "    deploy: {replicas: 0}\n    " + a.service
	if deploy, ok := strings.CutPrefix(a.service, ","); ok {
		service = "    deploy: {replicas: 0," + deploy + "}"
	}
	files := map[string]string{
		".env":           "STACKS=web\nWEB_STACK=app\n" + a.env,
		"deploy/app.yml": "services:\n  app:\n    image: kargo/testserver:1\n" + service + "\n" + a.top + "\n",
	}
	for name, content := range a.files {
		files[name] = content
	}
	for name, content := range files {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(dir, name), content)
	}
	return dir
}

const localBind = "volumes: {data: {driver_opts: {type: none, o: bind, device: /}}}"

// attacks are refused by the policy restricted whatever runs on the Swarm. A service
// that begins with a comma is a part of its deploy section.
var attacks = []attack{
	{name: "all capabilities", service: "cap_add: [ALL]", rule: "capabilities"},
	{name: "a program for core files", service: `sysctls: {kernel.core_pattern: "|/bin/sh"}`, rule: "sysctls"},
	{name: "a folder with the socket", service: `volumes: ["/run:/x"]`, rule: "docker-socket"},
	{name: "the socket of Windows", service: "volumes: [{type: npipe, source: '//./pipe/docker_engine', target: /x}]", rule: "docker-socket"},
	{name: "a path of the node", service: `volumes: ["/proc:/x:ro"]`, rule: "bind-mounts"},
	{name: "a path above the workspace", service: `volumes: ["../../../../../etc:/x:ro"]`, rule: "bind-mounts"},
	{name: "the whole merged configuration", service: `volumes: ["./..:/x:ro"]`, rule: "bind-mounts"},
	{name: "a folder that others write to", service: `volumes: ["./../acme:/x:ro"]`, files: map[string]string{"acme/x": "1"}, rule: "bind-mounts"},
	{name: "a writable file of the configuration", service: `volumes: ["./../configs/x:/x"]`, env: "APP_BINDS=keep\n", files: map[string]string{"configs/x": "1"}, rule: "bind-mounts"},
	{name: "a volume that is a bind", service: "volumes: [data:/x]", top: localBind, rule: "docker-socket"},
	{name: "a volume whose template spells bind", service: "volumes: [data:/x]",
		top: `volumes: {data: {driver_opts: {type: tmpfs, device: /, o: '{{print "bi" "nd"}}'}}}`, rule: "docker-socket"},
	{name: "flags in capitals", service: "volumes: [data:/x]", top: "volumes: {data: {driver_opts: {type: tmpfs, device: tmpfs, o: 'size=1m,BIND'}}}", rule: "volume-options"},
	{name: "the local driver by another name", service: "volumes: [data:/x]", top: "volumes: {data: {driver: 'local:latest', driver_opts: {type: none, o: bind, device: /}}}", rule: "volume-drivers"},
	{name: "two sizes of a tmpfs", service: "volumes: [data:/x]", top: "volumes: {data: {driver_opts: {type: tmpfs, device: tmpfs, o: 'size=1m,size=1t'}}}", rule: "memory-mounts"},
	{name: "a volume of others", service: "volumes: [data:/x]", top: "volumes: {data: {name: kargo-dbs_data}}", rule: "external-volumes"},
	{name: "a cluster volume", service: "volumes: [{type: cluster, source: 'group:fast', target: /x}]", rule: "cluster-volumes"},
	{name: "a secret of others", service: "secrets: [s]", top: "secrets: {s: {external: true, name: kargo-dbs_password}}", rule: "external-secrets"},
	{name: "a secret under the name of others", service: "secrets: [s]", top: "secrets: {s: {file: ../.env, name: kargo-dbs_password}}", rule: "own-names"},
	{name: "a template that grows", service: "configs: [c]", top: "configs: {c: {file: ../configs/c, template_driver: golang}}",
		files: map[string]string{"configs/c": `{{printf "%1000d" 1}}`}, rule: "templates"},
	{name: "a template in the environment", service: `environment: {A: '{{printf "%9d" 1}}'}`, rule: "templates"},
	{name: "a template in a target", service: `volumes: [{type: volume, source: data, target: '/{{index .Service.Labels "a"}}'}]`, top: "volumes: {data: }", rule: "templates"},
	{name: "the node's network", service: "networks: [n]", top: "networks: {n: {external: true, name: host}}", rule: "host-network"},
	{name: "a network of others", service: "networks: [n]", top: "networks: {n: {external: true, name: kargo-dbs_default}}", rule: "external-networks"},
	{name: "the network of Docker's API", service: "networks: [n]", top: "networks: {n: {external: true, name: kargo-docker-socket}}", rule: "socket-network"},
	{name: "a shared network of another name", env: "DOCKER_BACK_NETWORK=other-back\n", rule: "shared-networks"},
	{name: "the driver overlay in capitals", service: "networks: [n]", top: "networks: {n: {driver: OVERLAY}}", rule: "network-drivers"},
	{name: "the addresses of a network", service: "networks: [n]", top: "networks: {n: {ipam: {config: [{subnet: 10.0.0.0/8}]}}}", rule: "network-options"},
	{name: "the number of an overlay", service: "networks: [n]", top: "networks: {n: {driver_opts: {com.docker.network.driver.overlay.vxlanid_list: '4096'}}}", rule: "network-options"},
	{name: "a name for others", service: "networks: {n: {aliases: [kargo-dbs_mongodb]}}", top: "networks: {n: {external: true, name: kargo-back}}", rule: "aliases"},
	{name: "a service that is called like others", env: "WEB_STACK=kargo-dbs_mongodb\n", files: map[string]string{
		"deploy/kargo-dbs_mongodb.yml": "services: {kargo-dbs_mongodb: {image: 'a:1', networks: [n]}}\nnetworks: {n: {external: true, name: kargo-back}}\n"}, rule: "aliases"},
	{name: "a hostname for others", service: "hostname: kargo-dbs_mongodb\n    networks: [n]", top: "networks: {n: {external: true, name: kargo-back}}", rule: "aliases"},
	{name: "a hostname that begins with a number", service: "hostname: '{{.Task.Slot}}password'\n    networks: [n]", top: "networks: {n: {external: true, name: kargo-back}}", rule: "aliases"},
	{name: "a socket as a log", service: "logging: {driver: syslog, options: {syslog-address: 'unix:///run/docker.sock'}}", rule: "log-options"},
	{name: "a plugin as a log", service: "logging: {driver: evil/log}", rule: "log-drivers"},
	{name: "managers", service: ", placement: {constraints: ['node.role  !=  Worker']}", rule: "placement"},
	{name: "a device", service: ", resources: {reservations: {generic_resources: [{discrete_resource_spec: {kind: gpu, value: 1}}]}}", rule: "devices"},
	{name: "a port of the Swarm", service: `ports: ["80"]`, rule: "published-ports"},
	{name: "locked memory", service: "ulimits: {memlock: -1}", rule: "ulimits"},
	{name: "a service that starts again at once", service: ", restart_policy: {delay: 0s}", rule: "restart-delay"},
	{name: "a health check each millisecond", service: "healthcheck: {test: [CMD, x], interval: 1ms}", rule: "health-interval"},
	{name: "a container that does not stop", service: "stop_grace_period: 87600h", rule: "stop-grace"},
	{name: "a tag of a log that grows in the daemon", service: `logging: {driver: json-file, options: {tag: '{{pad "" 1000000000 0}}'}}`, rule: "log-options"},
	{name: "files of a log without end", service: "logging: {driver: json-file, options: {max-size: 1k, max-file: '1000000000'}}", rule: "log-options"},
	{name: "requests of Traefik to any address", service: ", labels: {traefik.http.middlewares.a.forwardauth.address: 'http://kargo-dbs_mongodb:8080/'}", rule: "foreign-routes"},
	{name: "a certificate of others", service: ", labels: {'traefik.http.routers.a.tls.domains[0].main': intranet}", rule: "hosts"},
	{name: "all hosts", service: ", labels: {traefik.http.routers.a.rule: 'PathPrefix(`/`)'}", rule: "hosts"},
	{name: "Traefik's own API", service: ", labels: {traefik.http.routers.a.service: api@internal}", rule: "foreign-routes"},
	{name: "a job of another instance", service: ", labels: {kargo.job: other}", rule: "own-names"},
	{name: "a credential spec", service: "credential_spec: {file: x}", rule: "privileges"},
	{name: "what has no owner", env: "WEB_ADOPT=true\n", rule: "adoption"},
	{name: "the image to others", env: "WEB_IGNORE=/Spec/TaskTemplate/ContainerSpec/Image\n", rule: "ignored-fields"},
	{name: "everything to others", env: "WEB_IGNORE=/Spec/TaskTemplate\n", rule: "ignored-fields"},
	{name: "labels of nodes", env: "NODE_1_LABELS=a=b\n", rule: "node-labels"},
	{name: "a file of the host", service: "configs: [c]", top: "configs: {c: {file: /etc/shadow}}", said: "files of the host are not read"},
	{name: "a file above the workspace", service: "env_file: ../../../../etc/passwd", said: "files of the host are not read"},
	{name: "variables of the controller", service: "secrets: [s]", top: "secrets: {s: {environment: PATH}}", said: "is not a property of compose files for Swarm"},
	{name: "a policy of its own", service: "cap_add: [ALL]", files: map[string]string{"kargo.yml": "policy: open\n"}, rule: "capabilities"},
	{name: "a lever of the catalogue", env: "STACKS=docker-socket-proxy\nDOCKER_SOCKET_PROXY_STACK=docker-socket-proxy\nDOCKER_SOCKET_PROXY_EXTENSION=more\n",
		files: map[string]string{"deploy/more.yml": "x-kargo: {docker-socket-proxy: {harmless: ['*']}}\nservices: {docker-socket-proxy: {command: sh}}\n"}, rule: "docker-socket"},
	{name: "a host by a variable of the catalogue", env: "STACKS=adminer\nADMINER_STACK=adminer\nSUBDOMAIN='x.y`) || PathPrefix(`/'\nAUTH_USER=a\nAUTH_PASSWORD='$apr1$x$y'\n", rule: "hosts"},
}

// The program refuses each attack, with the rule that does.
func TestS41_AttacksAreRefused(t *testing.T) {
	t.Parallel()
	for _, a := range attacks {
		got := run(t, "/", nil, "check", "--workspace", a.write(t), "--policy", "restricted")
		said := a.said
		if a.rule != "" {
			said = "which rule " + a.rule + " of policy restricted does not permit"
		}
		if got.code != 2 || !strings.Contains(got.String(), said) {
			t.Errorf("%s: %s", a.name, got)
		}
	}
}

// What another instance has on the Swarm is not claimed: the program plans nothing for
// the stack, and says why.
func TestS42_OthersAreNotClaimed(t *testing.T) {
	t.Parallel()
	victim := inMemory(t)
	victim.begin(victim.workspace().stack("web", "site").service("site"))
	victim.stop() // it would correct the label
	victim.change(victim.service("web", "site"), func(spec *dockerswarm.ServiceSpec) {
		spec.Labels["traefik.http.routers.shop.rule"] = "Host(`shop.example.com`)"
	})
	namespace := strings.TrimSuffix(victim.service("web", ""), "_")
	for _, a := range []attack{
		{name: "a router", service: ", labels: {traefik.http.routers.SHOP.rule: 'Host(`mine.example.com`)'}", rule: "foreign-routes"},
		{name: "a host", service: ", labels: {traefik.http.routers.mine.rule: 'Host(`Shop.example.com.`)'}", rule: "foreign-routes"},
		{name: "its service in Traefik", service: ", labels: {traefik.http.services." + namespace + "-site.loadbalancer.server.port: '80'}", rule: "foreign-routes"},
		{name: "its namespace", env: "WEB_NAME=" + namespace + "\n", said: "lies in the namespace of the stack"},
		{name: "a namespace within it", env: "WEB_NAME=" + namespace + "_b\n", rule: "own-names"},
		{name: "its namespace in capitals", env: "WEB_NAME=" + strings.ToUpper(namespace) + "\n", rule: "own-names"},
	} {
		got := run(t, "/", victim.env, "plan", "--workspace", a.write(t), "--data", t.TempDir(), "--instance", "thief", "--policy", "restricted")
		said := a.said
		if a.rule != "" {
			said = "which rule " + a.rule + " of policy restricted does not permit"
		}
		if !strings.Contains(got.String(), said) || strings.Contains(got.stdout, "create service") {
			t.Errorf("%s: %s", a.name, got)
		}
	}
	if got := victim.live().Services; len(got) != 1 || got[0].Spec.Labels[kargo.LabelInstance] != victim.prefix {
		t.Errorf("the victim has %d services", len(got))
	}
}
