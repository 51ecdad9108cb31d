package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestCatalogueShow(t *testing.T) {
	code, stdout, stderr := kargoIn(t, t.TempDir(), "catalogue", "show", "traefik")
	_, facts, _ := strings.Cut(stdout, "\nimage")
	facts, variables, _ := strings.Cut("image"+facts, "\n\n")
	const want = `image   traefik:v3.6
set     SUBDOMAIN, AUTH_USER, AUTH_PASSWORD
needs   docker-socket-proxy; node.role==manager; volume traefik_acme
on      kargo-docker-socket, kargo-front
offers  port 443 of its node, 80 of its node; https://traefik.SUBDOMAIN; metrics traefik`
	if code != 0 || facts != want || !strings.HasPrefix(stdout, "traefik: reverse proxy, certificates\n\nListens on ports 80 and 443") {
		t.Errorf("exit %d, %s\ngot\n%s\nwant\n%s", code, stderr, facts, want)
	}
	lines := strings.Split(variables, "\n")
	if fields := strings.Fields(lines[1]); strings.Join(fields, " ") != "TRAEFIK_IMAGE traefik image" {
		t.Errorf("the first variable is %q", lines[1])
	}
	if !strings.Contains(variables, "\nSUBDOMAIN              (required)  ") {
		t.Errorf("the variables are\n%s", variables)
	}
}

func TestCatalogueUnknown(t *testing.T) {
	code, _, stderr := kargoIn(t, t.TempDir(), "catalogue", "show", "reds")
	if code != 2 || stderr != "kargo: the catalogue has no service \"reds\"\nhint: did you mean redis?\n" {
		t.Errorf("exit %d, %q", code, stderr)
	}
}

// Every service of the catalogue can be rendered alone, has words in the guide,
// and every variable it reads is explained there.
func TestCatalogueIsComplete(t *testing.T) {
	code, stdout, stderr := kargoIn(t, t.TempDir(), "catalogue", "-o", "json")
	var list catalogueList
	if err := json.Unmarshal([]byte(stdout), &list); err != nil || code != 0 {
		t.Fatal(code, stderr, err)
	}
	if list.Version != catalogueVersion || len(list.Services) < 40 {
		t.Errorf("version %s, %d services", list.Version, len(list.Services))
	}
	for _, service := range list.Services {
		if service.Group == "" || service.Summary == "" || len(service.Images) == 0 || len(service.Needs.Networks) == 0 || len(service.Variables) == 0 {
			t.Errorf("too little is known of %s: %+v", service.Name, service)
		}
		for _, variable := range service.Variables {
			if variable.Meaning == "" {
				t.Errorf("%s: the guide does not say what %s means", service.Name, variable.Name)
			}
		}
		if slices.Contains(service.Needs.Services, service.Name) {
			t.Errorf("%s needs itself", service.Name)
		}
	}
}

func TestCatalogueOfAnother(t *testing.T) {
	dir := workspaceIn(t, "deploy/app.yml=services: {app: {image: \"app:${APP_TAG:?set APP_TAG}\", ports: [\"80:80\"]}}\n", ".env.default=OTHER=1\n")
	code, stdout, stderr := kargoIn(t, dir, "catalogue", "show", "app", "--defaults", dir)
	if code != 0 || !strings.Contains(stdout, "set     APP_TAG\n") {
		t.Errorf("exit %d, %s\n%s", code, stderr, stdout)
	}
}

// A workspace of init is refused until what has no default is filled in, and
// then it is sound, even for the whole catalogue.
func TestInit(t *testing.T) {
	dir := t.TempDir()
	_, stdout, _ := kargoIn(t, dir, "catalogue", "-o", "json")
	var list catalogueList
	if err := json.Unmarshal([]byte(stdout), &list); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, service := range list.Services {
		names = append(names, service.Name)
	}
	if code, _, stderr := kargoIn(t, dir, "init", "new/all", "--services", strings.Join(names, ",")); code != 0 {
		t.Fatal(code, stderr)
	}
	code, stdout, _ := kargoIn(t, filepath.Join(dir, "new/all"), "check")
	for _, name := range []string{"SUBDOMAIN", "AUTH_PASSWORD", "POSTGIS_ROOT_PASSWORD", "MARIADB_ROOT_PASSWORD", "MONGORS_MEMORY_LIMIT"} {
		if !strings.Contains(stdout, name+" is required") {
			t.Errorf("check does not ask for %s: exit %d, %s", name, code, stdout)
		}
	}
	env, err := os.ReadFile(".env")
	if err != nil {
		t.Fatal(err)
	}
	filled := regexp.MustCompile(`(?m)^([A-Z_]+)=$`).ReplaceAllString(string(env), "$1=2g")
	filled = strings.Replace(filled, "AUTH_PASSWORD=2g", "AUTH_PASSWORD='{SHA}x'", 1)
	if err := os.WriteFile(".env", []byte(filled), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, stdout, stderr := kargoIn(t, ".", "check"); code != 0 || stdout != "" {
		t.Errorf("filled in, it is refused: %d\n%s%s", code, stdout, stderr)
	}
	code, _, stderr := kargoIn(t, ".", "init", ".", "--services", "redis")
	if left, err := os.ReadFile(".env"); err != nil || code != 2 || string(left) != filled || !strings.Contains(stderr, "nothing was written") {
		t.Errorf("init over a workspace: exit %d, %s", code, stderr)
	}
}

func TestInitSaysWhatIsLeft(t *testing.T) {
	dir := t.TempDir()
	code, stdout, stderr := kargoIn(t, dir, "init", "--services", "adminer,mongodb,kapture")
	const want = `.env
.gitignore
README.md

kapture speaks to kano, or to others in its place
fill in: SUBDOMAIN, AUTH_PASSWORD
a node needs the label mongodb=true
then: kargo check --workspace .
`
	if code != 0 || stdout != want {
		t.Errorf("exit %d, %s\ngot\n%s\nwant\n%s", code, stderr, stdout, want)
	}
	env, err := os.ReadFile(".env")
	if err != nil || !strings.Contains(string(env), "STACKS=\"system dbs apps\"\n\n# Entrance\nSYSTEM_STACK=\"docker-socket-proxy traefik\"\n") {
		t.Errorf("the environment is\n%s", env)
	}
	if code, _, stderr := kargoIn(t, dir, "init", "x", "--services", "reds"); code != 2 || stderr != "kargo: the catalogue has no service \"reds\"\nhint: did you mean redis?\n" {
		t.Errorf("exit %d, %s", code, stderr)
	}
	if code, _, stderr := kargoIn(t, dir, "init", "x"); code != 2 || !strings.HasPrefix(stderr, "kargo: which services?") {
		t.Errorf("exit %d, %s", code, stderr)
	}
}
