package recipe

import (
	"cmp"
	"path"
	"strings"

	"gopkg.in/yaml.v3"

	"kargo"
	"kargo/pattern"
)

// reference is a variable as compose files write it: $NAME, ${NAME},
// ${NAME:-default}, ${NAME:?message}; $$ is a dollar.
var reference = pattern.Lazy(`\$(?:(\$)|([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)(?:(:[-?])([^}]*))?\}|)`)

// expand replaces the variables of a value. Unlike in a compose file, an empty
// variable is an error: an image needs a name and a version.
func (r *reader) expand(node *yaml.Node) string {
	var text strings.Builder
	end := 0
	for _, match := range reference().FindAllStringSubmatchIndex(node.Value, -1) {
		group := func(i int) string {
			if match[2*i] < 0 {
				return ""
			}
			return node.Value[match[2*i]:match[2*i+1]]
		}
		text.WriteString(node.Value[end:match[0]])
		end = match[1]
		name := cmp.Or(group(2), group(3))
		value := r.workspace.Env[name]
		switch {
		case group(1) != "":
			value = "$"
		case name == "":
			r.fail(node.Line, `write "$$" for a plain dollar`, "%q is not a reference to a variable", node.Value[match[0]:])
		case value == "" && group(4) == ":-":
			value = group(5)
		case value == "":
			r.fail(node.Line, "", "%s is required: %s", name, cmp.Or(group(5), "set it in .env"))
		}
		text.WriteString(value)
	}
	text.WriteString(node.Value[end:])
	return text.String()
}

// Foreign returns the variable that names a recipe's image, if its value is the
// catalogue's: that image belongs to somebody else and must not be pushed. It
// returns "" where the workspace names the image.
func Foreign(workspace kargo.Workspace, name string) string {
	var document struct{ Image yaml.Node }
	if yaml.Unmarshal(workspace.Files[path.Join("build", name, "build.yml")].Data, &document) != nil {
		return "" // Read reports it
	}
	nodes := append([]*yaml.Node{&document.Image}, document.Image.Content...)
	for _, node := range nodes {
		for _, match := range reference().FindAllStringSubmatch(node.Value, -1) {
			name := cmp.Or(match[2], match[3])
			if strings.HasSuffix(name, "_IMAGE") && workspace.Lines[name].File == kargo.FileEnvDefault {
				return name
			}
		}
	}
	return ""
}
