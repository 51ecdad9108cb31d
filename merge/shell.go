package merge

import (
	"context"
	"maps"
	"slices"

	"mvdan.cc/sh/v3/syntax"

	"kargo"
)

// readByShell lets the shell of the input evaluate the environment files that do
// what is refused here, above all run programs. A file that is not bash at all
// stays refused.
func readByShell(ctx context.Context, in Input, files map[string]kargo.File, refused environment) (environment, error) {
	var sources []source
	var handed []kargo.EnvFile
	for _, l := range in.layers() {
		file, exists := files[l.env]
		if !exists {
			continue
		}
		src := source{name: l.env, text: string(file.Data)}
		if _, ok := checkText(src.name, src.text); !ok {
			return refused, nil
		}
		parsed, err := parseStatements(src.name, src.text)
		if err != nil {
			return refused, nil
		}
		src.file = parsed
		sources = append(sources, src)
		from := l.files
		if l.name == kargo.OriginDefault {
			from = kargo.Files{}
		}
		handed = append(handed, kargo.EnvFile{Name: l.env, Data: file.Data, Files: from})
	}
	env := environment{
		values: kargo.Environment{}, lines: map[string]kargo.Place{}, assignments: map[string][]kargo.Place{},
		reader: readerShell, secrecy: refused.secrecy,
	}
	for _, v := range in.base() {
		env.values[v.name] = v.value
	}
	values, problems, err := in.Shell(ctx, maps.Clone(env.values), handed)
	if err != nil {
		return env, err
	}
	env.problems = append(problems, warnings(refused.problems)...)
	if problems.Err() == nil {
		err = env.takeOver(ctx, values, sources, in, files)
	}
	return env, err
}

func warnings(problems kargo.Problems) kargo.Problems {
	return slices.DeleteFunc(slices.Clone(problems), func(p kargo.Problem) bool { return !p.Warning })
}

// takeOver takes the variables that a shell returned. The text of the files says
// where each was assigned. What a program or a sourced file assigned has the last
// file as its place, without a line. A value that differs from that of the
// defaults never counts as the catalogue's: the operator's policy depends on
// that.
func (env *environment) takeOver(ctx context.Context, values kargo.Environment, sources []source, in Input, files map[string]kargo.File) error {
	defaults, err := readHere(ctx, in, map[string]kargo.File{envDefault: files[envDefault]})
	if err != nil {
		return err
	}
	places := map[string][]kargo.Place{}
	for _, src := range sources {
		syntax.Walk(src.file, func(node syntax.Node) bool {
			if assign, ok := node.(*syntax.Assign); ok && assign.Name != nil && !assign.Naked {
				name := assign.Name.Value
				places[name] = append(places[name], kargo.Place{File: src.name, Line: int(assign.Pos().Line())})
			}
			return true
		})
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if before, known := env.values[name]; known && before == values[name] {
			continue
		}
		found := places[name]
		if n := len(found); n > 0 && found[n-1].File == envDefault && defaults.values[name] != values[name] {
			found = nil
		}
		if len(found) == 0 {
			file := sources[len(sources)-1].name
			env.assign(name, values[name], file, 0)
		}
		for _, at := range found {
			env.assign(name, values[name], at.File, at.Line)
		}
	}
	return nil
}
