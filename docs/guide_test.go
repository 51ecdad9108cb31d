package docs

import (
	"fmt"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	guide := parse("# The guide\n\n## Databases\n\n| service | what for |\n|---|---|\n| [redis](#redis) | key-value store | back | |\n\n" +
		"Each runs. Needs: a node,\nand room.\n\n| variable | default | meaning |\n|---|---|---|\n| `COMMON` | empty | of all |\n\n" +
		"### redis\n\nFast. Needs: nothing. Offers:\n`redis://redis` to all.\n\n" +
		"| variable | default | meaning |\n|---|---|---|\n| `REDIS_TAG` | `7` | its tag |\n| `REDIS_PASSWORD` | required | `a\\|b` |\n\nFiles: none.\n\n### other\n\nSlow.\n")
	got := fmt.Sprintf("%+v", guide)
	want := "{Services:[{Name:redis Group:Databases Summary:key-value store Needs:nothing. " +
		"Text:Fast. Needs: nothing. Offers:\n`redis://redis` to all.\n\nFiles: none.} " +
		"{Name:other Group:Databases Summary: Needs:a node, and room. Text:Slow.}] " +
		"Variables:[{Name:COMMON Default: Required:false Meaning:of all} {Name:REDIS_TAG Default:7 Required:false Meaning:its tag} " +
		"{Name:REDIS_PASSWORD Default: Required:true Meaning:`a|b`}]}"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// The guide itself says something of everything: an empty answer would be a
// slip in the guide, or in its form.
func TestGuideIsComplete(t *testing.T) {
	guide := Catalogue()
	if len(guide.Services) < 40 || len(guide.Variables) < 200 {
		t.Fatalf("the guide has %d services and %d variables", len(guide.Services), len(guide.Variables))
	}
	for _, service := range guide.Services {
		if service.Summary == "" || service.Group == "" || strings.Contains(service.Summary, "[") {
			t.Errorf("%+v", service)
		}
	}
}
