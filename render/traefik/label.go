package traefik

import (
	"strings"

	"kargo/pattern"
)

// oldPatterns are the labels that only Traefik 1.7 knew. Labels of segments,
// such as "traefik.<segment>.port", are among them.
var oldPatterns = pattern.Lazy(`^traefik\.(?:port|protocol|weight|domain|tags|backend|backend\..+|frontend\..+|` +
	`[^.]+\.(?:port|protocol|weight|frontend|frontend\..+|backend))$`)

// newSections are the second parts of labels that version 3 knows.
var newSections = pattern.Lazy(`^traefik\.(?:http|tcp|udp|tls|swarm)\.`)

func old(label string) bool {
	return oldPatterns().MatchString(label) && !newSections().MatchString(label)
}

// middlewareOptions are labels of 1.7, without "traefik.frontend.", that are one
// option of one middleware in version 3: what its name ends in, and the option.
var middlewareOptions = map[string][2]string{
	"auth.basic":                       {"auth", "basicauth.users"},
	"auth.basic.users":                 {"auth", "basicauth.users"},
	"auth.basic.removeHeader":          {"auth", "basicauth.removeheader"},
	"auth.digest.users":                {"auth", "digestauth.users"},
	"auth.digest.removeHeader":         {"auth", "digestauth.removeheader"},
	"auth.forward.address":             {"auth", "forwardauth.address"},
	"auth.forward.trustForwardHeader":  {"auth", "forwardauth.trustforwardheader"},
	"auth.forward.authResponseHeaders": {"auth", "forwardauth.authresponseheaders"},
	"whiteList.sourceRange":            {"allow", "ipallowlist.sourcerange"},
	"whitelistSourceRange":             {"allow", "ipallowlist.sourcerange"},
	"redirect.regex":                   {"redirect", "redirectregex.regex"},
	"redirect.replacement":             {"redirect", "redirectregex.replacement"},
	"headers.allowedHosts":             {"headers", "headers.allowedhosts"},
	"headers.hostsProxyHeaders":        {"headers", "headers.hostsproxyheaders"},
	"headers.STSSeconds":               {"headers", "headers.stsseconds"},
	"headers.STSIncludeSubdomains":     {"headers", "headers.stsincludesubdomains"},
	"headers.STSPreload":               {"headers", "headers.stspreload"},
	"headers.forceSTSHeader":           {"headers", "headers.forcestsheader"},
	"headers.frameDeny":                {"headers", "headers.framedeny"},
	"headers.customFrameOptionsValue":  {"headers", "headers.customframeoptionsvalue"},
	"headers.contentTypeNosniff":       {"headers", "headers.contenttypenosniff"},
	"headers.browserXSSFilter":         {"headers", "headers.browserxssfilter"},
	"headers.customBrowserXSSValue":    {"headers", "headers.custombrowserxssvalue"},
	"headers.contentSecurityPolicy":    {"headers", "headers.contentsecuritypolicy"},
	"headers.publicKey":                {"headers", "headers.publickey"},
	"headers.referrerPolicy":           {"headers", "headers.referrerpolicy"},
	"headers.isDevelopment":            {"headers", "headers.isdevelopment"},
}

// balancerOptions are labels of 1.7, without "traefik.", that are one option of
// the load balancer in version 3.
var balancerOptions = map[string]string{
	"port":                            "server.port",
	"protocol":                        "server.scheme",
	"frontend.passHostHeader":         "passhostheader",
	"backend.loadbalancer.stickiness": "sticky.cookie",
	"backend.loadbalancer.sticky":     "sticky.cookie",
	"backend.loadbalancer.stickiness.cookieName": "sticky.cookie.name",
	"backend.healthcheck.path":                   "healthcheck.path",
	"backend.healthcheck.port":                   "healthcheck.port",
	"backend.healthcheck.interval":               "healthcheck.interval",
	"backend.healthcheck.timeout":                "healthcheck.timeout",
	"backend.healthcheck.scheme":                 "healthcheck.scheme",
	"backend.healthcheck.hostname":               "healthcheck.hostname",
}

// translate translates one label of 1.7. It returns the names of the labels of
// version 3, none where version 3 does not need the label, and reports whether
// the label could be translated.
func (r *Route) translate(label, value string) (counts []string, ok bool) {
	name := strings.TrimPrefix(label, "traefik.")
	option := strings.TrimPrefix(name, "frontend.")
	switch name {
	case "backend":
		return nil, true // it named the router
	case "backend.loadbalancer.swarm":
		return []string{r.set("traefik.swarm.lbswarm", value)}, true
	case "backend.loadbalancer.stickiness", "backend.loadbalancer.sticky":
		if value != "true" {
			return nil, true
		}
		return []string{r.balancer("sticky.cookie", value)}, true
	case "backend.loadbalancer.method":
		return nil, value == "wrr"
	case "tags":
		return nil, true
	case "frontend.redirect.entryPoint", "frontend.redirect", "frontend.headers.SSLRedirect":
		return nil, value == "https" || value == "true" // all of http goes on to https
	case "frontend.rule":
		return r.rule(value)
	case "frontend.priority":
		return []string{r.router("priority", value)}, true
	case "frontend.entryPoints":
		return r.entryPoints(value), true
	case "frontend.redirect.permanent":
		return []string{r.set("traefik.http.middlewares."+r.name+"-redirect.redirectregex.permanent", value)}, true
	case "frontend.headers.customRequestHeaders", "frontend.headers.customResponseHeaders", "frontend.headers.SSLProxyHeaders":
		return r.headers(strings.ToLower(strings.TrimPrefix(option, "headers.")), value), true
	}
	if field, known := balancerOptions[name]; known {
		return []string{r.balancer(field, value)}, true
	}
	if middleware, known := middlewareOptions[option]; known {
		return []string{r.middleware(middleware[0], middleware[1], value)}, true
	}
	return r.errorPage(option, value)
}

// entryPoints sets those of the router. A router on https needs a certificate;
// the entry point http itself redirects to https.
func (r *Route) entryPoints(value string) []string {
	names := splitList(value)
	kept := names[:0:0]
	tls := false
	for _, name := range names {
		tls = tls || name == "https"
	}
	for _, name := range names {
		if !tls || name != "http" {
			kept = append(kept, name)
		}
	}
	counts := []string{r.router("entrypoints", strings.Join(kept, ","))}
	if tls {
		counts = append(counts, r.tls()...)
	}
	return counts
}

// resolver is the catalogue's certificate resolver (traefik.yml.tpl).
const resolver = "acme"

func (r *Route) tls() []string {
	return []string{r.router("tls", "true"), r.router("tls.certresolver", resolver)}
}

// headers translates "Name:value||Other:value".
func (r *Route) headers(kind, value string) []string {
	var counts []string
	for _, header := range strings.Split(value, "||") {
		if name, content, ok := strings.Cut(header, ":"); ok {
			counts = append(counts, r.middleware("headers", "headers."+kind+"."+strings.TrimSpace(name), strings.TrimSpace(content)))
		}
	}
	return counts
}

// errorPage translates "errors.<name>.backend", ".query" and ".status".
func (r *Route) errorPage(option, value string) ([]string, bool) {
	parts := strings.Split(option, ".")
	if len(parts) != 3 || parts[0] != "errors" {
		return nil, false
	}
	field, known := map[string]string{"backend": "service", "query": "query", "status": "status"}[parts[2]]
	if !known {
		return nil, false
	}
	return []string{r.middleware(parts[1], "errors."+field, value)}, true
}

// splitList splits at commas.
func splitList(value string) []string {
	var list []string
	for _, entry := range strings.Split(value, ",") {
		if entry = strings.TrimSpace(entry); entry != "" {
			list = append(list, entry)
		}
	}
	return list
}
