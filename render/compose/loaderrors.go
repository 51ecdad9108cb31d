package compose

import (
	"cmp"
	"errors"
	"maps"
	"regexp"
	"slices"
	"strings"

	"kargo"
	"kargo/pattern"

	"github.com/docker/cli/cli/compose/loader"
	"github.com/docker/cli/cli/compose/types"
	"gopkg.in/yaml.v3"
)

// The loader's errors name a dotted path at best. These patterns parse them; an
// error that matches none is reported as it is.
var (
	additional  = pattern.Lazy(`(?s)^(.*?) Additional property (.*) is not allowed$`)
	castError   = pattern.Lazy(`(?s)^error while interpolating (\S+): failed to cast to expected type: (.*)$`)
	pathError   = pattern.Lazy(`(?s)^(?:error while interpolating |invalid interpolation format for )(\S+): (.*)$`)
	schemaError = pattern.Lazy(`(?s)^((?:services|networks|volumes|configs|secrets)(?:\.\S+)?|version) (.*)$`)
	decodeError = pattern.Lazy(`'([A-Za-z]\S*)' (.*)`)
	parseError  = pattern.Lazy(`^strconv\.\w+: parsing (".*"): `)
)

// blame reports an error of a file that was loaded alone, at its line. It
// returns the path of what is wrong, nil where that is not known.
func (l loading) blame(f *File, dict map[string]any, err error) []string {
	var forbidden *loader.ForbiddenPropertiesError
	if errors.As(err, &forbidden) {
		return l.blameForbidden(f, dict)
	}
	message := err.Error()
	if match := additional().FindStringSubmatch(message); match != nil {
		path := pathOf(f, match[1])
		if match[2] == "" {
			l.report.Fail(f.At(path...), "give it a name, or remove it", "%s has an entry whose name is empty", strings.Join(path, "."))
			return append(path, match[2])
		}
		path = append(path, match[2])
		l.report.Fail(f.At(path...), cmp.Or(unknownHint(path), bareServiceHint(path, f.node(path...))), "%s is not a property of compose files for Swarm", strings.Join(path, "."))
		return path
	}
	if match := castError().FindStringSubmatch(message); match != nil {
		path := pathOf(f, match[1])
		reason, hint := match[2], ""
		if number := parseError().FindStringSubmatch(reason); number != nil {
			reason = number[1] + " is not a number"
		}
		if strings.HasPrefix(reason, `""`) || strings.HasSuffix(reason, "boolean: ") {
			hint = anEmptyVariable
		}
		l.report.Fail(f.At(path...), hint, "%s: %s", match[1], reason)
		return path
	}
	for _, pattern := range []*regexp.Regexp{pathError(), schemaError()} {
		if match := pattern.FindStringSubmatch(message); match != nil {
			path := pathOf(f, match[1])
			reason := strings.TrimPrefix(match[2], match[1]+" ") // some errors repeat the path
			reason, hint := misfit(path, f.node(path...), reason)
			l.report.Fail(f.At(path...), hint, "%s: %s", match[1], reason)
			return path
		}
	}
	return l.blameService(f, dict, message)
}

// bareServiceHint helps with a service that stands at the top of a file.
func bareServiceHint(path []string, node *yaml.Node) string {
	if node = resolve(node); len(path) != 1 || node == nil || node.Kind != yaml.MappingNode {
		return ""
	}
	if _, image := child(node, "image"); image == nil {
		return ""
	}
	return "if it is a service, write it below services:"
}

// pathOf splits the dotted path of a message; "(root)" is the file itself.
func pathOf(f *File, dotted string) []string {
	if dotted == "(root)" || f.Generated() {
		return nil
	}
	return splitPath(f.root, dotted)
}

// blameForbidden reports properties that have another name in Swarm.
func (l loading) blameForbidden(f *File, dict map[string]any) []string {
	services, _ := dict["services"].(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(services)) {
		service, _ := services[name].(map[string]any)
		for _, property := range slices.Sorted(maps.Keys(types.ForbiddenProperties)) {
			if _, set := service[property]; set {
				path := []string{"services", name, property}
				hint := types.ForbiddenProperties[property]
				if property == "extends" {
					hint = "write the properties out, or share them with an anchor and <<"
				}
				l.report.Fail(f.At(path...), hint, "%s is not allowed", strings.Join(path, "."))
				return path
			}
		}
	}
	return nil
}

// blameService finds the service, or the entry of another section, of an error
// that names none, by loading each alone.
func (l loading) blameService(f *File, dict map[string]any, message string) []string {
	for _, section := range []string{"services", "networks", "volumes", "configs", "secrets"} {
		entries, _ := dict[section].(map[string]any)
		for _, name := range slices.Sorted(maps.Keys(entries)) {
			only := map[string]any{section: map[string]any{name: entries[name]}}
			if _, err := l.run([]types.ConfigFile{{Filename: f.Path, Config: only}}); err != nil {
				path, reason := decoded([]string{section, name}, oneLine(err.Error()))
				l.report.Fail(f.At(path...), "", "%s: %s", strings.Join(path, "."), reason)
				return path[:2]
			}
		}
	}
	l.report.Fail(kargo.Place{File: f.Path}, "", "%s", oneLine(message))
	return nil
}

// decoded parses an error of the decoder, which names a field below the path in
// Go's spelling: 'Deploy.Resources.Limits.memory'.
func decoded(path []string, message string) ([]string, string) {
	if before, _, found := strings.Cut(message, " cannot parse value as 'uint64'"); found && strings.HasSuffix(message, "overflows uint") {
		message = before + " must not be negative"
	}
	match := decodeError().FindStringSubmatch(message)
	if match == nil {
		return path, message
	}
	fields := strings.NewReplacer("[", ".", "]", "").Replace(strings.ToLower(match[1]))
	return append(path, strings.Split(fields, ".")...), match[2]
}

// oneLine returns a message without line breaks.
func oneLine(message string) string { return strings.Join(strings.Fields(message), " ") }
