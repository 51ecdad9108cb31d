package render

import (
	"fmt"

	"kargo/render/compose"
	"kargo/render/view"
)

// catalogueVariable pins the catalogue: it names the version that a person last
// accepted for the workspace. A program holds one catalogue, so a pin cannot
// restore an older one. It keeps what runs until a person accepts the new one.
const catalogueVariable = "KARGO_CATALOGUE"

// unaccepted returns the reason why changes wait that another catalogue may
// have made, or "" if the workspace pins none, or this one.
func unaccepted(ws *view.Workspace) string {
	pin, version := ws.Env[catalogueVariable], ws.Revision.Catalogue
	if pin == "" || version == "" || pin == version {
		return ""
	}
	return fmt.Sprintf("the workspace accepts catalogue %s and this is %s: it waits for approval, or for %s=%s", pin, version, catalogueVariable, version)
}

// checkPin warns once of what the plan says of each stack.
func checkPin(ws *view.Workspace, report *compose.Report) {
	if unaccepted(ws) != "" {
		version := ws.Revision.Catalogue
		report.Warn(ws.PlaceOf(catalogueVariable), fmt.Sprintf("look at `kargo plan`, then set it to %s", version),
			"this Kargo has catalogue %s: changes of stacks that use it wait for approval", version)
	}
}
