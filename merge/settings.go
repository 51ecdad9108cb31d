package merge

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"kargo"
	"kargo/spelling"
)

// settingsFile is the optional file that sets stack variables, in a form that
// suits lists, the rules by which image tags are followed, and freeze windows.
const settingsFile = kargo.FileSettings

// readSettings turns the settings file into variables, rules of images and freeze windows.
// A variable that the user's environment sets, too, keeps that value.
func readSettings(ws *kargo.Workspace, user fs.FS) kargo.Problems {
	file, exists := ws.Files[settingsFile]
	if !exists {
		return nil
	}
	s := settingsReader{ws: ws, user: user}
	if len(file.Data) > maxFile {
		s.fail(nil, "", "is longer than %d bytes", maxFile)
	} else if root := s.document(file.Data); root != nil {
		s.mapping(root, "the file", map[string]func(*yaml.Node){
			"stacks": s.stacks, "images": s.images, keyFreeze: s.freeze,
			keyDirectories: func(value *yaml.Node) { s.words(keyDirectories, value) }, keyNotStacks: func(value *yaml.Node) { s.words(keyNotStacks, value) },
		})
	}
	return s.problems
}

// document returns the root of the file's one document; nil where there is none,
// or more than one.
func (s *settingsReader) document(data []byte) *yaml.Node {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var roots []*yaml.Node
	for {
		var document yaml.Node
		err := decoder.Decode(&document)
		if err == io.EOF {
			break
		}
		if err != nil {
			at, message := yamlPlace(err)
			s.fail(at, "", "%s", message)
			return nil
		}
		if root := document.Content[0]; root.ShortTag() != "!!null" {
			roots = append(roots, root)
		}
	}
	switch len(roots) {
	case 0:
		return nil
	case 1:
		return roots[0]
	}
	s.fail(roots[1], "join them into one", "a second document begins here")
	return nil
}

type settingsReader struct {
	ws       *kargo.Workspace
	user     fs.FS // the user configuration
	problems kargo.Problems
}

func (s *settingsReader) fail(at *yaml.Node, hint, format string, args ...any) {
	problem := kargo.Problem{Where: kargo.Place{File: settingsFile}, Message: fmt.Sprintf(format, args...), Hint: hint}
	if at != nil {
		problem.Where.Line = at.Line
	}
	s.problems = append(s.problems, problem)
}

// yamlPlace splits an error of the YAML parser into line and message.
func yamlPlace(err error) (*yaml.Node, string) {
	message := strings.TrimPrefix(err.Error(), "yaml: ")
	rest, found := strings.CutPrefix(message, "line ")
	number, rest, cut := strings.Cut(rest, ": ")
	line, notNumber := strconv.Atoi(number)
	if !found || !cut || notNumber != nil {
		return nil, message
	}
	return &yaml.Node{Line: line}, rest
}

// mapping calls for each value of a mapping the reader of its key.
func (s *settingsReader) mapping(node *yaml.Node, what string, readers map[string]func(*yaml.Node)) {
	s.entries(node, what, func(key, value *yaml.Node) {
		read, known := readers[key.Value]
		if !known {
			s.fail(key, spelling.DidYouMean(key.Value, slices.Collect(maps.Keys(readers))), "%s has no key %q", what, key.Value)
			return
		}
		read(value)
	})
}

// entries calls read for each entry of a mapping. A repeated key is an error.
func (s *settingsReader) entries(node *yaml.Node, what string, read func(key, value *yaml.Node)) {
	if node.Kind != yaml.MappingNode {
		s.fail(node, "", "%s is not a mapping", what)
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		if seen[key.Value] {
			s.fail(key, "", "%s has the key %q twice", what, key.Value)
			continue
		}
		seen[key.Value] = true
		read(key, value)
	}
}

func (s *settingsReader) stacks(node *yaml.Node) {
	known := s.ws.StackNames()
	s.entries(node, "stacks", func(stack, settings *yaml.Node) {
		if !slices.Contains(known, stack.Value) {
			nowhere := "is not in STACKS"
			if len(s.ws.Directories) > 0 {
				nowhere = "is neither in STACKS nor a stack directory"
			}
			s.fail(stack, spelling.DidYouMean(stack.Value, known), "stacks.%s %s", stack.Value, nowhere)
			return
		}
		readers := map[string]func(*yaml.Node){keyFiles: func(value *yaml.Node) { s.files(stack.Value, value) }}
		for _, variable := range kargo.StackVariables {
			if variable.Key != "" {
				readers[variable.Key] = func(value *yaml.Node) { s.set(variable.Suffix.Of(stack.Value), value) }
			}
		}
		s.mapping(settings, "stacks."+stack.Value, readers)
	})
}

// files checks the compose files of a stack, which readDirectories has read.
func (s *settingsReader) files(stack string, value *yaml.Node) {
	if _, isOne := s.ws.Directory(stack); !isOne {
		s.fail(value, "name the files in "+kargo.SuffixStack.Of(stack), "stacks.%s.%s is for stacks in directories of their own", stack, keyFiles)
		return
	}
	s.words("stacks."+stack+"."+keyFiles, value)
}

// set sets a variable, unless the user's environment has it.
func (s *settingsReader) set(variable string, value *yaml.Node) {
	words, ok := s.words(variable, value)
	if !ok {
		return
	}
	if where, assigned := s.ws.Lines[variable]; assigned && where.File != envDefault {
		s.problems = append(s.problems, kargo.Problem{Where: kargo.Place{File: settingsFile, Line: value.Line}, Warning: true,
			Message: variable + " is also set in " + where.String() + ", which counts", Hint: "set it in one place only"})
		return
	}
	s.ws.Env[variable] = strings.Join(words, " ")
	s.ws.Lines[variable] = kargo.Place{File: settingsFile, Line: value.Line}
}

// words returns the words of a scalar or of a list of scalars.
func (s *settingsReader) words(variable string, value *yaml.Node) ([]string, bool) {
	items := []*yaml.Node{value}
	if value.Kind == yaml.SequenceNode {
		items = value.Content
	}
	var words []string
	for _, item := range items {
		if item.Kind != yaml.ScalarNode {
			s.fail(item, "", "%s must be a word or a list of words", variable)
			return nil, false
		}
		if value.Kind == yaml.SequenceNode && len(strings.Fields(item.Value)) != 1 {
			s.fail(item, "write one word per item", "%s: %q is not one word", variable, item.Value)
			return nil, false
		}
		words = append(words, item.Value)
	}
	return words, true
}
