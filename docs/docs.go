// Package docs carries the guide to the catalogue, docs/catalogue.md, so that
// the program can say what the guide says: there is one text for both.
package docs

import (
	_ "embed" // the guide
	"strings"

	"kargo/pattern"
)

//go:embed catalogue.md
var catalogue string

// Service is what the guide says of a service of the catalogue.
type Service struct {
	Name    string // as a stack lists it: "redis"
	Group   string // the heading that it stands under
	Summary string // what for, in a few words
	Needs   string // what must be there, in a sentence
	Text    string // all that stands under its heading, but for the variables
}

// Variable is one row of the guide's tables.
type Variable struct {
	Name     string
	Default  string
	Required bool
	Meaning  string
}

// Guide is the guide to the catalogue.
type Guide struct {
	Services  []Service // in the guide's order
	Variables []Variable
}

var (
	summaryRow  = pattern.Lazy(`^\| \[([^\]]+)\]\(#[^)]*\) \| ([^|]*) \|`)
	variableRow = pattern.Lazy("^\\| `([A-Z0-9_]+)` \\| (required|empty|`[^`]*`) \\| (.*) \\|$")
	blankLines  = pattern.Lazy(`\n{3,}`) // where a table was
	sentence    = pattern.Lazy(`Needs: (.*?)(?: Offers: .*)?$`)
)

// Catalogue reads the guide.
func Catalogue() Guide { return parse(catalogue) }

func parse(text string) Guide {
	var guide Guide
	summaries := map[string]string{}
	group, groupText := "", ""
	var service *Service
	ofVariables := false // the table at hand
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.HasPrefix(line, "## "):
			group, groupText, service = strings.TrimPrefix(line, "## "), "", nil
		case strings.HasPrefix(line, "### "):
			guide.Services = append(guide.Services, Service{
				Name: strings.TrimPrefix(line, "### "), Group: group, Needs: needs(groupText),
			})
			service = &guide.Services[len(guide.Services)-1]
		case strings.HasPrefix(line, "| variable |"):
			ofVariables = true
		case ofVariables && strings.HasPrefix(line, "|"):
			if row := variableRow().FindStringSubmatch(line); row != nil {
				guide.Variables = append(guide.Variables, variable(row))
			}
		case service != nil:
			ofVariables = false
			service.Text += line + "\n"
		default:
			ofVariables = false
			groupText += line + "\n"
			if row := summaryRow().FindStringSubmatch(line); row != nil {
				summaries[row[1]] = row[2]
			}
		}
	}
	for i := range guide.Services {
		guide.Services[i].complete(summaries)
	}
	return guide
}

func variable(row []string) Variable {
	return Variable{
		Name: row[1], Default: strings.Trim(strings.TrimPrefix(strings.TrimPrefix(row[2], "required"), "empty"), "`"),
		Required: row[2] == "required", Meaning: strings.ReplaceAll(row[3], `\|`, "|"),
	}
}

// complete fills in what is taken from the service's text, and from the table
// of its group.
func (s *Service) complete(summaries map[string]string) {
	s.Summary = summaries[s.Name]
	s.Text = blankLines().ReplaceAllString(strings.TrimSpace(s.Text), "\n\n")
	if own := needs(s.Text); own != "" {
		s.Needs = own
	}
}

// needs returns what a text names as needed, as in "Needs: a node. Offers: …".
func needs(text string) string {
	for _, paragraph := range strings.Split(text, "\n\n") {
		if match := sentence().FindStringSubmatch(oneLine(paragraph)); match != nil {
			return match[1]
		}
	}
	return ""
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
