package merge

import (
	"bytes"
	"fmt"
	"path"
	"strings"

	"kargo"
	"kargo/pattern"
)

const (
	templateSuffix = ".tpl"
	// maxTemplates is the size in bytes of all renderings together: a template
	// that reads a long variable many times would make gigabytes. maxTemplate is
	// that of one template as it is written, maxUnset the number of warnings
	// about one.
	maxTemplates = 32 << 20
	maxTemplate  = 1 << 20
	maxUnset     = 100
)

// reference is the only syntax of a template: there are no default values and no
// escapes. Everything else that begins with a dollar is plain text.
var reference = pattern.Lazy(`\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)\})`)

// renderTemplates adds the rendering of every configs/**/*.tpl to the merged
// configuration, under the name without the suffix.
//
// If a plain file of that name exists, it counts where its layer is higher than
// the template's: a user's template counts more than any plain file, a default
// template less than a user's own file (workspace contract, section 16, item 1).
func renderTemplates(ws kargo.Workspace, layers []layer, paths []string) kargo.Problems {
	var problems kargo.Problems
	secret := secretVariables(ws)
	size := 0
	for _, source := range paths {
		target, isTemplate := strings.CutSuffix(source, templateSuffix)
		if !isTemplate || !strings.HasPrefix(source, "configs/") || path.Base(source) == templateSuffix {
			continue
		}
		template := ws.Files[source]
		if template.Origin == kargo.OriginRendered {
			continue // "a.tpl.tpl" renders to "a.tpl" and no further
		}
		plain, exists := ws.Files[target]
		if exists && plain.Origin != kargo.OriginRendered && rank(layers, plain.Origin) > rank(layers, template.Origin) {
			continue
		}
		if len(template.Data) > maxTemplate {
			problems = append(problems, kargo.Problem{Where: kargo.Place{File: source}, Message: fmt.Sprintf("is longer than %d bytes", maxTemplate)})
			continue
		}
		if size += expandedSize(template.Data, ws.Env); size > maxTemplates {
			return append(problems, kargo.Problem{
				Where: kargo.Place{File: source}, Message: "is too large once its variables are replaced",
				Hint: fmt.Sprintf("the limit is %d bytes for all templates together", maxTemplates),
			})
		}
		data, found := expandTemplate(source, template.Data, ws.Env)
		if template.Origin == kargo.OriginUser {
			// A template of a lower layer may belong to a service that this
			// workspace does not use.
			problems = append(problems, found...)
		}
		ws.Files[target] = kargo.File{
			Data: data, Origin: kargo.OriginRendered, Source: source, Executable: template.Executable,
			Secret: template.Secret || readsSecret(template.Data, secret),
		}
	}
	return problems
}

// composeTemplates are compose files that exist only as templates: their keys
// have a variable, and compose files replace variables in values only. The
// historic tool rendered them in hooks (workspace contract, section 12).
var composeTemplates = []string{"deploy/mongors.yml.tpl", "deploy/mongors-exporter.yml.tpl"}

// composeVariable is the one variable that is replaced in them; the compose
// reader replaces the others. It becomes part of names only.
const composeVariable = "MONGORS_NAME"

var composeName = pattern.Lazy(`^[a-zA-Z0-9_-]{0,32}$`)

// renderComposeTemplates adds the compose files of composeTemplates, unless the
// user has a plain one.
func renderComposeTemplates(ws kargo.Workspace) kargo.Problems {
	if name := ws.Env[composeVariable]; !composeName().MatchString(name) {
		problem := kargo.Problem{Message: fmt.Sprintf("%s is %q, which cannot be part of a service's name", composeVariable, name)}
		problem.Where = ws.Lines[composeVariable]
		return kargo.Problems{problem}
	}
	for _, source := range composeTemplates {
		target := strings.TrimSuffix(source, templateSuffix)
		template, exists := ws.Files[source]
		if _, plain := ws.Files[target]; !exists || plain {
			continue
		}
		data := reference().ReplaceAllFunc(template.Data, func(match []byte) []byte {
			if strings.Trim(string(match), "${}") != composeVariable {
				return match
			}
			return []byte(ws.Env[composeVariable])
		})
		ws.Files[target] = kargo.File{Data: data, Origin: kargo.OriginRendered, Source: source}
	}
	return nil
}

// expandedSize returns how many bytes expandTemplate would make.
func expandedSize(template []byte, env kargo.Environment) int {
	size := len(template)
	for _, match := range reference().FindAllIndex(template, -1) {
		size += len(env[string(bytes.Trim(template[match[0]:match[1]], "${}"))])
	}
	return size
}

// expandTemplate replaces $NAME and ${NAME}. It warns of a variable that is not
// set, which counts as empty.
func expandTemplate(name string, template []byte, env kargo.Environment) ([]byte, kargo.Problems) {
	var problems kargo.Problems
	var out bytes.Buffer
	end, line := 0, 1
	for _, match := range reference().FindAllSubmatchIndex(template, -1) {
		start, group := match[0], 2
		if match[2] < 0 {
			group = 4
		}
		variable := string(template[match[group]:match[group+1]])
		value, set := env.Lookup(variable)
		line += bytes.Count(template[end:start], []byte("\n"))
		if !set && len(problems) < maxUnset {
			problems = append(problems, kargo.Problem{
				Where:   kargo.Place{File: name, Line: line},
				Message: fmt.Sprintf("%s is not set and counts as empty", variable),
				Warning: true,
			})
		}
		out.Write(template[end:start])
		out.WriteString(value)
		end = match[1]
	}
	out.Write(template[end:])
	return out.Bytes(), problems
}
