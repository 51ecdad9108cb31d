package render

import (
	"errors"

	"kargo/render/compose"
	"kargo/render/view"

	"kargo"
)

// options reads the stack variables that say how a stack is treated.
func options(ws view.View, report *compose.Report, stack string) kargo.StackOptions {
	read := kargo.DefaultStackOptions()
	for _, known := range kargo.StackVariables {
		variable := known.Suffix.Of(stack)
		value := ws.Value(variable)
		if known.Set == nil || value == "" || variable == replicaSets {
			continue
		}
		if err := known.Set(&read, value); err != nil {
			hint := ""
			var bad *kargo.Error
			if errors.As(err, &bad) {
				hint, err = bad.Hint, bad.Err
			}
			report.Fail(ws.PlaceOf(variable), hint, "%s %s", variable, err)
		}
	}
	return read
}
