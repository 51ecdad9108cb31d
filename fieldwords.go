package kargo

import (
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// composeWords says how compose files call the fields of a spec. The longest prefix
// of a path counts; what follows it stays, in snake case where compose files write it so.
var composeWords = []struct {
	path, words string
	snake       bool
}{
	{"TaskTemplate.ContainerSpec.Image", "image", false},
	{"TaskTemplate.ContainerSpec.Env", "environment", false},
	{"TaskTemplate.ContainerSpec.Labels.", "container label ", false},
	{"TaskTemplate.ContainerSpec.Args", "command", false},
	{"TaskTemplate.ContainerSpec.Command", "entrypoint", false},
	{"TaskTemplate.ContainerSpec.Dir", "working_dir", false},
	{"TaskTemplate.ContainerSpec.User", "user", false},
	{"TaskTemplate.ContainerSpec.Hostname", "hostname", false},
	{"TaskTemplate.ContainerSpec.Mounts", "volume", false},
	{"TaskTemplate.ContainerSpec.Configs", "config", false},
	{"TaskTemplate.ContainerSpec.Secrets", "secret", false},
	{"TaskTemplate.ContainerSpec.Healthcheck.", "healthcheck ", true},
	{"TaskTemplate.ContainerSpec.StopGracePeriod", "stop_grace_period", false},
	{"TaskTemplate.ContainerSpec.Hosts", "extra_hosts", false},
	{"TaskTemplate.ContainerSpec.", "", true},
	{"TaskTemplate.Networks", "network", false},
	{"TaskTemplate.Placement.Constraints", "placement constraint", false},
	{"TaskTemplate.Placement.MaxReplicas", "max_replicas_per_node", false},
	{"TaskTemplate.Placement.", "placement ", true},
	{"TaskTemplate.Resources.Limits.MemoryBytes", "memory limit", false},
	{"TaskTemplate.Resources.Limits.NanoCPUs", "cpus limit", false},
	{"TaskTemplate.Resources.Limits.Pids", "pids limit", false},
	{"TaskTemplate.Resources.Reservations.MemoryBytes", "memory reservation", false},
	{"TaskTemplate.Resources.Reservations.NanoCPUs", "cpus reservation", false},
	{"TaskTemplate.RestartPolicy.", "restart_policy ", true},
	{"TaskTemplate.LogDriver.", "logging ", false},
	{"Mode.Replicated.Replicas", "replicas", false},
	{"ModeName", "mode", false},
	{"EndpointSpec.Mode", "endpoint_mode", false},
	{"UpdateConfig.", "update_config ", true},
	{"RollbackConfig.", "rollback_config ", true},
	{"Labels.", "label ", false},
}

// Name returns the name of the field as compose files call it: "environment LEVEL".
func (f FieldChange) Name() string {
	name := f.Path
	longest := 0
	for _, word := range composeWords {
		if rest, found := strings.CutPrefix(f.Path, word.path); found && len(word.path) > longest {
			longest = len(word.path)
			if word.snake {
				rest = snakeCase(rest)
			}
			name = word.words + bracketless(rest)
		}
	}
	return strings.TrimSuffix(strings.TrimSuffix(name, " ConfigName"), " SecretName")
}

// fileObjects are the fields that have the configs and secrets of a container, and what
// ends the path of their names.
var fileObjects = []struct{ path, name string }{
	{"TaskTemplate.ContainerSpec.Configs[", "].ConfigName"},
	{"TaskTemplate.ContainerSpec.Secrets[", "].SecretName"},
}

// IsConfig reports whether the field is the name of a config in a container: it changes
// with the content.
func (f FieldChange) IsConfig() bool {
	return strings.HasPrefix(f.Path, fileObjects[0].path) && strings.HasSuffix(f.Path, fileObjects[0].name)
}

// otherContent ends the words about a config whose content changes.
const otherContent = ": other content"

// objectWords says what happens to the config or secret that a field belongs to, if it
// comes, goes or gets another content: "config /etc/x.conf: other content". of is the
// same for all fields that this says; "" if it does not say what the field does.
func objectWords(field FieldChange, all []FieldChange) (words, of string) {
	for _, object := range fileObjects {
		rest, found := strings.CutPrefix(field.Path, object.path)
		key, _, _ := strings.Cut(rest, "]")
		if !found {
			continue
		}
		name := FieldChange{Path: object.path + key + object.name}
		at := slices.IndexFunc(all, func(f FieldChange) bool { return f.Path == name.Path })
		switch {
		case at < 0:
		case all[at].Before == noValue:
			return name.Name() + ": new", name.Path
		case all[at].After == noValue:
			return name.Name() + ": removed", name.Path
		case field.Path == name.Path:
			return name.Name() + otherContent, name.Path
		}
	}
	return networkWords(field, all)
}

// networkWords says that a service joins or leaves a network: "network back: new".
func networkWords(field FieldChange, all []FieldChange) (words, of string) {
	rest, found := strings.CutPrefix(field.Path, networksPath)
	key, _, _ := strings.Cut(rest, "]")
	at := slices.IndexFunc(all, func(f FieldChange) bool { return f.Path == networksPath+key+"].Target" })
	switch {
	case !found || at < 0:
	case all[at].Before == noValue:
		return "network " + key + ": new", all[at].Path
	case all[at].After == noValue:
		return "network " + key + ": removed", all[at].Path
	}
	return "", ""
}

const networksPath = "TaskTemplate.Networks["

// snakeCase returns the name of a field of Go as compose files write it:
// "failure_action" for "FailureAction". What is in brackets stays as it is.
func snakeCase(name string) string {
	head, rest, bracketed := strings.Cut(name, "[")
	var text strings.Builder
	for i, r := range head {
		if unicode.IsUpper(r) && i > 0 && unicode.IsLower(rune(head[i-1])) {
			text.WriteByte('_')
		}
		text.WriteRune(unicode.ToLower(r))
	}
	if bracketed {
		return text.String() + "[" + rest
	}
	return text.String()
}

// durations are the last parts of the paths whose values are durations: numbers of
// nanoseconds in a spec, and "10s" in compose files.
var durations = []string{"Monitor", "Delay", "Window", "StopGracePeriod", "Interval", "Timeout", "StartPeriod", "StartInterval"}

// shown returns a value of the field as compose files write it: "512M", "0.5", "10s".
func (f FieldChange) shown(value string) string {
	number, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		return value
	}
	last := f.Path[strings.LastIndex(f.Path, ".")+1:]
	switch {
	case last == "MemoryBytes":
		return bytesInWords(number)
	case last == "NanoCPUs":
		return strconv.FormatFloat(float64(number)/1e9, 'f', -1, 64)
	case slices.Contains(durations, last):
		return time.Duration(number).String()
	}
	return value
}

// bytesInWords returns a number of bytes in the largest unit that divides it.
func bytesInWords(number int64) string {
	unit := ""
	for _, larger := range []string{"K", "M", "G", "T"} {
		if number == 0 || number%1024 != 0 {
			break
		}
		number, unit = number/1024, larger
	}
	return strconv.FormatInt(number, 10) + unit
}
