package render_test

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"kargo"
	"kargo/render"
	"kargo/test/golden"
)

// A variable in the tables of package kargo is known without another list: the
// slip in its name is found, and the name itself is not warned of.
func TestVariablesOfTheTablesAreKnown(t *testing.T) {
	var suffixes []kargo.Suffix
	for _, variable := range kargo.StackVariables {
		suffixes = append(suffixes, variable.Suffix)
	}
	for _, variable := range kargo.ServiceVariables {
		suffixes = append(suffixes, variable.Suffix)
	}
	for _, suffix := range suffixes {
		if suffix == kargo.SuffixStack {
			continue // STACKS resembles it
		}
		right := suffix.Of("web")
		slip := right[:len(right)-1]
		env := fmt.Sprintf("STACKS=web\nWEB_STACK=web\n%s=\n%s=x\n", right, slip)
		ws := workspace(&txtar.Archive{Files: []txtar.File{
			{Name: ".env", Data: []byte(env)}, {Name: "deploy/web.yml", Data: []byte("services: {web: {image: nginx}}")},
		}})
		_, problems := render.Render(ws)
		want := ".env:4: warning: nothing reads " + slip + " (did you mean " + right + "?)"
		if len(problems) != 1 || problems[0].String() != want {
			t.Errorf("%s:\n%s\nwant\n%s", right, strings.TrimSpace(fmt.Sprint(problems)), want)
		}
	}
}

// In the .env of a stack directory, a variable that is read only in that of the workspace
// has no effect.
func TestMisplacedVariables(t *testing.T) {
	ws := tree(kargo.Environment{}, map[string]string{
		"stacks/shop/compose.yml": "services: {web: {image: 'x:${BLOG_STABLE}'}}",
		"stacks/blog/compose.yml": "services: {web: {image: x}}",
	})
	env := kargo.Environment{}
	lines := map[string]kargo.Place{}
	for i, name := range []string{"KARGO_SECRETS", "KARGO_STACK_PREFIX", "STACKS", "NODE_1_LABELS", "SHOP_STACK", "BLOG_NEEDS", "BLOG_STABLE", "SHOP_DEADLINE", "WEB_CONSTRAINTS", "DOCKER_FRONT_NETWORK"} {
		env[name], lines[name] = "", kargo.Place{File: "stacks/shop/.env", Line: i + 1}
	}
	ws.Directories = []kargo.StackDirectory{
		{Name: "blog", Path: "stacks/blog", Files: []string{"stacks/blog/compose.yml"}},
		{Name: "shop", Path: "stacks/shop", Files: []string{"stacks/shop/compose.yml"}, Env: env, Lines: lines},
	}
	env["BLOG_STABLE"] = "1"
	_, problems := render.Render(ws)
	const want = `stacks/shop/.env:1: warning: KARGO_SECRETS has no effect in the .env of a stack directory (set it in the .env of the workspace)
stacks/shop/.env:2: warning: KARGO_STACK_PREFIX has no effect in the .env of a stack directory (set it in the .env of the workspace)
stacks/shop/.env:3: warning: STACKS has no effect in the .env of a stack directory (set it in the .env of the workspace)
stacks/shop/.env:4: warning: NODE_1_LABELS has no effect in the .env of a stack directory (set it in the .env of the workspace)
stacks/shop/.env:5: warning: SHOP_STACK has no effect on a stack directory (the compose files of the directory have its services)
stacks/shop/.env:6: warning: BLOG_NEEDS has no effect in the .env of a stack directory (set it in the .env of the workspace)
`
	if got := golden.Lines(problems); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
