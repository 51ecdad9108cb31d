package permit_test

import (
	"maps"
	"slices"
	"testing"
	"testing/fstest"

	"kargo"
	"kargo/merge"
	"kargo/permit"
	"kargo/render"
	"kargo/test/golden"
)

// FuzzCheck looks for a rendering that makes the gate panic, or that a stricter
// policy lets pass where a milder one does not.
func FuzzCheck(f *testing.F) {
	for _, archive := range golden.Archives(f, "testdata/*.txtar") {
		f.Add([]byte(golden.Section(archive, "user/.env")), []byte(golden.Section(archive, "user/deploy/app.yml")))
	}
	f.Fuzz(func(t *testing.T, env, app []byte) {
		ws, problems, err := merge.Merge(t.Context(), merge.Input{
			User: kargo.Files{FS: fstest.MapFS{".env": {Data: env}, "deploy/app.yml": {Data: app}}}, Root: "/srv/.kargo", WorkspacePath: "/srv/workspace",
		})
		if err != nil || problems.Err() != nil {
			return
		}
		stacks, provenance, _ := render.Trace(ws)
		in := permit.Input{Stacks: stacks, Origins: provenance, Root: "/srv/.kargo", Files: maps.Keys(ws.Files), Shared: shared(ws)}
		refused := map[string]kargo.Problems{}
		for _, name := range policies {
			refused[name] = permit.Check(policy(t, name, ""), in)
		}
		// Places, not words: the words name the policy.
		strict := map[kargo.Place]bool{}
		for _, problem := range refused[permit.Restricted] {
			strict[problem.Where] = true
		}
		for _, problem := range refused[permit.Baseline] {
			if !strict[problem.Where] {
				t.Errorf("restricted permits what baseline does not: %s", problem)
			}
		}
		loud := slices.DeleteFunc(refused[permit.Baseline], func(p kargo.Problem) bool { return permit.IsSilent(p.Rule) })
		if loud.Err() != nil && len(refused[permit.Open]) == 0 {
			t.Error("open does not warn")
		}
	})
}
