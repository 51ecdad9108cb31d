package merge

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"kargo"
	"kargo/pattern"
)

// secrecy knows which parts of the environment were encrypted in the repository,
// or come from outside of it.
type secrecy struct {
	names    map[string]map[string]bool // by the file that assigns them
	secret   map[string]bool            // variables whose last assignment is such a one
	values   []string
	external bool
}

// learn notes what is secret in an environment file, before the file is read.
func (s *secrecy) learn(file string, opened kargo.Opened) {
	if s.names == nil {
		s.names, s.secret = map[string]map[string]bool{}, map[string]bool{}
	}
	names := map[string]bool{}
	for _, name := range opened.Names {
		names[name] = true
	}
	s.names[file] = names
	s.values = append(s.values, opened.Values...)
	s.external = s.external || opened.External
}

// assigned notes which file assigned a variable last.
func (s *secrecy) assigned(name, file string) {
	if s.names[file][name] {
		s.secret[name] = true
	} else {
		delete(s.secret, name)
	}
}

// keepSecrets records what is secret in the whole workspace.
func keepSecrets(ws *kargo.Workspace, env environment) {
	ws.SecretNames = slices.Sorted(maps.Keys(env.secrecy.secret))
	values := slices.Clone(env.secrecy.values)
	for _, file := range ws.Files {
		values = append(values, file.HowOpened().Values...)
		ws.External = ws.External || file.HowOpened().External
	}
	ws.External = ws.External || env.secrecy.external
	slices.Sort(values)
	ws.SecretValues = slices.Compact(values)
}

// unresolved is how a reference begins that should have been replaced by its
// value.
var unresolved = pattern.Lazy(`\bref\+(?:file|env|vault):`)

// checkSecrets finds references that nothing resolves, malformed patterns, and a
// secret file that would have to be on a disk.
func checkSecrets(ws kargo.Workspace) kargo.Problems {
	var problems kargo.Problems
	for _, name := range slices.Sorted(maps.Keys(ws.Env)) {
		if !unresolved().MatchString(ws.Env[name]) {
			continue
		}
		problem := kargo.Problem{
			Where: kargo.Place{File: envUser}, Message: name + " holds a reference that is not resolved here",
			Hint: "references stand in .env, or in a file NAME.env beside it, as the whole value of a variable",
		}
		if where, assigned := ws.Lines[name]; assigned {
			problem.Where = where
		}
		problems = append(problems, problem)
	}
	for _, pattern := range ws.Env.List("KARGO_SECRETS") {
		if _, err := path.Match(pattern, ""); err != nil {
			problem := kargo.Problem{
				Message: fmt.Sprintf("KARGO_SECRETS: %q is not a pattern", pattern), Hint: "for example *_PASSWORD; a [ needs a ]",
			}
			problem.Where = ws.Lines["KARGO_SECRETS"]
			problems = append(problems, problem)
		}
	}
	const state = "acme/acme.json"
	if file := ws.Files[state]; file.Secret {
		problems = append(problems, kargo.Problem{
			Where: kargo.Place{File: file.Source}, Message: "is encrypted, but Traefik needs it on a disk",
			Hint: "let Traefik make its own, or put it into the data directory by hand",
		})
	}
	return problems
}

// secretVariables returns the variables that make a template secret: those that
// are secret, and those whose value contains a secret.
func secretVariables(ws kargo.Workspace) map[string]bool {
	secret := map[string]bool{}
	for _, name := range ws.SecretNames {
		secret[name] = true
	}
	for name, value := range ws.Env {
		secret[name] = secret[name] || slices.ContainsFunc(ws.SecretValues, func(part string) bool {
			return len(part) >= shortestPart && strings.Contains(value, part)
		})
	}
	return secret
}

// shortestPart is the length in bytes of the shortest secret that is looked for
// in other variables' values.
const shortestPart = 4

// readsSecret reports whether a template reads one of the variables.
func readsSecret(template []byte, secret map[string]bool) bool {
	for _, match := range reference().FindAllSubmatch(template, -1) {
		if secret[string(match[1])] || secret[string(match[2])] {
			return true
		}
	}
	return false
}
