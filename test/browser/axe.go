package browser

import (
	_ "embed"
	"fmt"
)

// axe is axe-core, unchanged from npm; see axe/README.md.
//
//go:embed axe/axe.min.js
var axe string

// Accessible returns what the page does not keep of the Web Content Accessibility
// Guidelines 2.2, levels A and AA, and of good practice, as far as axe-core finds it.
func (p *Page) Accessible() (faults []string) {
	p.t.Helper()
	var found []struct {
		ID, Help string
		Nodes    []struct{ HTML, FailureSummary string }
	}
	p.Run(axe+`; axe.run({runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}).then(r => r.violations)`, &found)
	for _, fault := range found {
		for _, node := range fault.Nodes {
			faults = append(faults, fmt.Sprintf("%s: %s\n  %s\n  %s", fault.ID, fault.Help, node.HTML, node.FailureSummary))
		}
	}
	return faults
}
