package merge

import (
	"fmt"
	"strings"

	"gopkg.in/yaml.v3"

	"kargo"
	"kargo/schedule"
)

const (
	keyFreeze = "freeze"
	// mostWindows and longestReason limit the freeze windows of a workspace.
	mostWindows   = 50
	longestReason = 200
)

// freeze reads the times in which nothing may change.
func (s *settingsReader) freeze(node *yaml.Node) {
	switch {
	case node.Kind != yaml.SequenceNode:
		s.fail(node, `- {cron: "0 18 * * FRI", duration: 60h, zone: Europe/Berlin, reason: the weekend}`, "%s is not a list of windows", keyFreeze)
		return
	case len(node.Content) > mostWindows:
		s.fail(node, "", "%s has more than %d windows", keyFreeze, mostWindows)
		return
	}
	for i, item := range node.Content {
		what, before := fmt.Sprintf("%s[%d]", keyFreeze, i), len(s.problems)
		window := kargo.FreezeWindow{Where: kargo.Place{File: settingsFile, Line: item.Line}}
		at := map[string]*yaml.Node{}
		text := func(key string, into *string) func(*yaml.Node) {
			return func(value *yaml.Node) {
				at[key] = value
				if value.Kind != yaml.ScalarNode || value.Value == "" || len(value.Value) > longestReason {
					s.fail(value, "", "%s.%s must be a text of at most %d characters", what, key, longestReason)
				}
				*into = value.Value
			}
		}
		s.mapping(item, what, map[string]func(*yaml.Node){
			"cron": text("cron", &window.Cron), "zone": text("zone", &window.Zone),
			"duration": text("duration", &window.Duration), "reason": text("reason", &window.Reason),
		})
		if len(s.problems) > before {
			continue
		}
		window.Reason = kargo.PrintableLine(window.Reason)
		if _, err := schedule.New(window); err != nil {
			key, _, _ := strings.Cut(err.Error(), ":")
			place := at[key]
			if place == nil {
				place = item
			}
			s.fail(place, "", "%s.%v", what, err)
			continue
		}
		s.ws.Freeze = append(s.ws.Freeze, window)
	}
}
