package render

import (
	"fmt"

	"kargo"
)

// catalogueVariable pins the catalogue: it names the version that the workspace
// was last accepted with. There is only one catalogue in a program, so a pin
// cannot bring the old one back; it keeps what runs until a person has looked.
const catalogueVariable = "KARGO_CATALOGUE"

// unaccepted is why changes that another catalogue may have made wait, "" where
// the workspace pins none, or this one.
func (r *renderer) unaccepted() string {
	pin, version := r.ws.Env[catalogueVariable], r.ws.Revision.Catalogue
	if pin == "" || version == "" || pin == version {
		return ""
	}
	return fmt.Sprintf("the workspace accepts catalogue %s and this is %s: it waits for approval, or for %s=%s", pin, version, catalogueVariable, version)
}

// checkPin says once what the plan says of each stack.
func (r *renderer) checkPin() {
	if r.unaccepted() != "" {
		version := r.ws.Revision.Catalogue
		r.warn(r.variable(catalogueVariable), fmt.Sprintf("look at `kargo plan`, then set it to %s", version),
			"this Kargo has catalogue %s: changes of stacks that use it wait for approval", version)
	}
}

// usesCatalogue tells whether anything of a stack may come from the catalogue:
// a file, or a variable that the workspace does not set. Files that were
// rendered from templates read variables, too, and count.
func (w *work) usesCatalogue() bool {
	for _, l := range w.layers {
		w.filesRead[l.path] = true
		if l.readsDefaults {
			return true
		}
	}
	for name := range w.filesRead {
		if origin := w.ws.Files[name].Origin; origin == kargo.OriginDefault || origin == kargo.OriginRendered {
			return true
		}
	}
	return false
}

// fromCatalogue tells whether a variable has the catalogue's value.
func (r *renderer) fromCatalogue(variable string) bool {
	return r.ws.Lines[variable].File == kargo.FileEnvDefault
}
