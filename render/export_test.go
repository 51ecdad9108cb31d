package render

import "kargo"

// Each renders as Render does, and validates every compose file by itself.
func Each(ws kargo.Workspace, names []string) ([]kargo.Stack, *Provenance, kargo.Problems) {
	return newRenderer(ws, nil).each(names)
}
