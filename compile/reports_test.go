package compile_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/docker/docker/api/types/swarm"

	"kargo"
	"kargo/compile"
	"kargo/defaults"
	"kargo/hooks"
	"kargo/secrets"
)

// These are public reports of bugs in other tools, reduced to one workspace each,
// that are about the whole way from the files to the specs.

// compiled returns the services of a workspace over the catalogue, by name.
func compiled(t *testing.T, files map[string]string) map[string]swarm.ServiceSpec {
	t.Helper()
	workspace := fstest.MapFS{}
	for name, content := range files {
		workspace[name] = &fstest.MapFile{Data: []byte(content)}
	}
	compiler := compile.Compiler{
		Defaults: defaults.FS(), Secrets: secrets.Options{}.Open, Hooks: hooks.Refuse,
		Root: "/var/lib/kargo/.kargo", Workspace: "/var/lib/kargo/workspace",
	}
	desired, err := compiler.Compile(t.Context(), kargo.Tree{User: kargo.Files{FS: workspace}})
	if err != nil || desired.Problems.Err() != nil {
		t.Fatal(err, desired.Problems)
	}
	specs := map[string]swarm.ServiceSpec{}
	for _, stack := range desired.Stacks {
		for _, service := range stack.Services {
			specs[service.Name] = service.Spec
		}
	}
	return specs
}

const edge = "EDGE_STACK=traefik\nSUBDOMAIN=example.org\nTRAEFIK_ACME_EMAIL=ops@example.org\nAUTH_USER=ops\nAUTH_PASSWORD='$apr1$abcdefgh$0123456789abcdefghijkl'\n"

// Files written on Windows begin with a byte order mark and end lines with CRLF.
func TestFilesOfWindows(t *testing.T) {
	windows := func(text string) string { return "\ufeff" + strings.ReplaceAll(text, "\n", "\r\n") }
	spec := compiled(t, map[string]string{
		".env":                    windows("STACKS=web\nWEB_STACK=site\nSITE_TAG=1.27\n"),
		"configs/site/site.env":   windows("FIRST=1\nSECOND=two words\n"),
		"deploy/site.yml":         windows("services:\n  site:\n    image: nginx:${SITE_TAG}\n    env_file: ./../configs/site/site.env\n    labels:\n      note: |\n        one\n        two\n"),
		"stacks/shop/compose.yml": windows("services:\n  web:\n    image: nginx:${TAG}\n"),
		"stacks/shop/.env":        windows("TAG=1.28\n"),
	})
	container := spec["kargo-web_site"].TaskTemplate.ContainerSpec
	if container.Image != "nginx:1.27" || !slices.Equal(container.Env, []string{"FIRST=1", "SECOND=two words"}) || container.Labels["note"] != "one\ntwo\n" {
		t.Errorf("%q %q %q", container.Image, container.Env, container.Labels["note"])
	}
	if image := spec["shop_web"].TaskTemplate.ContainerSpec.Image; image != "nginx:1.28" {
		t.Errorf("%q", image)
	}
}

// An extension that adds 443/udp to the catalogue's Traefik keeps 443/tcp.
func TestHTTP3ForTraefik(t *testing.T) {
	spec := compiled(t, map[string]string{
		".env":                     "STACKS=edge\nTRAEFIK_EXTENSION=traefik-http3\n" + edge,
		"deploy/traefik-http3.yml": "services:\n  traefik:\n    ports:\n      - {target: 443, published: 443, protocol: udp, mode: host}\n",
	})
	var ports []string
	for _, port := range spec["kargo-edge_traefik"].EndpointSpec.Ports {
		ports = append(ports, fmt.Sprintf("%d/%s %s", port.PublishedPort, port.Protocol, port.PublishMode))
	}
	slices.Sort(ports)
	if want := []string{"443/tcp host", "443/udp host", "80/tcp host"}; !slices.Equal(ports, want) {
		t.Errorf("%q, want %q", ports, want)
	}
}

// A service with labels of Traefik 1.7 and a network has labels of one family only.
func TestOldNetworkLabel(t *testing.T) {
	spec := compiled(t, map[string]string{
		".env":           "STACKS=\"edge apps\"\nAPPS_STACK=app\n" + edge,
		"deploy/app.yml": "services:\n  app:\n    image: acme/app:1\n    networks: [front]\n    deploy:\n      labels: [traefik.enable=true, traefik.docker.network=kargo-front, traefik.port=8080, 'traefik.frontend.rule=Host:app.example.org']\nnetworks:\n  front: {external: true, name: kargo-front}\n",
	})
	labels := spec["kargo-apps_app"].Labels
	_, docker := labels["traefik.docker.network"]
	_, swarmwide := labels["traefik.swarm.network"]
	if docker == swarmwide || labels["traefik.http.routers.app.rule"] != "Host(`app.example.org`)" || labels["traefik.http.services.app.loadbalancer.server.port"] != "8080" {
		t.Errorf("%v", labels)
	}
}
