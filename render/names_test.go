package render_test

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"kargo"
	"kargo/render"
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
