package render_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"
	"gopkg.in/yaml.v3"

	"kargo"
	"kargo/render"
	"kargo/test/golden"
)

// TestRender runs testdata/*.txtar. Each file shows one rule: prose, then the
// workspace (.env and deploy/, configs/, …), then the results. "want" has the
// stacks, "problems" the problems. An empty want is left out.
func TestRender(t *testing.T) {
	golden.Run(t, "testdata/*.txtar", []string{"want", "problems"}, func(t *testing.T, archive *txtar.Archive) map[string]string {
		stacks, problems := render.Render(workspace(archive))
		got := map[string]string{"want": stackText(t, stacks), "problems": golden.Lines(problems)}
		again, _ := render.Render(workspace(archive))
		if stackText(t, again) != got["want"] {
			t.Error("the second rendering differs from the first")
		}
		return got
	})
}

// workspace is the merged configuration that an archive describes.
func workspace(archive *txtar.Archive) kargo.Workspace {
	ws := kargo.Workspace{
		Root:  "/srv/.kargo",
		Env:   kargo.Environment{},
		Files: map[string]kargo.File{},
		Lines: map[string]kargo.Place{},
	}
	for _, file := range archive.Files {
		switch file.Name {
		case "want", "problems":
			continue
		case ".env":
			for i, line := range strings.Split(string(file.Data), "\n") {
				if name, value, ok := strings.Cut(line, "="); ok {
					ws.Env[name] = value
					ws.Lines[name] = kargo.Place{File: kargo.FileEnv, Line: i + 1}
				}
			}
		}
		ws.Files[file.Name] = kargo.File{Data: file.Data, Origin: kargo.OriginUser, Source: file.Name}
	}
	return ws
}

// stackText is what should run as a person reads it: YAML without the fields
// that say nothing.
func stackText(t *testing.T, stacks []kargo.Stack) string {
	t.Helper()
	var text bytes.Buffer
	for _, stack := range stacks {
		var configs []map[string]any
		for _, config := range stack.Configs {
			configs = append(configs, map[string]any{
				"name": config.Name, "data": string(config.Data), "secret": config.Secret,
				"external": config.External, "labels": config.Labels, "driver": config.Driver,
			})
		}
		services, waits := map[string]any{}, map[string]any{}
		for _, service := range stack.Services {
			services[service.Name] = service.Spec
			for _, need := range service.Needs {
				waits[service.Name+" for "+need.Service] = need.Condition
			}
		}
		data, err := json.Marshal(map[string]any{
			"needs": stack.Needs, "waits": waits, "options": uncommonOptions(stack.Options),
			"services": services, "networks": uncommon(stack.Networks), "configs": configs,
		})
		if err != nil {
			t.Fatal(err)
		}
		var value any
		decoder := json.NewDecoder(bytes.NewReader(data))
		decoder.UseNumber()
		if err := decoder.Decode(&value); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&text, "stack %s\n", stack.Name)
		encoder := yaml.NewEncoder(&text)
		encoder.SetIndent(2)
		if err := encoder.Encode(prune(value)); err != nil {
			t.Fatal(err)
		}
	}
	return text.String()
}

// uncommonOptions leaves out the defaults.
func uncommonOptions(options kargo.StackOptions) map[string]any {
	silent := kargo.StackOptions{OnFailure: kargo.FailureRollback, Drift: kargo.DriftEnforce, Deadline: 10 * time.Minute, Stable: 5 * time.Second}
	said := map[string]any{"adopt": options.Adopt, "protect": options.Protect, "recreate": options.Recreate, "ignore": options.Ignore}
	if options.OnFailure != silent.OnFailure {
		said["on failure"] = options.OnFailure
	}
	if options.Drift != silent.Drift {
		said["drift"] = options.Drift
	}
	if options.Deadline != silent.Deadline {
		said["deadline"] = options.Deadline.String()
	}
	if options.Stable != silent.Stable {
		said["stable"] = options.Stable.String()
	}
	return said
}

// uncommon leaves the shared networks out where they are what they always are.
func uncommon(networks []kargo.Network) []kargo.Network {
	common := []string{"kargo-back", "kargo-docker-socket", "kargo-front"}
	return slices.DeleteFunc(slices.Clone(networks), func(n kargo.Network) bool {
		return n.Shared && n.Attachable && n.Driver == "overlay" && slices.Contains(common, n.Name)
	})
}

// prune drops what is empty: null, "", false, [] and {}. Numbers stay, for no
// replicas is something to say; only ForceUpdate is always there and always 0.
func prune(value any) any {
	switch value := value.(type) {
	case map[string]any:
		delete(value, "ForceUpdate")
		for key, entry := range value {
			if pruned := prune(entry); pruned == nil {
				delete(value, key)
			} else {
				value[key] = pruned
			}
		}
		if len(value) == 0 {
			return nil
		}
	case []any:
		if len(value) == 0 {
			return nil
		}
		for i, entry := range value {
			value[i] = prune(entry)
		}
	case json.Number:
		if number, err := value.Int64(); err == nil {
			return number
		}
	case string:
		if value == "" {
			return nil
		}
	case bool:
		if !value {
			return nil
		}
	}
	return value
}

func TestTooManyMountsOfAService(t *testing.T) {
	volumes := strings.Repeat("      - data:/data\n", 1001)
	ws := tree(kargo.Environment{"STACKS": "web", "WEB_STACK": "site"}, map[string]string{
		"deploy/site.yml": "services:\n  site:\n    image: app\n    volumes:\n" + volumes + "volumes:\n  data:\n",
	})
	_, problems := render.Render(ws)
	if got, want := golden.Lines(problems), "deploy/site.yml:4: services.site.volumes: 1001 entries; the limit is 1000\n"; got != want {
		t.Errorf("the problems are\n%swant\n%s", got, want)
	}
}

// What follows a dollar in an encrypted file may be a part of a password.
func TestReferencesInEncryptedFilesStayHidden(t *testing.T) {
	ws := workspace(txtar.Parse([]byte(`-- .env --
STACKS=web
WEB_STACK=app
EMPTY=
-- deploy/app.yml --
services:
  app:
    image: app:1
    user: $EMPTY
    environment:
      A: correct$horse
      B: x$1battery
      C: ${staple?or}
      D: ${tower:-${crane}}
      E: $bridge-stone
`)))
	file := ws.Files["deploy/app.yml"]
	file.Secret = true
	ws.Files["deploy/app.yml"] = file
	_, problems := render.Render(ws)
	got := golden.Lines(problems)
	want := `deploy/app.yml:6: warning: a variable is not set and counts as empty (write "$$" for a plain dollar)
deploy/app.yml:7: a dollar does not begin a reference to a variable (write "$$" for a plain dollar)
deploy/app.yml:8: a variable is required that is not set (set it in .env)
deploy/app.yml:9: nested defaults are not supported (give the variable its default in .env instead)
deploy/app.yml:10: warning: what follows a variable is read as its default, to the end of the value (write "$$" for a plain dollar)
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
