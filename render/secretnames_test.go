package render_test

import (
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"kargo"
	"kargo/render"
)

// Names of Swarm secrets say that a content is another one, and without the key
// nothing else; those of configs need none.
func TestS17_NamesOfSecretsAreKeyed(t *testing.T) {
	render1 := func(password string) []kargo.Stack {
		stacks, problems := render.Render(workspace(txtar.Parse([]byte(`
-- .env --
STACKS=web
WEB_STACK=app
-- deploy/app.yml --
services:
  app:
    image: app:1
    secrets: [db, operator]
    configs: [page]
  other:
    image: app:1
    secrets: [{source: db, target: /run/other}]
secrets:
  db: {file: ./../configs/db}
  operator: {external: true, name: operators-own}
configs: {page: {file: ./../configs/page}}
-- configs/page --
hello
-- configs/db --
` + password))))
		if err := problems.Err(); err != nil {
			t.Fatal(err)
		}
		return stacks
	}
	names := func(stacks []kargo.Stack) (secret, config string, references []string) {
		for _, c := range stacks[0].Configs {
			switch {
			case c.External:
			case c.Secret:
				secret = c.Name
			default:
				config = c.Name
			}
		}
		for _, service := range stacks[0].Services {
			for _, reference := range service.Spec.TaskTemplate.ContainerSpec.Secrets {
				references = append(references, reference.SecretName)
			}
		}
		return secret, config, references
	}
	plain := render1("hunter22")
	unkeyed, config, _ := names(plain)
	one, configOne, references := names(render.NameSecrets(plain, []byte("1")))
	again, _, _ := names(render.NameSecrets(render1("hunter22"), []byte("1")))
	changed, _, _ := names(render.NameSecrets(render1("hunter23"), []byte("1")))
	other, _, _ := names(render.NameSecrets(plain, []byte("2")))
	if one != again || one == changed || one == other || one == unkeyed || config != configOne {
		t.Errorf("names are %q, again %q, changed %q, with another key %q, without %q; configs %q and %q", one, again, changed, other, unkeyed, config, configOne)
	}
	if !strings.HasPrefix(one, "kargo-web_db-") || len(one) != len(unkeyed) {
		t.Errorf("the name is %s", one)
	}
	slices.Sort(references)
	if want := []string{one, one, "operators-own"}; !slices.Equal(references, want) {
		t.Errorf("services refer to %v, want %v", references, want)
	}
	if after, _, references := names(plain); after != unkeyed || slices.Contains(references, one) {
		t.Error("the rendering itself was changed")
	}
	if !render.HasSecrets(plain) {
		t.Error("it is not seen that there is a secret")
	}
}
