package render_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"kargo"
	"kargo/render"
)

// sound renders a workspace in which nothing is wrong.
func sound(t *testing.T, files string) []kargo.Stack {
	t.Helper()
	stacks, problems := render.Render(workspace(txtar.Parse([]byte(files))))
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	return stacks
}

// Names of Swarm secrets and configs say that a content is another one, and without
// the key nothing else.
func TestS17_S43_NamesAreKeyed(t *testing.T) {
	render1 := func(password string) []kargo.Stack {
		return sound(t, `
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
`+password)
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
	one, configOne, references := names(render.WithKey(plain, []byte("1")))
	again, _, _ := names(render.WithKey(render1("hunter22"), []byte("1")))
	changed, _, _ := names(render.WithKey(render1("hunter23"), []byte("1")))
	other, _, _ := names(render.WithKey(plain, []byte("2")))
	if one != again || one == changed || one == other || one == unkeyed || config == configOne {
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
}

// Who knows all of a stack but a password cannot try passwords: nothing that shows is
// a digest that can be made without the key.
func TestS43_NoGuessCanBeConfirmed(t *testing.T) {
	const content = "requirepass hunter22\n"
	stacks := sound(t, `
-- .env --
STACKS=web
WEB_STACK=app
APP_BINDS=keep
-- deploy/app.yml --
services:
  app:
    image: app:1
    configs: [conf]
    volumes: ["../configs/app:/etc/app:ro"]
configs: {conf: {file: ./../configs/app/redis.conf}}
-- configs/app/redis.conf --
`+content)
	shown, err := json.Marshal(render.WithKey(stacks, []byte("the key of the instance"))[0].Services)
	if err != nil {
		t.Fatal(err)
	}
	digests := regexp.MustCompile(`[0-9a-f]{12,}`).FindAllString(string(shown), -1)
	if len(digests) < 2 {
		t.Fatalf("the services show %d digests: %s", len(digests), shown)
	}
	plain := sha256.Sum256([]byte(content))
	files := stacks[0].Services[0].Files
	if files == "" {
		t.Fatal("the service binds no file")
	}
	for _, digest := range []string{hex.EncodeToString(plain[:]), files} {
		if strings.Contains(string(shown), digest[:12]) {
			t.Errorf("%s shows, and everybody can compute it", digest[:12])
		}
	}
	rendered, err := json.Marshal(stacks[0].Services)
	if err != nil {
		t.Fatal(err)
	}
	for _, digest := range regexp.MustCompile(`[0-9a-f]{12,}`).FindAllString(string(rendered), -1) {
		if strings.Trim(digest, "0") != "" {
			t.Errorf("without a key %s shows", digest)
		}
	}
}

// Objects that are named alike stay apart, and those with one name and one content are
// one object, however long their names are.
func TestNamesThatAreAlike(t *testing.T) {
	long := strings.Repeat("long-", 12)
	stacks := sound(t, `
-- .env --
STACKS=web
WEB_STACK=app
-- deploy/app.yml --
services:
  app:
    image: app:1
    configs: [a, b, c, `+long+`1, `+long+`2]
configs:
  a: {name: one, file: ./../configs/first}
  b: {name: one, file: ./../configs/second}
  c: {name: one, file: ./../configs/first}
  `+long+`1: {file: ./../configs/first}
  `+long+`2: {file: ./../configs/first}
-- configs/first --
first
-- configs/second --
second
`)
	stack := render.WithKey(stacks, []byte("key"))[0]
	contents := map[string]string{}
	for _, config := range stack.Configs {
		if _, twice := contents[config.Name]; twice || len(config.Name) > 64 {
			t.Errorf("the name %s", config.Name)
		}
		contents[config.Name] = string(config.Data)
	}
	if len(contents) != 4 {
		t.Errorf("%d objects: %v", len(contents), contents)
	}
	for _, reference := range stack.Services[0].Spec.TaskTemplate.ContainerSpec.Configs {
		want := "first\n"
		if reference.File.Name == "b" {
			want = "second\n"
		}
		if contents[reference.ConfigName] != want {
			t.Errorf("%s has %q, want %q", reference.File.Name, contents[reference.ConfigName], want)
		}
	}
}
