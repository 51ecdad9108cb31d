package kargo_test

import (
	"errors"
	"testing"

	"kargo"
)

// A pointer that names no field would be ignored without a message, and Kargo would
// fight whoever manages the field.
func TestPointersOfIgnore(t *testing.T) {
	set := func(value string) string {
		for _, variable := range kargo.StackVariables {
			if variable.Suffix == kargo.SuffixIgnore {
				var options kargo.StackOptions
				err := variable.Set(&options, value)
				var refused *kargo.Error
				if errors.As(err, &refused) {
					return refused.Err.Error() + " (" + refused.Hint + ")"
				}
				if err == nil && len(options.Ignore) > 0 {
					return "ok"
				}
			}
		}
		return "nothing"
	}
	for value, want := range map[string]string{
		"/Spec/Mode/Replicated/Replicas":                         "ok",
		"/Spec/Mode /Spec/Labels /Spec/TaskTemplate/ForceUpdate": "ok",
		"/Spec/Labels/any.name~1at/all":                          `holds "/Spec/Labels/any.name~1at/all", and a service has no field /Spec/Labels/any.name~1at/all (` + "`docker service inspect` shows the fields of a service)",
		"/Spec/Labels/any.name~1at":                              "ok",
		"/Spec/TaskTemplate/ContainerSpec/Env":                   "ok",
		"/Spec/EndpointSpec/Ports":                               "ok",
		"/Spec/TaskTemplate/Resources/Limits/NanoCPUs":           "ok",
		"/Spec/TaskTemplate/ContainerSpec/Env/0":                 `holds "/Spec/TaskTemplate/ContainerSpec/Env/0", an entry of a list (a list is ignored as a whole: /Spec/TaskTemplate/ContainerSpec/Env)`,
		"/Spec/Mode/Replicated/replicas":                         `holds "/Spec/Mode/Replicated/replicas", and a service has no field /Spec/Mode/Replicated/replicas (did you mean /Spec/Mode/Replicated/Replicas?)`,
		"/Spec/TaskTemplat/ForceUpdate":                          `holds "/Spec/TaskTemplat/ForceUpdate", and a service has no field /Spec/TaskTemplat (did you mean /Spec/TaskTemplate?)`,
		"/Spec/Annotations/Labels":                               `holds "/Spec/Annotations/Labels", and a service has no field /Spec/Annotations (` + "`docker service inspect` shows the fields of a service)",
		"/Spec/":                                                 `holds "/Spec/", and a service has no field /Spec/ (` + "`docker service inspect` shows the fields of a service)",
	} {
		if got := set(value); got != want {
			t.Errorf("%s: %s\nwant %s", value, got, want)
		}
	}
}
