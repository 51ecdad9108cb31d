package permit

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"kargo"
)

// Traefik reads the labels of all services of a Swarm, whoever made them: the names of
// routers, middlewares and services, and the host names of rules are one set for all.
// Where two services have the same router, Traefik drops both; where two have the same
// service, each gets a part of the requests; and a router may send requests to any
// service, past the middlewares that its owner put before it.

// claim is what one label asks of Traefik.
type claim struct {
	kind  claimKind
	value string
	label string
}

type claimKind int

const (
	claimsName     claimKind = iota // "http routers shop"
	claimsHost                      // a host name, or anyHost
	claimsService                   // a service that requests are sent to
	claimsAddress                   // an address that requests are sent to
	claimsSettings                  // settings of Traefik itself, which all share
)

// anyHost stands for the host names of a rule that does not name all of its hosts.
const anyHost = "any"

// claimsOf returns what labels ask of Traefik, in the order of the labels.
func claimsOf(labels map[string]string) (all []claim) {
	for _, label := range traefiks(labels) {
		name := strings.ToLower(label) // Traefik does not tell them apart
		add := func(kind claimKind, values ...string) {
			for _, value := range values {
				all = append(all, claim{kind, value, label})
			}
		}
		value, parts := labels[label], strings.Split(name, ".")
		switch {
		case strings.Contains(name, ".frontend.errors.") && strings.HasSuffix(name, ".backend"):
			add(claimsService, "backend "+strings.ToLower(value))
		case name == "traefik.backend", len(parts) == 3 && parts[2] == "backend":
			add(claimsName, "backend "+strings.ToLower(value)) // of version 1.7, which adds up those of one name
		case strings.HasSuffix(name, ".auth.forward.address"):
			add(claimsAddress, value)
		case strings.HasSuffix(name, ".frontend.rule"):
			add(claimsHost, hostsOfOldRule(value)...)
		case parts[1] == "tls":
			add(claimsSettings, "tls")
		case len(parts) < 5 || parts[1] != "http" && parts[1] != "tcp" && parts[1] != "udp":
		default:
			protocol, section, option := parts[1], parts[2], strings.Join(parts[4:], ".")
			add(claimsName, protocol+" "+section+" "+parts[3])
			switch {
			case section == "routers" && option == "rule":
				add(claimsHost, hostsOfRule(value)...)
			case section == "routers" && protocol == "udp":
				add(claimsHost, anyHost) // it has no rule
			case section == "routers" && strings.HasPrefix(option, "tls.domains["):
				add(claimsHost, certified(value)...)
			}
			switch {
			case section == "routers" && option == "service", section == "middlewares" && option == "errors.service":
				add(claimsService, protocol+" services "+strings.ToLower(value))
			case section == "services" && (strings.HasSuffix(option, ".url") || strings.HasSuffix(option, ".address")):
				add(claimsAddress, value)
			case section == "services" && strings.HasSuffix(option, "healthcheck.path") && strings.Contains(value, "//"):
				add(claimsAddress, value) // Traefik reads it as an address
			case section == "middlewares" && (option == "forwardauth.address" || strings.HasPrefix(option, "ratelimit.redis.endpoints")):
				add(claimsAddress, value)
			}
		}
	}
	return all
}

// traefiks returns the labels that Traefik reads, in order.
func traefiks(labels map[string]string) (all []string) {
	for label := range labels {
		if label != "" && label[0]|0x20 == 't' && strings.HasPrefix(strings.ToLower(label), "traefik.") { // most are others'
			all = append(all, label)
		}
	}
	slices.Sort(all)
	return all
}

// labelled are the claims of the labels of a service and of its containers, with the
// property of the compose file that holds each.
func labelled(service kargo.Service, found func(c claim, property ...string)) {
	for _, c := range claimsOf(service.Spec.Labels) {
		found(c, "deploy", "labels", c.label)
	}
	if container := service.Spec.TaskTemplate.ContainerSpec; container != nil {
		for _, c := range claimsOf(container.Labels) {
			found(c, "labels", c.label)
		}
	}
}

// routes judges what the labels of a service ask of Traefik.
func (e *examiner) routes(service kargo.Service, say say) {
	labelled(service, func(c claim, property ...string) {
		switch c.kind {
		case claimsHost:
			what := "claims the host name " + c.value
			if c.value == anyHost {
				what = "claims requests to any host name"
			}
			say(ruleHosts, c.value, what, property...)
		case claimsService:
			if !e.ask(asksForRoute, ownProvider(c.value)) {
				name := c.value[strings.LastIndex(c.value, " ")+1:]
				say(ruleRoutes, name, fmt.Sprintf("sends requests to %q, which is no service of this workspace in Traefik", name), property...)
			}
		case claimsAddress:
			if e.isOwnAddress(c.value) {
				return
			}
			say(ruleRoutes, c.value, "sends requests to the address "+c.value, property...)
		case claimsSettings:
			say(ruleRoutes, c.value, "changes the settings of TLS that all routes share", property...)
		case claimsName: // only somebody else's is of interest, which a Judge knows
		}
	})
}

// isOwnAddress reports whether an address is one of a service of the workspace by its name
// in Swarm. Short names are not unique: on one of Traefik's networks, somebody else's service
// may answer to it.
func (e *examiner) isOwnAddress(text string) bool {
	_, host, plain := strings.Cut(text, "://")
	if !plain || strings.ContainsAny(host, `@\%`) {
		return false
	}
	if end := strings.IndexAny(host, ":/?#"); end >= 0 {
		host = host[:end]
	}
	return e.ask(asksForService, host)
}

// certified returns the hosts that Traefik asks for certificates of: a list, some of them
// for all names of a domain.
func certified(list string) (hosts []string) {
	for _, name := range strings.Split(list, ",") {
		hosts = append(hosts, plainHosts([]string{strings.TrimPrefix(strings.TrimSpace(name), "*.")})...)
	}
	return hosts
}

// ownProvider returns the name of a service without the provider that labels are of.
func ownProvider(name string) string {
	for _, provider := range []string{"@swarm", "@docker"} {
		if own, ok := strings.CutSuffix(name, provider); ok {
			return own
		}
	}
	return name
}

// routesOf returns the services that a stack has in Traefik: those that labels name, and
// one for each service of Swarm.
func routesOf(stack *kargo.Stack) (all []string) {
	for _, service := range stack.Services {
		asks := false
		labelled(service, func(c claim, _ ...string) {
			asks = true
			if c.kind == claimsName && (len(all) == 0 || all[len(all)-1] != c.value) { // most labels are about the same as the one before
				all = append(all, c.value)
			}
		})
		if asks {
			all = append(all, usualRoute(service.Name))
		}
	}
	return all
}

// usualRoute is what Traefik calls the service of a Swarm service whose labels name none.
func usualRoute(service string) string {
	words := strings.FieldsFunc(service, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsNumber(r) })
	return "http services " + strings.ToLower(strings.Join(words, "-"))
}

// noteRoutes notes what the service of somebody else has in Traefik.
func (j *Judge) noteRoutes(service kargo.LiveService) {
	labelled(kargo.Service{Name: service.Name, Spec: service.Spec}, func(c claim, _ ...string) {
		j.routes[usualRoute(service.Name)] = service.Name
		switch {
		case c.kind == claimsName:
			j.routes[c.value] = service.Name
		case c.kind == claimsHost && c.value != anyHost:
			j.routes["host "+c.value] = service.Name
		}
	})
}

// crossings finds what a service claims in Traefik and somebody else's service has.
func (j *Judge) crossings(change kargo.Change) (all []finding) {
	labelled(kargo.Service{Name: change.Name, Spec: *change.Service}, func(c claim, _ ...string) {
		key := c.value
		if c.kind == claimsHost {
			key = "host " + c.value
		}
		if c.kind == claimsHost && c.value == anyHost && !strings.HasPrefix(strings.ToLower(c.label), "traefik.udp.") {
			if host, other := j.hostOfOthers(); other != "" {
				all = append(all, finding{service: change.Name, rule: ruleRoutes, value: anyHost, what: fmt.Sprintf(
					"claims requests to any host name by the label %s, so also those to %s, which %s has", c.label, host, other)})
			}
		}
		if other := j.routes[key]; other != "" && other != change.Name && (c.kind == claimsName || c.kind == claimsHost) {
			name := key[strings.LastIndex(key, " ")+1:]
			all = append(all, finding{service: change.Name, rule: ruleRoutes, value: name, what: fmt.Sprintf(
				"claims %q by the label %s, which %s has already", name, c.label, other)})
		}
	})
	return all
}

// hostOfOthers returns the first host name that somebody else's service has, and the service.
func (j *Judge) hostOfOthers() (host, service string) {
	for _, key := range slices.Sorted(maps.Keys(j.routes)) {
		if host, ok := strings.CutPrefix(key, "host "); ok {
			return host, j.routes[key]
		}
	}
	return "", ""
}

// hostsOfOldRule returns the hosts of a rule of Traefik 1.7: "Host:a,b;PathPrefix:/x".
func hostsOfOldRule(rule string) []string {
	for _, part := range strings.Split(rule, ";") {
		if name, list, _ := strings.Cut(part, ":"); strings.EqualFold(strings.TrimSpace(name), "host") {
			return plainHosts(strings.Split(list, ","))
		}
	}
	return []string{anyHost}
}

// plainHosts returns host names in lower case. One that is not plain can be any.
func plainHosts(names []string) (hosts []string) {
	for _, name := range names {
		name = strings.TrimSuffix(strings.ToLower(strings.TrimSpace(name)), ".") // Traefik takes both
		if name == "" || strings.ContainsAny(name, "*{}$ ") {
			return []string{anyHost}
		}
		hosts = append(hosts, name)
	}
	if len(hosts) == 0 {
		return []string{anyHost}
	}
	return hosts
}

// hostsOfRule returns the hosts of a rule of Traefik 2 or 3: "Host(`a`) && Path(`/x`)".
// A rule that is not understood can match any.
func hostsOfRule(rule string) []string {
	p := ruleParser{rest: rule}
	hosts, ok := p.either(0)
	if p.blanks(); !ok || p.rest != "" {
		return []string{anyHost}
	}
	slices.Sort(hosts)
	return slices.Compact(hosts)
}

// ruleParser reads a rule. Each of its methods returns the hosts that a part of the rule
// matches, at least: only anyHost if it does not name them.
type ruleParser struct{ rest string }

// deepest is how deep parts may be nested.
const deepest = 50

func (p *ruleParser) blanks() { p.rest = strings.TrimSpace(p.rest) }

func (p *ruleParser) take(token string) bool {
	p.blanks()
	rest, ok := strings.CutPrefix(p.rest, token)
	if ok {
		p.rest = rest
	}
	return ok
}

// either reads parts of which one must match.
func (p *ruleParser) either(depth int) (hosts []string, ok bool) {
	every := false
	for {
		part, ok := p.all(depth)
		if !ok {
			return nil, false
		}
		hosts, every = append(hosts, part...), every || slices.Contains(part, anyHost)
		if !p.take("||") {
			break
		}
	}
	if every {
		return []string{anyHost}, true
	}
	return hosts, true
}

// all reads parts that all must match.
func (p *ruleParser) all(depth int) (hosts []string, ok bool) {
	for {
		part, ok := p.one(depth)
		if !ok {
			return nil, false
		}
		if !slices.Contains(part, anyHost) {
			hosts = append(hosts, part...)
		}
		if !p.take("&&") {
			break
		}
	}
	if len(hosts) == 0 {
		return []string{anyHost}, true
	}
	return hosts, true
}

// one reads a matcher, one that must not match, or a rule in brackets.
func (p *ruleParser) one(depth int) (hosts []string, ok bool) {
	switch {
	case depth > deepest:
		return nil, false
	case p.take("!"):
		_, ok = p.one(depth + 1)
		return []string{anyHost}, ok
	case p.take("("):
		hosts, ok = p.either(depth + 1)
		return hosts, ok && p.take(")")
	}
	name, arguments, ok := p.matcher()
	switch strings.ToLower(name) {
	case "host", "hostsni", "hostheader":
		return plainHosts(arguments), ok
	}
	return []string{anyHost}, ok
}

// matcher reads a name and its arguments, in backticks or quotes.
func (p *ruleParser) matcher() (name string, arguments []string, ok bool) {
	p.blanks()
	end := strings.IndexFunc(p.rest, func(r rune) bool { return !unicode.IsLetter(r) })
	if end <= 0 {
		return "", nil, false
	}
	name, p.rest = p.rest[:end], p.rest[end:]
	if !p.take("(") {
		return "", nil, false
	}
	for !p.take(")") {
		quote := "`"
		if !p.take(quote) {
			if quote = `"`; !p.take(quote) {
				return "", nil, false
			}
		}
		argument, rest, closed := strings.Cut(p.rest, quote)
		if !closed || quote == `"` && strings.Contains(argument, `\`) {
			return "", nil, false
		}
		arguments, p.rest = append(arguments, argument), rest
		p.take(",")
	}
	return name, arguments, true
}
