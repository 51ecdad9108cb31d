package render_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"kargo"
	"kargo/render"
	"kargo/test/golden"
)

// tree makes a workspace out of an environment and files.
func tree(env kargo.Environment, files map[string]string) kargo.Workspace {
	ws := kargo.Workspace{Root: "/srv/.kargo", Env: env, Files: map[string]kargo.File{}}
	for name, content := range files {
		ws.Files[name] = kargo.File{Data: []byte(content), Origin: kargo.OriginUser, Source: name}
	}
	return ws
}

// valid renders a workspace that must be without problems.
func valid(t *rapid.T, ws kargo.Workspace, names ...string) []kargo.Stack {
	stacks, problems := render.Render(ws, names...)
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	return stacks
}

// Whatever the files of a stack say about one scalar, the last of service
// file, extension, service file, extension, … that says something counts.
func TestLastFileCounts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		env := kargo.Environment{"STACKS": "dbs"}
		files := map[string]string{}
		var services []string
		want := ""
		for i := range rapid.IntRange(1, 4).Draw(t, "services") {
			service := fmt.Sprintf("s%d", i)
			services = append(services, service)
			for _, file := range []string{service, service + "-ext"} {
				user := rapid.SampledFrom([]string{"", "alice", "bob"}).Draw(t, file)
				if user != "" {
					want = user
				}
				files["deploy/"+file+".yml"] = fmt.Sprintf("services:\n  redis:\n    image: redis:7\n    user: %q\n", user)
			}
			if rapid.Bool().Draw(t, "extension of "+service) {
				env[kargo.EnvName(service)+"_EXTENSION"] = service + "-ext"
			} else {
				files["deploy/"+service+"-ext.yml"] = "never read: ["
			}
		}
		env["DBS_STACK"] = strings.Join(services, "\n")
		// Extensions that are not named say nothing.
		want = ""
		for _, service := range services {
			for _, file := range []string{service, env[kargo.EnvName(service)+"_EXTENSION"]} {
				_, said, _ := strings.Cut(files["deploy/"+file+".yml"], "user: ")
				if said = strings.Trim(said, "\"\n"); said != "" {
					want = said
				}
			}
		}
		stacks := valid(t, tree(env, files))
		if got := stacks[0].Services[0].Spec.TaskTemplate.ContainerSpec.User; got != want {
			t.Fatalf("user is %q and should be %q", got, want)
		}
	})
}

// Constraints only ever grow: those of the file, of the extension and of the
// variable, in this order and none lost.
func TestConstraintsAppend(t *testing.T) {
	constraint := rapid.StringMatching(`node\.labels\.[a-z]{1,3}(==|!=)[a-z]{1,3}`)
	list := rapid.SliceOfN(constraint, 0, 3)
	rapid.Check(t, func(t *rapid.T) {
		file, extension, variable := list.Draw(t, "file"), list.Draw(t, "extension"), list.Draw(t, "variable")
		content := func(constraints []string) string {
			quoted, err := json.Marshal(append([]string{}, constraints...))
			if err != nil {
				t.Fatal(err)
			}
			return "services:\n  a-b:\n    image: x\n    deploy:\n      placement:\n        constraints: " + string(quoted) + "\n"
		}
		stacks := valid(t, tree(kargo.Environment{
			"STACKS": "dbs", "DBS_STACK": "svc", "SVC_EXTENSION": "ext",
			"A_B_CONSTRAINTS": strings.Join(variable, "  "),
		}, map[string]string{"deploy/svc.yml": content(file), "deploy/ext.yml": content(extension)}))
		got := stacks[0].Services[0].Spec.TaskTemplate.Placement.Constraints
		if want := slices.Concat(file, extension, variable); !slices.Equal(got, want) {
			t.Fatalf("constraints are %q and should be %q", got, want)
		}
	})
}

// A stack does not depend on other stacks: rendered alone it is the same, and
// a change of another stack's file does not reach it.
func TestStacksAreIsolated(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		env := kargo.Environment{"STACKS": "one two three", "SHARED": rapid.StringMatching(`[a-z]{0,5}`).Draw(t, "shared")}
		files := map[string]string{}
		for _, stack := range strings.Fields(env["STACKS"]) {
			env[kargo.EnvName(stack)+"_STACK"] = stack
			files["deploy/"+stack+".yml"] = fmt.Sprintf("services:\n  %s:\n    image: x:1${SHARED}\n    hostname: %q\n    networks: [own]\nnetworks:\n  own:\n", stack,
				rapid.StringMatching(`[a-z]{0,5}`).Draw(t, stack))
		}
		all := valid(t, tree(env, files))
		alone := valid(t, tree(env, files), "two")
		if len(alone) != 1 || alone[0].Digest() != all[1].Digest() {
			t.Fatal("a stack rendered alone differs")
		}
		files["deploy/one.yml"] += "  more:\n"
		if changed := valid(t, tree(env, files)); changed[1].Digest() != all[1].Digest() {
			t.Fatal("a change of one stack reached another")
		}
	})
}

// Rendering returns the same bytes for the same workspace, whatever the order
// in which maps are walked.
func TestRenderingIsDeterministic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`[a-z]{1,4}`)
		var file strings.Builder
		networks := rapid.SliceOfNDistinct(name, 1, 4, rapid.ID[string]).Draw(t, "networks")
		configs := rapid.SliceOfNDistinct(name, 1, 4, rapid.ID[string]).Draw(t, "configs")
		file.WriteString("services:\n")
		for _, service := range rapid.SliceOfNDistinct(name, 1, 5, rapid.ID[string]).Draw(t, "services") {
			fmt.Fprintf(&file, "  %s:\n    image: x:${TAG}\n    networks: [%s]\n    configs: [%s]\n    ports: [\"80\", \"81-84:81-84\"]\n",
				service, strings.Join(networks, ", "), strings.Join(configs, ", "))
			fmt.Fprintf(&file, "    ulimits: {nofile: 5, nproc: 6}\n    sysctls: {a: 1, b: 2}\n    extra_hosts: {h: 1.1.1.1, i: 1.1.1.2}\n")
		}
		file.WriteString("networks:\n")
		for _, network := range networks {
			fmt.Fprintf(&file, "  %s:\n", network)
		}
		file.WriteString("configs:\n")
		for _, config := range configs {
			fmt.Fprintf(&file, "  %s: {file: ../configs/x}\n", config)
		}
		ws := tree(kargo.Environment{"STACKS": "dbs", "DBS_STACK": "svc"},
			map[string]string{"deploy/svc.yml": file.String(), "configs/x": "content"})
		first, firstProblems := render.Render(ws)
		for range 5 {
			again, problems := render.Render(ws)
			if !slices.Equal(problems, firstProblems) {
				t.Fatalf("problems differ:\n%v\n%v", firstProblems, problems)
			}
			a, err := json.Marshal(first)
			if err != nil {
				t.Fatal(err)
			}
			b, err := json.Marshal(again)
			if err != nil {
				t.Fatal(err)
			}
			if string(a) != string(b) {
				t.Fatalf("the rendering differs:\n%s\n%s", a, b)
			}
		}
	})
}

// The shared networks are in every stack, by their default names or by those
// of the variables.
func TestSharedNetworks(t *testing.T) {
	stacks, problems := render.Render(tree(kargo.Environment{
		"STACKS": "dbs", "DBS_STACK": "svc", "DOCKER_FRONT_NETWORK": "", "DOCKER_SOCKET_NETWORK": "corp-socket",
	}, map[string]string{"deploy/svc.yml": "services:\n  a:\n    image: x\n    networks: [host]\nnetworks:\n  host: {external: true}\n"}))
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, network := range stacks[0].Networks {
		got = append(got, fmt.Sprintf("%s shared=%t attachable=%t external=%t driver=%s",
			network.Name, network.Shared, network.Attachable, network.External, network.Driver))
	}
	want := []string{
		"corp-socket shared=true attachable=true external=false driver=overlay",
		"host shared=false attachable=false external=true driver=",
		"kargo-back shared=true attachable=true external=false driver=overlay",
		"kargo-front shared=true attachable=true external=false driver=overlay",
	}
	if !slices.Equal(got, want) {
		t.Errorf("networks are\n%s\nand should be\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// Names choose stacks; they keep the order of STACKS, and a name that is no
// stack is a problem.
func TestRenderNamed(t *testing.T) {
	ws := tree(kargo.Environment{"STACKS": "one two", "ONE_STACK": "svc", "TWO_STACK": "svc"},
		map[string]string{"deploy/svc.yml": "services:\n  a:\n    image: x\n"})
	for _, test := range []struct {
		names    []string
		stacks   string
		problems string
	}{
		{nil, "one two", ""},
		{[]string{"all"}, "one two", ""},
		{[]string{"two", "one"}, "one two", ""},
		{[]string{"tow"}, "", `.env: STACKS has no stack "tow" (did you mean two?)`},
		{[]string{"t.o"}, "", `.env: STACKS has no stack "t.o" (did you mean two?)`},
	} {
		stacks, problems := render.Render(ws, test.names...)
		var got []string
		for _, stack := range stacks {
			got = append(got, stack.Name)
		}
		if strings.Join(got, " ") != test.stacks || strings.TrimSpace(golden.Lines(problems)) != test.problems {
			t.Errorf("Render(%q) = %q, %q", test.names, got, golden.Lines(problems))
		}
	}
}

// Swarm takes configs of 1 to 1,023,999 bytes and secrets of 1 to 511,999.
func TestConfigSizes(t *testing.T) {
	file := "services:\n  a:\n    image: x\n    %[1]s: [big]\n%[1]s:\n  big:\n    file: ../configs/big\n"
	for _, test := range []struct {
		section string
		size    int
		problem string
	}{
		{"configs", 1, ""},
		{"configs", 1_023_999, ""},
		{"configs", 1_024_000, "deploy/svc.yml:7: configs.big: configs/big has 1024000 bytes; Swarm accepts 1 to 1023999\n"},
		{"configs", 0, "deploy/svc.yml:7: configs.big: configs/big has 0 bytes; Swarm accepts 1 to 1023999\n"},
		{"secrets", 511_999, ""},
		{"secrets", 512_000, "deploy/svc.yml:7: secrets.big: configs/big has 512000 bytes; Swarm accepts 1 to 511999\n"},
	} {
		_, problems := render.Render(tree(kargo.Environment{"STACKS": "dbs", "DBS_STACK": "svc"}, map[string]string{
			"deploy/svc.yml": fmt.Sprintf(file, test.section),
			"configs/big":    strings.Repeat("x", test.size),
		}))
		if got := golden.Lines(problems); got != test.problem {
			t.Errorf("%d bytes of %s: %q, should be %q", test.size, test.section, got, test.problem)
		}
	}
}

// Files of binds keep their modes, and those that were encrypted become secrets.
func TestFilesOfBinds(t *testing.T) {
	const file = "services:\n  a:\n    image: x\n    volumes: [\"../configs/a:/etc/a\"]\n"
	ws := tree(kargo.Environment{"STACKS": "dbs", "DBS_STACK": "svc"},
		map[string]string{"deploy/svc.yml": file, "configs/a/plain": "x", "configs/a/run me.sh": "y", "configs/a/token": "z"})
	ws.Files["configs/a/run me.sh"] = kargo.File{Data: []byte("y"), Executable: true}
	ws.Files["configs/a/token"] = kargo.File{Data: []byte("z"), Secret: true}
	stacks, problems := render.Render(ws)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	var got []string
	container := stacks[0].Services[0].Spec.TaskTemplate.ContainerSpec
	for _, c := range container.Configs {
		got = append(got, fmt.Sprintf("config %s %s %o %s:%s", c.ConfigName, c.File.Name, c.File.Mode, c.File.UID, c.File.GID))
	}
	for _, s := range container.Secrets {
		got = append(got, fmt.Sprintf("secret %s %s %o %s:%s", s.SecretName, s.File.Name, s.File.Mode, s.File.UID, s.File.GID))
	}
	want := []string{
		"config kargo-dbs_a-plain-000000000000 /etc/a/plain 644 0:0",
		"config kargo-dbs_a-run-me.sh-000000000000 /etc/a/run me.sh 755 0:0",
		"secret kargo-dbs_a-token-000000000000 /etc/a/token 644 0:0",
	}
	if !slices.Equal(got, want) || len(container.Mounts) > 0 {
		t.Errorf("got\n%s\nand %d mounts, want\n%s", strings.Join(got, "\n"), len(container.Mounts), strings.Join(want, "\n"))
	}

}

// What Swarm cannot hold stays a bind, as in the historic tool, and the warning says
// what that asks of the nodes. An encrypted file cannot stay one.
func TestBindsThatSwarmCannotHold(t *testing.T) {
	const file = "services:\n  a:\n    image: x\n    volumes: [\"../configs/a:/etc/a\", \"../configs/b:/etc/b\", \"../configs/c:/etc/c\"]\n"
	const hint = " (share this directory with the nodes, or put the files into an image or a volume; A_BINDS=keep ends the warning)\n"
	files := map[string]string{"deploy/svc.yml": file, "configs/a/large": strings.Repeat("x", 1_024_000), "configs/a/small": "x", "configs/b/only": "x"}
	for i := range 200 {
		files[fmt.Sprintf("configs/c/%d", i)] = "x"
	}
	ws := tree(kargo.Environment{"STACKS": "dbs", "DBS_STACK": "svc"}, files)
	stacks, problems := render.Render(ws)
	want := "deploy/svc.yml:4: warning: services.a binds configs/a, which stays a bind: configs/a/large has 1024000 bytes, and Swarm accepts 1023999. " +
		"Every node that runs the service needs the files, at /srv/.kargo/configs/a" + hint +
		"deploy/svc.yml:4: warning: services.a binds configs/c, which stays a bind: its 200 files are too many: 200 files of a service can be Swarm configs. " +
		"Every node that runs the service needs the files, at /srv/.kargo/configs/c" + hint
	if got := golden.Lines(problems); got != want {
		t.Errorf("problems are\n%s\nand should be\n%s", got, want)
	}
	container := stacks[0].Services[0].Spec.TaskTemplate.ContainerSpec
	if len(container.Mounts) != 2 || container.Mounts[0].Source != "/srv/.kargo/configs/a" || container.Mounts[1].Source != "/srv/.kargo/configs/c" ||
		len(container.Configs) != 1 || container.Configs[0].File.Name != "/etc/b/only" || container.Labels[kargo.LabelFiles] == "" {
		t.Errorf("mounts are %+v, configs %+v, labels %v", container.Mounts, container.Configs, container.Labels)
	}

	ws.Files["configs/a/small"] = kargo.File{Data: []byte("x"), Secret: true}
	ws.Env["A_BINDS"] = "configs"
	_, problems = render.Render(ws)
	want = "deploy/svc.yml:4: services.a binds configs/a, which cannot become Swarm configs and secrets: configs/a/large has 1024000 bytes, and Swarm accepts 1023999. " +
		"It cannot stay a bind either: the values of configs/a/small are encrypted in the repository and never written to a disk " +
		"(bind the encrypted files by themselves, and put the others into an image or a volume)\n"
	if got := golden.Lines(problems); !strings.HasPrefix(got, want) {
		t.Errorf("problems are\n%s\nand should begin with\n%s", got, want)
	}
}

// Whatever files write labels of the two families of Traefik, a service is left
// with one family, and with the value of the last file: its traefik.swarm.network
// where it has both.
func TestOneFamilyOfTraefikLabels(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		env := kargo.Environment{"STACKS": "web", "WEB_STACK": "a b c"}
		files := map[string]string{}
		want := ""
		for _, file := range []string{"a", "b", "c"} {
			text := "services:\n  app:\n    image: app\n    deploy:\n      labels:\n"
			asList := rapid.Bool().Draw(t, file+" is a list")
			labels := map[bool]string{true: "        - other=1\n", false: "        other: \"1\"\n"}[asList]
			for _, name := range []string{"traefik.docker.network", "traefik.swarm.network"} {
				if !rapid.Bool().Draw(t, file+" has "+name) {
					continue
				}
				want = file + "-" + name
				if asList {
					labels += fmt.Sprintf("        - %s=%s\n", name, want)
				} else {
					labels += fmt.Sprintf("        %s: %s\n", name, want)
				}
			}
			files["deploy/"+file+".yml"] = text + labels
		}
		labels := valid(t, tree(env, files))[0].Services[0].Spec.Labels
		docker, hasDocker := labels["traefik.docker.network"]
		swarm, hasSwarm := labels["traefik.swarm.network"]
		if hasDocker && hasSwarm || docker+swarm != want {
			t.Fatalf("labels are %v, want the network %q in one family", labels, want)
		}
	})
}
