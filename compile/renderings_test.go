package compile_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"pgregory.net/rapid"

	"kargo"
	"kargo/compile"
	"kargo/hooks"
	"kargo/permit"
	"kargo/secrets"
)

// smallCatalogue has a service that reads the catalogue's variables, one with
// privileges, and a template.
var smallCatalogue = map[string]string{
	".env.default":            "REDIS_TAG=8\nREDIS_CONSTRAINTS=node.role==manager\nPLAIN=of-the-catalogue\nAUTH_PASSWORD=\n",
	"deploy/redis.yml":        "services:\n  redis:\n    image: redis:${REDIS_TAG}\n    volumes: [../configs/redis:/etc/redis]\n",
	"configs/redis/r.conf":    "maxmemory 1\n",
	"configs/redis/t.yml.tpl": "plain: ${PLAIN}\n",
	"deploy/agent.yml":        "services:\n  agent:\n    image: agent:1\n    cap_add: [SYS_ADMIN]\n    environment: [PLAIN, OWN]\n",
}

// choices are, for each file of a repository, contents that it may have; "-" means
// that there is no such file.
var choices = map[string][]string{
	"deploy/app.yml": {
		"services: {app: {image: 'app:${APP_TAG:-1}', environment: [OWN, 'LEVEL=${LEVEL}']}}\n",
		"services: {app: {image: 'app:${APP_TAG}', env_file: ../configs/app.env}}\n",
		"services:\n  app:\n    image: app:2\n    volumes: [../configs/app:/etc/app:ro, ../scripts:/scripts]\n    depends_on: [missing]\n",
		"services: {app: {image: app:3, deploy: {labels: {traefik.port: '80', traefik.backend: '${LEVEL}'}}}}\n",
		"services: {app: {image: app:4, deploy: {labels: {traefik.http.services.app.loadbalancer.server.port: '80'}}}}\n",
	},
	"deploy/app-more.yml": {"services: {app: {command: '${LEVEL:?needed}'}}\n", "services: {app: {user: '1', restart: always}}\n", "-"},
	"deploy/other.yml": {"services: {other: {image: other, ports: ['${PORT:-80}:80']}}\n", "services: {other: {image: 'other:${REDIS_TAG}', ports: ['81:80'], configs: [c]}}\nconfigs: {c: {file: ../configs/app.env}}\n",
		"services: {other: {image: other, deploy: {labels: {traefik.http.routers.o.service: app@swarm, traefik.http.middlewares.o.forwardauth.address: 'http://kargo-apps_app/'}}}}\n"},
	"configs/app.env":      {"A=1\nLEVEL\n", "A=${LEVEL}\n", "-"},
	"configs/app/one":      {"one\n", "two\n", "", "-"},
	"configs/app/two":      {"two ${REDIS_TG}\n", "-"},
	"configs/redis/r.conf": {"maxmemory 2\n", "-"},
	"scripts/run":          {"echo $LEVEL $OWN\n", "-"},
	"kargo.yml":            {"stacks: {apps: {needs: [dbs]}}\n", "stacks: {apps: {deadline: 3m}}\n", "-"},
	"stacks/shop/compose.yml": {
		"services:\n  web:\n    image: nginx:${TAG}\n    environment: {LEVEL: , PLAIN: '${PLAIN:-none}'}\n",
		"services: {web: {image: nginx, networks: [front]}}\nnetworks: {front: {external: true, name: '${DOCKER_FRONT_NETWORK}'}}\n",
		"-",
	},
	"stacks/shop/.env": {"TAG=1\n", "TAG=2\nLEVEL=own\n", "SHOP_NAME=shop-two\nREDIS_TAG=1\n", "-"},
}

// variables are those of the repository's .env, with the values that each may have.
var variables = map[string][]string{
	"STACKS": {"'dbs apps'", "'apps dbs'", "'dbs apps more'"}, "DBS_STACK": {"redis", "'redis agent'"}, "APPS_STACK": {"app", "'app agent'"}, "MORE_STACK": {"other"},
	"APP_EXTENSION": {"app-more", "-"}, "APP_TAG": {"1", "2", "-"}, "LEVEL": {"info", "'a b'", "", "-"}, "OWN": {"x", "-"}, "PORT": {"80", "81", "-"},
	"REDIS_TAG": {"7", "-"}, "PLAIN": {"mine", "'two words'", "-"}, "APP_CONSTRAINTS": {"node.labels.a==1", "-"}, "REDIS_BINDS": {"keep", "-"}, "APP_BINDS": {"keep", "-"},
	"DBS_NAME": {"data", "-"}, "KARGO_STACK_PREFIX": {"team-", "-"}, "DOCKER_FRONT_NETWORK": {"edge", "-"}, "KARGO_CATALOGUE": {"1", "-"}, "APPS_NEEDS": {"dbs", "-"},
	"KARGO_SECRETS": {"LEVEL", "-"}, "DBS_ADOPT": {"true", "-"}, "APP_EXTENSON": {"x", "-"}, "MORE_STAK": {"x", "-"},
}

// broken are contents with errors.
var broken = map[string]string{
	"deploy/app.yml": "services: {app: {imagine: app:3}}\n", "deploy/app-more.yml": "services: {app: {command: '${LEVEL:?needed}'}}\n", "deploy/other.yml": "services: [\n",
	"configs/app.env": "-", "kargo.yml": "stacks: {apps: {deadline: soon}}\n", "stacks/shop/compose.yml": "services: {web: {}}\n",
}

// edited is a repository that changes.
type edited struct {
	files, env map[string]string
	comment    int // lines before the variables, which move all places
}

// edit changes the repository in one place.
func (e *edited) edit(t *rapid.T) {
	switch rapid.IntRange(0, 9).Draw(t, "kind") {
	case 0:
		e.comment = rapid.IntRange(0, 2).Draw(t, "comments")
	case 1:
		name := rapid.SampledFrom(slices.Sorted(maps.Keys(broken))).Draw(t, "broken")
		e.files[name] = broken[name]
	case 2, 3, 4, 5:
		name := rapid.SampledFrom(slices.Sorted(maps.Keys(variables))).Draw(t, "variable")
		e.env[name] = rapid.SampledFrom(variables[name]).Draw(t, name)
	default:
		name := rapid.SampledFrom(slices.Sorted(maps.Keys(choices))).Draw(t, "file")
		e.files[name] = rapid.SampledFrom(choices[name]).Draw(t, name)
	}
}

func (e *edited) tree() kargo.Tree {
	files := fstest.MapFS{}
	for name, content := range e.files {
		if content != "-" {
			files[name] = &fstest.MapFile{Data: []byte(content)}
		}
	}
	env := strings.Repeat("# a comment\n", e.comment)
	for _, name := range slices.Sorted(maps.Keys(e.env)) {
		if e.env[name] != "-" {
			env += name + "=" + e.env[name] + "\n"
		}
	}
	files[".env"] = &fstest.MapFile{Data: []byte(env)}
	return kargo.Tree{User: kargo.Files{FS: files}}
}

// A compiler that keeps renderings returns, whatever changes, what one returns that
// renders everything: stacks, problems, and where everything comes from.
func TestKeptRenderingsAreTheSame(t *testing.T) {
	catalogue := fstest.MapFS{}
	for name, content := range smallCatalogue {
		catalogue[name] = &fstest.MapFile{Data: []byte(content)}
	}
	plain := compile.Compiler{
		Defaults: catalogue, Catalogue: "2", Secrets: secrets.Options{}.Open, Hooks: hooks.Refuse,
		Root: "/var/lib/kargo/.kargo", Workspace: "/var/lib/kargo/workspace", Policy: policyNamed(t, "restricted"),
	}
	takenOver := 0
	rapid.Check(t, func(t *rapid.T) {
		plain := plain
		plain.Keys = func(context.Context) (kargo.Keys, error) {
			return kargo.Keys{Objects: []byte("of objects"), Specs: []byte("of specs")}, nil
		}
		keeps := plain
		keeps.KeepRenderings()
		repository := edited{files: map[string]string{}, env: map[string]string{}}
		for _, name := range slices.Sorted(maps.Keys(choices)) {
			repository.files[name] = rapid.SampledFrom(choices[name]).Draw(t, name)
		}
		for _, name := range slices.Sorted(maps.Keys(variables)) {
			repository.env[name] = rapid.SampledFrom(variables[name]).Draw(t, name)
		}
		for range rapid.IntRange(1, 8).Draw(t, "commits") {
			tree := repository.tree()
			want, errWant := plain.Compile(t.Context(), tree)
			trial := tried(t, plain, keeps.Known(), tree)
			got, errGot := keeps.Compile(t.Context(), tree)
			if fmt.Sprint(errGot) != fmt.Sprint(errWant) {
				t.Fatalf("got the error %v, and want %v", errGot, errWant)
			}
			if got, want := described(t, got), described(t, want); got != want {
				t.Fatalf("got:\n%s\nand want:\n%s", got, want)
			}
			if trial != keeps.RenderedAnew() {
				t.Fatalf("a trial renders %d stacks, and the compiler %d", trial, keeps.RenderedAnew())
			}
			takenOver += len(got.Stacks) - keeps.RenderedAnew()
			switch rapid.IntRange(0, 7).Draw(t, "between") {
			case 0: // somebody looks at one stack
				named := rapid.SampledFrom([]string{"apps", "dbs", "shop"}).Draw(t, "stack")
				want, _ := plain.Compile(t.Context(), tree, named)
				if got, _ := keeps.Compile(t.Context(), tree, named); described(t, got) != described(t, want) {
					t.Fatalf("stack %s alone:\n%s\nand want:\n%s", named, described(t, got), described(t, want))
				}
			case 1:
				plain.Policy = policyNamed(t, rapid.SampledFrom([]string{"restricted", "baseline", "open"}).Draw(t, "policy"))
				keeps.Policy = plain.Policy
			case 2:
				key := rapid.SampledFrom([]string{"of objects", "other"}).Draw(t, "key")
				plain.Keys = func(context.Context) (kargo.Keys, error) {
					return kargo.Keys{Objects: []byte(key), Specs: []byte("of specs")}, nil
				}
				keeps.Keys = plain.Keys
			}
			for range rapid.IntRange(1, 2).Draw(t, "edits") {
				repository.edit(t)
			}
		}
	})
	if takenOver == 0 {
		t.Error("no stack was taken over: this tests nothing")
	}
}

// policyNamed returns one of the policies that each may begin with.
func policyNamed(t rapid.TB, name string) permit.Policy {
	policy, err := permit.New(name)
	if err != nil {
		t.Fatal(err)
	}
	return policy
}

// tried returns how many stacks a trial in another process renders.
func tried(t *rapid.T, compiler compile.Compiler, known []compile.Known, tree kargo.Tree) int {
	data, err := json.Marshal(known)
	if err != nil {
		t.Fatal(err)
	}
	var told []compile.Known
	if err := json.Unmarshal(data, &told); err != nil {
		t.Fatal(err)
	}
	compiler.Try(told)
	if _, err := compiler.Compile(t.Context(), tree); err != nil {
		t.Fatal(err)
	}
	return compiler.RenderedAnew()
}

// A stack is rendered again if something changed that it reads, and only then.
func TestOnlyWhatChangedIsRendered(t *testing.T) {
	compiler := compile.Compiler{Secrets: secrets.Options{}.Open, Hooks: hooks.Refuse, Root: "/srv/.kargo"}
	compiler.KeepRenderings()
	files := fstest.MapFS{
		"deploy/a.yml": {Data: []byte("services: {a: {image: 'a:${A_TAG}'}}\n")},
		"deploy/b.yml": {Data: []byte("services: {b: {image: 'b:${B_TAG}', volumes: ['../configs/b:/b']}}\n")},
		"configs/b/1":  {Data: []byte("1")},
	}
	const start = "STACKS='a b'\nA_STACK=a\nB_STACK=b\nA_TAG=1\n"
	for _, step := range []struct {
		what, env, file, content string
		want                     int
	}{
		{"the first revision", "B_TAG=1\n", "", "", 2},
		{"nothing", "B_TAG=1\n", "", "", 0},
		{"a variable of one", "B_TAG=2\n", "", "", 1},
		{"a line that moves the others", "# words\nB_TAG=2\n", "", "", 0},
		{"a variable that nothing reads", "B_TAG=2\nNOTHING=1\n", "", "", 0},
		{"a config file", "B_TAG=2\nNOTHING=1\n", "configs/b/1", "2", 1},
		{"a file more in a folder", "B_TAG=2\nNOTHING=1\n", "configs/b/2", "2", 1},
		{"a file elsewhere", "B_TAG=2\nNOTHING=1\n", "configs/c", "2", 0},
	} {
		files[".env"] = &fstest.MapFile{Data: []byte(start + step.env)}
		if step.file != "" {
			files[step.file] = &fstest.MapFile{Data: []byte(step.content)}
		}
		desired, err := compiler.Compile(t.Context(), kargo.Tree{User: kargo.Files{FS: files}})
		if err != nil || desired.Problems.Err() != nil || compiler.RenderedAnew() != step.want {
			t.Errorf("%s: %d stacks were rendered, and not %d: %v %v", step.what, compiler.RenderedAnew(), step.want, err, desired.Problems)
		}
	}
}

// A stack that is taken over shares its services with the revision before, so that nobody
// needs to compare them.
func TestKeptStacksShareTheirServices(t *testing.T) {
	files, compiler := big(3), bigCompiler(t)
	compiler.Keys = func(context.Context) (kargo.Keys, error) { return kargo.Keys{Objects: []byte("key")}, nil }
	compiler.KeepRenderings()
	var before []kargo.Stack
	for _, value := range []string{"1", "2"} {
		desired, err := compiler.Compile(t.Context(), kargo.Tree{User: kargo.Files{FS: changed(files, value)}})
		if err != nil || desired.Problems.Err() != nil {
			t.Fatal(err, desired.Problems)
		}
		for i, stack := range desired.Stacks {
			if before != nil && (&stack.Services[0] == &before[i].Services[0]) == (stack.Name == "s0001") {
				t.Errorf("stack %s shares its services: %t", stack.Name, stack.Name == "s0001")
			}
		}
		before = desired.Stacks
	}
}

// described is everything that can be asked of what was compiled.
func described(t *rapid.T, desired compile.Desired) string {
	var text strings.Builder
	for _, problem := range desired.Problems {
		fmt.Fprintf(&text, "%+v\n", problem)
	}
	encoded, err := json.MarshalIndent(desired.Stacks, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	text.Write(encoded)
	for _, stack := range desired.Stacks {
		fmt.Fprintln(&text, stack.NeedsApproval, stack.Digest())
		origins := desired.Provenance
		fmt.Fprintf(&text, "%+v\n", origins.Why(stack.Name, true))
		for _, service := range stack.Services {
			fmt.Fprintln(&text, service.Name, origins.Place(service.Name), origins.Place(service.Name, "image"), origins.Place(service.Name, "volumes", "/etc/redis"),
				origins.Place(service.Name, "networks", "edge"), origins.Default(service.Name, "cap_add", "SYS_ADMIN"), origins.Untouched(service.Name), origins.Excluded(service.Name, "restricted"))
			_, name, _ := strings.Cut(service.Name, "_")
			for _, field := range []string{"", ".image", ".environment.LEVEL", ".deploy.placement.constraints"} {
				fmt.Fprintf(&text, "%+v\n", origins.Why(name+field, true))
			}
		}
	}
	if desired.Provenance != nil {
		for _, name := range slices.Sorted(maps.Keys(variables)) {
			fmt.Fprintln(&text, name, desired.Provenance.VariablePlace(name))
		}
	}
	return text.String()
}
