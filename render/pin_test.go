package render_test

import (
	"fmt"
	"strings"
	"testing"

	"kargo"
	"kargo/render"
	"kargo/test/golden"
)

// A pin that names another catalogue than this makes changes wait, of those
// stacks that use the catalogue: its files, or its variables.
func TestPin(t *testing.T) {
	ws := tree(kargo.Environment{
		"STACKS": "file variable config own constraint", "FILE_STACK": "a", "VARIABLE_STACK": "b", "CONSTRAINT_STACK": "c", "CONFIG_STACK": "d", "OWN_STACK": "e",
		"TAG": "1", "OWN": "1", "C_CONSTRAINTS": "node.role==worker", "KARGO_CATALOGUE": "3",
	}, map[string]string{
		"deploy/a.yml": "services: {a: {image: 'x:1'}}",
		"deploy/b.yml": "services: {b: {image: 'x:${TAG}'}}",
		"deploy/c.yml": "services: {c: {image: 'x:1'}}",
		"deploy/d.yml": "services: {d: {image: 'x:1', volumes: ['../configs/d:/d']}}",
		"deploy/e.yml": "services: {e: {image: 'x:${OWN}'}}",
		"configs/d":    "x",
	})
	for _, name := range []string{"deploy/a.yml", "configs/d"} {
		ws.Files[name] = kargo.File{Data: ws.Files[name].Data, Origin: kargo.OriginDefault}
	}
	ws.Lines = map[string]kargo.Place{"TAG": {File: ".env.default", Line: 1}, "C_CONSTRAINTS": {File: ".env.default", Line: 2}, "OWN": {File: ".env", Line: 1}, "KARGO_CATALOGUE": {File: ".env", Line: 2}}
	for _, test := range []struct{ version, waiting, problems string }{
		{"3", "", ""},
		{"4", "file variable config", ".env:2: warning: this Kargo has catalogue 4: changes of stacks that use it wait for approval (look at `kargo plan`, then set it to 4)\n"},
	} {
		ws.Revision.Catalogue = test.version
		stacks, problems := render.Render(ws)
		var waiting []string
		for _, stack := range stacks {
			if stack.NeedsApproval != "" {
				waiting = append(waiting, stack.Name)
			}
		}
		if got := strings.Join(waiting, " "); got != test.waiting || golden.Lines(problems) != test.problems {
			t.Errorf("catalogue %s: %q wait, and %s", test.version, got, golden.Lines(problems))
		}
	}
	stacks, _ := render.Render(ws)
	const want = "the workspace accepts catalogue 3 and this is 4: it waits for approval, or for KARGO_CATALOGUE=4"
	if got := fmt.Sprint(stacks[0].NeedsApproval); got != want {
		t.Errorf("it says %q", got)
	}
}

// The catalogue's constraints belong to its services. A service of the
// workspace's own that has the same name does not get them; an extension of a
// catalogue service leaves them.
func TestConstraintsOfTheCatalogue(t *testing.T) {
	ws := tree(kargo.Environment{
		"STACKS": "web", "WEB_STACK": "redis postgis mine", "POSTGIS_EXTENSION": "postgis-ext",
		"REDIS_CONSTRAINTS": "node.role==manager", "POSTGIS_CONSTRAINTS": "node.labels.postgis==true", "MINE_CONSTRAINTS": "node.role==worker",
	}, map[string]string{
		"deploy/redis.yml":       "services: {redis: {image: 'own:1'}}",
		"deploy/postgis.yml":     "services: {postgis: {image: 'postgis:1'}}",
		"deploy/postgis-ext.yml": "services: {postgis: {read_only: true}}",
		"deploy/mine.yml":        "services: {mine: {image: 'own:1'}}",
	})
	ws.Files["deploy/postgis.yml"] = kargo.File{Data: ws.Files["deploy/postgis.yml"].Data, Origin: kargo.OriginDefault}
	ofCatalogue := kargo.Place{File: kargo.FileEnvDefault, Line: 1}
	ws.Lines = map[string]kargo.Place{
		"REDIS_CONSTRAINTS": ofCatalogue, "POSTGIS_CONSTRAINTS": ofCatalogue, "MINE_CONSTRAINTS": {File: kargo.FileEnv, Line: 1},
	}
	stacks, problems := render.Render(ws)
	if problems.Err() != nil {
		t.Fatal(problems)
	}
	var got []string
	for _, service := range stacks[0].Services {
		if placement := service.Spec.TaskTemplate.Placement; placement != nil && len(placement.Constraints) > 0 {
			got = append(got, fmt.Sprint(service.Name, placement.Constraints))
		}
	}
	want := "kargo-web_mine[node.role==worker] kargo-web_postgis[node.labels.postgis==true]"
	if strings.Join(got, " ") != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
