package traefik

import (
	"regexp"
	"strings"

	"kargo/pattern"
)

// rule translates a rule of Traefik 1.7, "Host:a,b;PathPrefixStrip:/x". All
// matchers must match, each by any of its values. Changes of the path are
// middlewares in version 3.
func (r *Route) rule(text string) ([]string, bool) {
	var matchers, counts []string
	for _, part := range strings.Split(text, ";") {
		if strings.TrimSpace(part) == "" {
			continue
		}
		name, list, ok := strings.Cut(part, ":")
		values := splitList(list)
		if !ok || len(values) == 0 || strings.Contains(list, "`") {
			return nil, false
		}
		name = strings.ToLower(strings.TrimSpace(name))
		matcher, isMatcher := r.matcher(name, values)
		changes, isChange := r.pathChange(name, values)
		if !isMatcher && !isChange {
			return nil, false
		}
		if isMatcher {
			matchers = append(matchers, matcher)
		}
		counts = append(counts, changes...)
	}
	if len(matchers) == 0 {
		return nil, false
	}
	if len(matchers) > 1 {
		for i, matcher := range matchers {
			if strings.Contains(matcher, " || ") {
				matchers[i] = "(" + matcher + ")"
			}
		}
	}
	counts = append([]string{r.router("rule", strings.Join(matchers, " && "))}, counts...)
	if entries := "traefik.http.routers." + r.name + ".entrypoints"; r.labels[entries] == "" && r.added[entries] == "" {
		// A frontend without entry points used the default ones, http and https.
		r.entryPoints("https")
	}
	return counts, true
}

// matcher returns one matcher of version 3 for a list of values.
func (r *Route) matcher(name string, values []string) (string, bool) {
	switch name {
	case "host":
		return anyOf("Host", values), true
	case "hostregexp":
		return anyOf("HostRegexp", anchored(values, `[^.]+`, "$")), true
	case "path", "pathstrip":
		return anyPath("Path", values, "$"), true
	case "pathprefix", "pathprefixstrip":
		return anyPath("PathPrefix", values, ""), true
	case "pathstripregex":
		return anyOf("PathRegexp", anchored(values, `[^/]+`, "$")), true
	case "pathprefixstripregex":
		return anyOf("PathRegexp", anchored(values, `[^/]+`, "")), true
	case "method":
		return anyOf("Method", values), true
	case "query":
		for i, value := range values {
			values[i] = strings.Replace(value, "=", "`, `", 1)
		}
		return anyOf("Query", values), true
	case "headers", "headersregexp":
		if len(values) != 2 {
			return "", false
		}
		return map[string]string{"headers": "Header", "headersregexp": "HeaderRegexp"}[name] + "(`" + values[0] + "`, `" + values[1] + "`)", true
	}
	return "", false
}

// pathChange adds the middleware of a part of a rule that changes the path.
func (r *Route) pathChange(name string, values []string) ([]string, bool) {
	list := strings.Join(values, ",")
	switch name {
	case "pathstrip", "pathprefixstrip":
		return []string{r.middleware("strip", "stripprefix.prefixes", list)}, true
	case "pathstripregex", "pathprefixstripregex":
		return []string{r.middleware("strip", "stripprefixregex.regex", strings.Join(anchored(values, `[^/]+`, ""), ","))}, true
	case "addprefix":
		return []string{r.middleware("prefix", "addprefix.prefix", list)}, true
	case "replacepath":
		return []string{r.middleware("path", "replacepath.path", list)}, true
	case "replacepathregex":
		pattern, replacement, ok := strings.Cut(list, " ")
		if !ok {
			return nil, false
		}
		r.middleware("path", "replacepathregex.replacement", replacement)
		return []string{r.middleware("path", "replacepathregex.regex", pattern)}, true
	}
	return nil, false
}

// anyOf returns "F(`a`) || F(`b`)".
func anyOf(function string, values []string) string {
	calls := make([]string, 0, len(values))
	for _, value := range values {
		calls = append(calls, function+"(`"+value+"`)")
	}
	return strings.Join(calls, " || ")
}

// anyPath does the same as anyOf for paths. Paths with a variable in braces
// need a regular expression in version 3.
func anyPath(function string, values []string, end string) string {
	var calls []string
	for _, value := range values {
		if strings.Contains(value, "{") {
			calls = append(calls, anyOf("PathRegexp", anchored([]string{value}, `[^/]+`, end)))
		} else {
			calls = append(calls, anyOf(function, []string{value}))
		}
	}
	return strings.Join(calls, " || ")
}

// pathVariable is "{name}" or "{name:pattern}" of a 1.7 rule.
var pathVariable = pattern.Lazy(`\{[^{}:]*(?::((?:[^{}]|\{[^{}]*\})*))?\}`)

// anchored makes regular expressions of values with variables in braces. A
// variable without a pattern gets the given one.
func anchored(values []string, free, end string) []string {
	patterns := make([]string, 0, len(values))
	for _, value := range values {
		var pattern strings.Builder
		pattern.WriteByte('^')
		rest := 0
		for _, match := range pathVariable().FindAllStringSubmatchIndex(value, -1) {
			pattern.WriteString(regexp.QuoteMeta(value[rest:match[0]]))
			if match[2] >= 0 {
				pattern.WriteString("(?:" + value[match[2]:match[3]] + ")")
			} else {
				pattern.WriteString(free)
			}
			rest = match[1]
		}
		pattern.WriteString(regexp.QuoteMeta(value[rest:]) + end)
		patterns = append(patterns, pattern.String())
	}
	return patterns
}
