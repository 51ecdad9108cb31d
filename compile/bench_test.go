package compile_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"kargo"
	"kargo/compile"
	"kargo/defaults"
	"kargo/hooks"
	"kargo/permit"
	"kargo/secrets"
	"kargo/test/growth"
)

// big is a repository of so many stacks, of three services each.
func big(stacks int) fstest.MapFS {
	files := fstest.MapFS{}
	add := func(name, content string) { files[name] = &fstest.MapFile{Data: []byte(content)} }
	var env strings.Builder
	fmt.Fprint(&env, "STACKS='")
	for i := range stacks {
		fmt.Fprintf(&env, "s%04d ", i)
	}
	fmt.Fprintln(&env, "'")
	for i := range stacks {
		stack := fmt.Sprintf("s%04d", i)
		fmt.Fprintf(&env, "%s_STACK='%[2]s-web %[2]s-worker %[2]s-db'\n%[1]s_TAG=1.2.3\n", strings.ToUpper(stack), stack)
		for _, part := range []string{"web", "worker", "db"} {
			name := stack + "-" + part
			add("deploy/"+name+".yml", strings.NewReplacer("NAME", name, "TAG", strings.ToUpper(stack)+"_TAG").Replace(typicalService))
			add("configs/"+name+".conf", "listen 80; # "+name+"\n")
		}
	}
	add(".env", env.String())
	return files
}

const typicalService = `services:
  NAME:
    image: registry.example/team/app:${TAG}
    environment: {LEVEL: "${TAG:-debug}", A: "1", B: "2"}
    command: [serve, --port, "80"]
    volumes:
      - data-NAME:/data
      - ../configs/NAME.conf:/etc/app.conf:ro
    healthcheck: {test: [CMD, "true"], interval: 5s}
    deploy:
      labels:
        traefik.enable: "true"
        traefik.http.routers.NAME.rule: Host(` + "`NAME.example`" + `)
        traefik.http.services.NAME.loadbalancer.server.port: "80"
      resources: {limits: {memory: 128M}}
volumes:
  data-NAME:
`

// bigCompiler compiles over the catalogue, for the policy of a usual installation.
func bigCompiler(t testing.TB) compile.Compiler {
	policy, err := permit.New("restricted")
	if err != nil {
		t.Fatal(err)
	}
	return compile.Compiler{
		Defaults: defaults.FS(), Catalogue: defaults.Version, Secrets: secrets.Options{}.Open, Hooks: hooks.Refuse,
		Root: "/var/lib/kargo/.kargo", Workspace: "/var/lib/kargo/workspace", Policy: policy,
	}
}

func compileBig(t testing.TB, compiler compile.Compiler, files fstest.MapFS, stacks int) {
	desired, err := compiler.Compile(t.Context(), kargo.Tree{User: kargo.Files{FS: files}})
	if err != nil || len(desired.Stacks) != stacks {
		t.Fatal(err, len(desired.Stacks), desired.Problems.Err())
	}
}

// changed returns the same repository with another variable of one stack.
func changed(files fstest.MapFS, value string) fstest.MapFS {
	other := fstest.MapFS{}
	for name, file := range files {
		other[name] = file
	}
	other[".env"] = &fstest.MapFile{Data: []byte(strings.Replace(string(files[".env"].Data), "S0001_TAG=1.2.3", "S0001_TAG="+value, 1))}
	return other
}

func BenchmarkCompile(b *testing.B) {
	for _, stacks := range []int{10, 100, 300, 1000} {
		files := big(stacks)
		b.Run(fmt.Sprintf("all of %d stacks", stacks), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				compileBig(b, bigCompiler(b), files, stacks)
			}
		})
		b.Run(fmt.Sprintf("one variable of %d stacks", stacks), func(b *testing.B) {
			compiler := bigCompiler(b)
			compiler.KeepRenderings()
			compileBig(b, compiler, files, stacks)
			revisions := []fstest.MapFS{changed(files, "2"), changed(files, "3")}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				compileBig(b, compiler, revisions[i%2], stacks)
			}
		})
	}
}

// What it costs to compile must grow with the number of stacks and no faster, and so
// must what it costs to compile one changed stack.
func TestCostGrowsWithTheStacks(t *testing.T) {
	growth.Check(t, 50, func(stacks int) func() {
		files, compiler := big(stacks), bigCompiler(t)
		return func() { compileBig(t, compiler, files, stacks) }
	})
	growth.Check(t, 50, func(stacks int) func() {
		files, compiler := big(stacks), bigCompiler(t)
		compiler.KeepRenderings()
		compileBig(t, compiler, files, stacks)
		files = changed(files, "2")
		return func() { compileBig(t, compiler, files, stacks) }
	})
}
