package traefik_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"kargo/render/traefik"
)

// Rules of Traefik 1.7, and what they come to.
func TestOldRules(t *testing.T) {
	for rule, want := range map[string]string{
		"Host:a.org":                         "rule=Host(`a.org`)",
		"Host:a.org, b.org":                  "rule=Host(`a.org`) || Host(`b.org`)",
		"Host:a.org,b.org;PathPrefix:/x":     "rule=(Host(`a.org`) || Host(`b.org`)) && PathPrefix(`/x`)",
		"Host:a.org;Path:/x/{id}":            "rule=Host(`a.org`) && PathRegexp(`^/x/[^/]+$`)",
		"HostRegexp:{sub:[a-z]+}.a.org":      "rule=HostRegexp(`^(?:[a-z]+)\\.a\\.org$`)",
		"HostRegexp:{any:.*}":                "rule=HostRegexp(`^(?:.*)$`)",
		"PathPrefixStrip:/a,/b":              "app-strip.stripprefix.prefixes=/a,/b middlewares=app-strip rule=PathPrefix(`/a`) || PathPrefix(`/b`)",
		"PathStrip:/a":                       "app-strip.stripprefix.prefixes=/a middlewares=app-strip rule=Path(`/a`)",
		"PathPrefixStripRegex:/v{n:[0-9]+}":  "app-strip.stripprefixregex.regex=^/v(?:[0-9]+) middlewares=app-strip rule=PathRegexp(`^/v(?:[0-9]+)`)",
		"Host:a.org;AddPrefix:/x":            "app-prefix.addprefix.prefix=/x middlewares=app-prefix rule=Host(`a.org`)",
		"Host:a.org;ReplacePath:/x":          "app-path.replacepath.path=/x middlewares=app-path rule=Host(`a.org`)",
		"Host:a.org;ReplacePathRegex:^/a /b": "app-path.replacepathregex.regex=^/a app-path.replacepathregex.replacement=/b middlewares=app-path rule=Host(`a.org`)",
		"Method:GET,POST":                    "rule=Method(`GET`) || Method(`POST`)",
		"Headers:X-A,b":                      "rule=Header(`X-A`, `b`)",
		"HeadersRegexp:X-A,b.*":              "rule=HeaderRegexp(`X-A`, `b.*`)",
		"Query:a=b":                          "rule=Query(`a`, `b`)",
		"AddPrefix:/only":                    "untranslated",
		"Host":                               "untranslated",
		"Host:":                              "untranslated",
		"Host:a`) || PathPrefix(`/":          "untranslated",
		"":                                   "untranslated",
	} {
		t.Run(rule, func(t *testing.T) {
			labels, notices := traefik.NewRoute("app").Add(map[string]string{"traefik.frontend.rule": rule})
			var got []string
			for _, name := range slices.Sorted(maps.Keys(labels)) {
				for _, prefix := range []string{"traefik.http.routers.app.", "traefik.http.middlewares."} {
					short, ok := strings.CutPrefix(name, prefix)
					if ok && short != "entrypoints" && !strings.HasPrefix(short, "tls") {
						got = append(got, short+"="+labels[name])
					}
				}
			}
			if len(notices) != 1 || notices[0].Unknown {
				got = []string{"untranslated"}
			}
			if text := strings.Join(got, " "); text != want {
				t.Errorf("got  %s\nwant %s", text, want)
			}
		})
	}
}
