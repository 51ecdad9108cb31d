package main

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"kargo/swarm/swarmtest"
)

// inGuide is what differs from run to run, and what the guide has in its place.
var inGuide = []struct {
	pattern *regexp.Regexp
	plain   string
}{
	{regexp.MustCompile(`20\d\d-\d\d-\d\d \d\d:\d\d:\d\d`), "2026-11-26 09:30:00"},
	{regexp.MustCompile(`20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ`), "2026-11-26T09:30:00Z"},
	{regexp.MustCompile(`\b[0-9.]+(µs|ms|s|m[0-9.]+s) ago`), "8s ago"},
	{regexp.MustCompile(`\btook [0-9.]+(µs|ms|s|m[0-9.]+s)`), "took 2.1s"},
	{regexp.MustCompile(`\bfor \d(s +)`), "for 9$1"}, // as wide as before, so that columns stay where they are
	{regexp.MustCompile(`\bfor \d\d(s +) `), "for 9$1  "},
	{regexp.MustCompile(`\bfor \d+s`), "for 9s"},
	{regexp.MustCompile(`_page-[0-9a-f]{12}\b`), "_page-6de0e86f01e5"}, // it depends on a key
	{regexp.MustCompile(`\bplan [0-9a-f]{12}\b`), "plan 8c9aa0c59fb6"},
	{regexp.MustCompile(` +\n`), "\n"},
}

// answers compares the answer to one question in the guide with what commands print.
func (s *operatorsSite) answers(t *testing.T, question string, commands ...string) {
	t.Helper()
	text := "```\n"
	for i, command := range commands {
		args := shellWords(command)
		if !strings.Contains(command, "--workspace") {
			args = append(args, "--data", "data")
		}
		_, stdout, stderr := s.kargo(t, args...)
		if stderr != "" {
			t.Errorf("kargo %s says: %s", command, stderr)
		}
		if i > 0 {
			text += "\n"
		}
		text += "$ kargo " + command + "\n" + strings.ReplaceAll(stdout, s.dir+"/repo", "https://git.example/ops/platform.git")
	}
	text += "```\n"
	for _, change := range inGuide {
		text = change.pattern.ReplaceAllString(text, change.plain)
	}
	replaceInGuide(t, fmt.Sprintf("answer: %s", question), text)
}

// shellWords splits a command line at blanks; quotes keep some together.
func shellWords(line string) (words []string) {
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			words = append(words, part)
			continue
		}
		words = append(words, strings.Fields(part)...)
	}
	return words
}

// TestGuideAnswersTheTenQuestions plays a day of an operator, and asks the ten questions of
// docs/operating.md: the guide has what the program printed. With -update it is written.
func TestGuideAnswersTheTenQuestions(t *testing.T) {
	service := func(name, image, more string) string {
		return "deploy/" + name + ".yml=services:\n  " + name + ":\n    image: " + image + "\n" + more +
			"    deploy: {update_config: {monitor: 1ms, failure_action: rollback}}\n"
	}
	web := func(image, greeting string) string {
		return service("web", image, "    environment: {GREETING: "+greeting+"}\n    configs: [page]\n") + "configs: {page: {file: ./page.html}}\n"
	}
	site := newOperatorsSite(t, ".env=STACKS=\"shop crm mail\"\nSHOP_STACK=web\nCRM_STACK=crm\nMAIL_STACK=mail\nSHOP_STABLE=50ms\nCRM_STABLE=50ms\nMAIL_STABLE=50ms\n",
		web("shop:1", "hello"), "deploy/page.html=<h1>Shop</h1>\n", service("crm", "crm:1", ""), service("mail", "mail:1", ""))
	// push waits until its deployment has ended: another one would supersede it.
	push := func(author, subject, number, outcome string, files ...string) {
		t.Helper()
		site.write(t, files...)
		site.commit(t, author, subject)
		site.kargo(t, "sync", "--data", "data")
		site.until(t, "\n"+number+" ", "history", "--data", "data")
		site.until(t, "\n"+outcome+", started", "history", number, "--data", "data")
	}
	push("Ben", "Greet in Italian", "2", "succeeded", web("shop:2", "ciao"))
	site.until(t, "all 3 stacks are well", "status", "--data", "data")
	site.engine.Image("crm:2", swarmtest.Behaviour{Exits: true, ExitCode: 1})
	push("Cleo", "Update the crm", "3", "failed", service("crm", "crm:2", ""))
	site.until(t, "2 of 3 stacks are well; crm failed and runs", "status", "--data", "data")

	site.answers(t, "what runs?", "status")
	site.answers(t, "since when?", "status shop")
	site.answers(t, "which commit?", "history --stack shop -n 1")
	site.answers(t, "who?", "history")
	site.answers(t, "why was it deployed again?", "history 2")
	site.answers(t, "what differs from git?", "diff")
	site.answers(t, "what failed?", "status crm")
	site.answers(t, "what will the next sync do?", "plan")
	site.write(t, service("crm", "crm:1", ""), service("mail", "mail:1", "    environment: {QUOTA: 2G}\n"))
	site.answers(t, "is it safe to touch?", "plan --workspace repo")
	site.answers(t, "how do I go back and stay?", "rollback shop", "rollback shop --yes --reason 'orders fail'")
}
