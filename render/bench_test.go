package render_test

import (
	"fmt"
	"strings"
	"testing"

	"kargo"
	"kargo/render"
	"kargo/test/growth"
)

// bigWorkspace is a workspace of so many stacks, of two services each. All read
// one variable of their own, and one that they share.
func bigWorkspace(stacks int) kargo.Workspace {
	env, files := kargo.Environment{"SHARED": "shared value"}, map[string]string{}
	for i := range stacks {
		stack := fmt.Sprintf("s%04d", i)
		var services []string
		for _, part := range []string{"web", "db"} {
			name := stack + "-" + part
			services = append(services, name)
			files["deploy/"+name+".yml"] = strings.ReplaceAll(typicalFile, "NAME", name)
			env[kargo.EnvName(name)+"_TAG"] = "1.2.3"
			files["configs/"+name+".conf"] = "listen 80; # " + name
		}
		env["STACKS"] += stack + " "
		env[kargo.EnvName(stack)+"_STACK"] = strings.Join(services, " ")
		env[kargo.EnvName(stack)+"_LEVEL"] = "info"
	}
	for name, value := range env {
		files[".env"] += fmt.Sprintf("%s=%q\n", name, value)
	}
	return tree(env, files)
}

const typicalFile = `services:
  NAME:
    image: registry.example/team/app:${SHARED_TAG:-7}
    environment:
      SHARED: ${SHARED}
      LEVEL: ${LEVEL:-debug}
      A: "1"
      B: "2"
    command: [serve, --port, "80"]
    volumes:
      - data-NAME:/data
      - ../configs/NAME.conf:/etc/app.conf:ro
    networks: [default]
    healthcheck: {test: [CMD, "true"], interval: 5s}
    deploy:
      labels:
        traefik.enable: "true"
        traefik.http.routers.NAME.rule: Host(` + "`NAME.example`" + `)
        traefik.http.services.NAME.loadbalancer.server.port: "80"
      resources: {limits: {memory: 128M}}
      update_config: {order: start-first}
volumes:
  data-NAME:
`

func BenchmarkRender(b *testing.B) {
	for _, stacks := range []int{10, 100, 300, 1000} {
		ws := bigWorkspace(stacks)
		b.Run(fmt.Sprintf("all of %d stacks", stacks), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				rendered, problems := render.Render(ws)
				if len(rendered) != stacks || problems.Err() != nil {
					b.Fatal(len(rendered), problems)
				}
			}
		})
	}
}

// bigStack is a workspace of one stack, with a compose file for each service, which has
// one object of each kind and depends on the service before it.
func bigStack(services int) kargo.Workspace {
	env, files := kargo.Environment{"STACKS": "big", "SHARED": "shared value"}, map[string]string{}
	for i := range services {
		name := fmt.Sprintf("app%04d", i)
		file := strings.ReplaceAll(typicalFile+bigStackObjects, "NAME", name)
		if i > 0 {
			file = strings.Replace(file, "    command:", fmt.Sprintf("    depends_on: [app%04d]\n    command:", i-1), 1)
		}
		files["deploy/"+name+".yml"] = strings.Replace(file, "networks: [default]", "networks: [net-"+name+"]\n    secrets: [secret-"+name+"]", 1)
		files["configs/"+name+".conf"] = "listen 80; # " + name
		env["BIG_STACK"] += name + " "
	}
	for name, value := range env {
		files[".env"] += fmt.Sprintf("%s=%q\n", name, value)
	}
	return tree(env, files)
}

const bigStackObjects = `networks:
  net-NAME:
secrets:
  secret-NAME: {file: ../configs/NAME.conf}
`

func BenchmarkRenderOneStack(b *testing.B) {
	for _, services := range []int{100, 1000} {
		ws := bigStack(services)
		b.Run(fmt.Sprintf("%d services", services), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				rendered, problems := render.Render(ws)
				if len(rendered) != 1 || len(rendered[0].Services) != services || problems.Err() != nil {
					b.Fatal(len(rendered), problems)
				}
			}
		})
	}
}

// What a rendering costs must grow with the number of stacks and no faster.
func TestCostGrowsWithTheStacks(t *testing.T) {
	growth.Check(t, 50, func(stacks int) func() {
		ws := bigWorkspace(stacks)
		return func() {
			if _, problems := render.Render(ws); problems.Err() != nil {
				t.Fatal(problems.Err())
			}
		}
	})
}
