package conformance

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"golang.org/x/tools/txtar"

	"kargo"
	"kargo/hooks"
	"kargo/merge"
	"kargo/render"
	"kargo/test/golden"
)

// deviations is the file of an archive that lists what Kargo does otherwise.
const deviations = "deviations"

func TestConformance(t *testing.T) {
	golden.Run(t, "testdata/*.txtar", []string{deviations}, func(t *testing.T, archive *txtar.Archive) map[string]string {
		return map[string]string{deviations: compare(t, archive)}
	})
}

// compare makes both renderings of an archive and returns where Kargo's
// differs, one line for each difference: "path: docker -> Kargo".
func compare(t *testing.T, archive *txtar.Archive) string {
	t.Helper()
	defaults, user := golden.Below(archive, "default"), golden.Below(archive, "user")
	root := filepath.Join(t.TempDir(), ".kargo")
	theirs := newHistoric(t, root, defaults, user)
	ours, refused := rendering(t, root, theirs.workspace, defaults, user)

	var lines []string
	for _, problem := range refused {
		lines = append(lines, "Kargo refuses: "+problem.String())
	}
	for _, stack := range theirs.stacks() {
		want, err := theirs.render(stack)
		if err != nil {
			lines = append(lines, "docker refuses "+stack+": "+strings.ReplaceAll(err.Error(), root, ".kargo"))
			continue
		}
		if len(refused) == 0 {
			lines = append(lines, differences(want, ours[stack])...)
		}
	}
	if len(lines) == 0 {
		return ""
	}
	return strings.ReplaceAll(strings.Join(lines, "\n"), root, ".kargo") + "\n"
}

// rendering is what Kargo makes of the layers, by stack, and the problems for
// which it refuses them.
func rendering(t *testing.T, root, workspace string, defaults, user fstest.MapFS) (map[string]shape, kargo.Problems) {
	t.Helper()
	ws, problems, err := merge.Merge(t.Context(), merge.Input{
		Defaults: defaults, User: kargo.Files{FS: user}, Root: root, WorkspacePath: workspace, UserID: os.Getuid(), GroupID: os.Getgid(),
	})
	if err != nil {
		t.Fatal(err)
	}
	ws, hooked, err := (&hooks.Runner{}).Before(t.Context(), ws)
	if err != nil {
		t.Fatal(err)
	}
	stacks, more := render.Render(ws)
	problems = slices.DeleteFunc(slices.Concat(problems, hooked, more), func(p kargo.Problem) bool { return p.Warning })
	rendered := map[string]shape{}
	for _, stack := range stacks {
		rendered[stack.Name] = ourShape(stack)
	}
	return rendered, problems
}

// digest is what Kargo adds to the names of configs and secrets (contract,
// section 16, item 6): the content, which Swarm never changes under one name.
var digest = regexp.MustCompile(`-[0-9a-f]{12}$`)

func ourShape(stack kargo.Stack) shape {
	s := shape{Services: map[string]any{}, Files: map[string]string{}, Networks: map[string]any{}}
	for _, service := range stack.Services {
		// What makes a new content of a bound file roll (section 16, item 13).
		delete(service.Spec.TaskTemplate.ContainerSpec.Labels, kargo.LabelFiles)
		for _, config := range service.Spec.TaskTemplate.ContainerSpec.Configs {
			config.ConfigName = digest.ReplaceAllString(config.ConfigName, "")
		}
		for _, secret := range service.Spec.TaskTemplate.ContainerSpec.Secrets {
			secret.SecretName = digest.ReplaceAllString(secret.SecretName, "")
		}
		s.Services[service.Name] = service.Spec
	}
	for _, config := range stack.Configs {
		if !config.External {
			s.Files[string(config.Kind())+" "+digest.ReplaceAllString(config.Name, "")] = string(config.Data)
		}
	}
	for _, network := range stack.Networks {
		// The shared ones are made first, whoever needs them (section 16, item 5).
		if !network.External && !network.Shared {
			s.Networks[network.Name] = networkShape{network.Attachable, network.Internal, network.Options}
		}
	}
	return s
}

// A comparison that finds nothing must not be one that looks at nothing.
func TestDifferences(t *testing.T) {
	theirs := shape{Services: map[string]any{"a": map[string]any{"x": 1, "list": []int{1, 2}}}}
	ours := shape{Services: map[string]any{"a": map[string]any{"x": 2, "list": []int{1}}, "b": true}}
	got := strings.Join(differences(theirs, ours), "\n")
	want := "/Services/a/list/1: 2 -> nothing\n/Services/a/x: 1 -> 2\n/Services/b: nothing -> true"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
