package merge

import (
	"context"

	"kargo"
)

// ReadBoth reads one text as an environment file with each reader. plain says
// whether the text is one that both must read alike; dotenv is nil if not.
func ReadBoth(in Input, text string) (dotenv, bash kargo.Environment, plain bool, problems kargo.Problems) {
	src, problems := parse(envUser, []byte(text))
	if problems.Err() != nil {
		return nil, nil, false, problems
	}
	assignments, plain := plainAssignments(in.base(), []source{src})
	if plain {
		env := environment{values: kargo.Environment{}, lines: map[string]kargo.Place{}}
		if err := readDotenv(&env, in.base(), assignments); err != nil {
			panic(err)
		}
		dotenv, problems = env.values, append(problems, env.problems...)
	}
	env := environment{values: kargo.Environment{}, lines: map[string]kargo.Place{}}
	for _, v := range in.base() {
		env.values[v.name] = v.value
	}
	if err := readBash(context.Background(), &env, in, []source{src}); err != nil {
		panic(err)
	}
	return dotenv, env.values, plain, append(problems, env.problems...)
}

// ExpandTemplate is expandTemplate.
var ExpandTemplate = expandTemplate
