package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kargo/swarm/swarmtest"
	"kargo/test/browser"
)

// visitor opens a page of the controller in a browser and signs in.
func (s *scene) visitor(path string) *browser.Page {
	s.t.Helper()
	token, err := os.ReadFile(filepath.Join(s.data, ".kargo-state", "api-token"))
	if err != nil {
		s.t.Fatal(err)
	}
	page := browser.Start(s.t).Page(s.t)
	page.Open(s.address() + path)
	page.Type("#name", "ada")
	page.Type("#token", strings.TrimSpace(string(token)))
	page.Click("button")
	page.Wait("document.querySelector('.who')")
	page.Console() // the page at which people sign in comes with a status
	return page
}

// confirm gives a reason on the page of an action, and sends it.
func confirm(page *browser.Page, reason string) {
	page.Wait("document.querySelector('#reason')")
	page.Type("#reason", reason)
	page.Click("button.main")
}

// A person watches a rollout and its failure without a reload, reads why it failed, and
// has the stack go back, which it stays over a new commit.
func TestPageOfAStack(t *testing.T) {
	t.Run("on the engine", func(t *testing.T) {
		t.Parallel()
		watchAndGoBack(t, onDocker(t), command("exit 7"))
	})
	t.Run("in memory", func(t *testing.T) {
		if testing.Short() {
			t.Skip("needs chromium")
		}
		t.Parallel()
		s := inMemory(t)
		s.memory.Image("kargo/crashes:1", swarmtest.Behaviour{Exits: true, ExitCode: 7})
		watchAndGoBack(t, s, image("kargo/crashes:1"))
	})
}

// watchAndGoBack is that visit. broken makes a service crash.
func watchAndGoBack(t *testing.T, s *scene, broken func(*compose)) {
	w := s.workspace()
	w.stack("shop", "shop").service("shop", replicas(2))
	s.begin(w)
	page := s.visitor("/stacks/" + s.prefix + "-shop")
	page.WaitText("kargo/testserver:1")
	page.Run("window.mine = true", nil)

	w.service("shop", replicas(2), image("kargo/testserver:2"))
	second := s.repo.commit(w)
	s.sync()
	page.WaitText("kargo/testserver:2")
	page.Wait("document.title.includes('-shop well')")
	page.WaitText(second[:12])

	w.service("shop", replicas(2), broken)
	s.repo.commit(w)
	s.sync()
	page.WaitText("non-zero exit (7)")
	page.Wait("document.title.includes('-shop failed')")
	var same bool
	if page.Run("window.mine === true", &same); !same {
		t.Error("the page was loaded again")
	}

	page.Open(s.address() + "/actions/rollback?stack=" + s.prefix + "-shop&to=1")
	page.WaitText(`image "kargo/testserver:2" → "kargo/testserver:1"`)
	confirm(page, "it crashes")
	page.WaitText("The stack goes back.")
	page.WaitText("went back to")
	page.WaitText("it crashes")
	page.WaitText("kargo/testserver:1")

	w.service("shop", replicas(2), image("kargo/testserver:3"))
	s.repo.commit(w)
	s.awaitRound(s.sync)
	page.WaitText("Commit 4") // in the history, and what runs stays
	if text := page.Text(".sheet table"); !strings.Contains(text, "kargo/testserver:1") {
		t.Errorf("the stack did not stay:\n%s", text)
	}
	if history := page.Text("section[aria-labelledby=history]"); !strings.Contains(history, "went back to") || !strings.Contains(history, "by ada") {
		t.Errorf("the history does not say who had the stack go back:\n%s", history)
	}
	if console := page.Console(); console != "" {
		t.Errorf("console: %s", console)
	}
}

// A person looks at the removal of many stacks and approves it.
func TestPageApproves(t *testing.T) {
	t.Run("on the engine", func(t *testing.T) {
		t.Parallel()
		lookAndApprove(t, onDocker(t))
	})
	t.Run("in memory", func(t *testing.T) {
		if testing.Short() {
			t.Skip("needs chromium")
		}
		t.Parallel()
		lookAndApprove(t, inMemory(t))
	})
}

// lookAndApprove is that visit.
func lookAndApprove(t *testing.T, s *scene) {
	w := s.workspace()
	for _, name := range []string{"one", "two", "three", "four"} {
		w.stack(name, name).service(name)
	}
	s.begin(w)
	page := s.visitor("/")
	page.Wait("document.title.startsWith('In sync')")
	w.drop("two").drop("three").drop("four")
	s.repo.commit(w)
	s.sync()
	page.ClickText("Look, and approve")
	page.WaitText("3 of 4 stacks would be removed")
	confirm(page, "moved to another Swarm")
	page.WaitText("The plan was approved.")
	page.Wait("document.title.startsWith('In sync')")
	page.WaitText(s.prefix + "-one is well.")
	page.ClickText("History")
	page.WaitText("moved to another Swarm")
	if console := page.Console(); console != "" {
		t.Errorf("console: %s", console)
	}
}

// Of 300 stacks a person finds one by typing, and sees the one that failed first. The
// page is small.
func TestPageOf300Stacks(t *testing.T) {
	t.Run("on the engine", func(t *testing.T) {
		t.Parallel()
		findOneOf300(t, onDocker(t), command("serve -crash-after 100ms -crash-code 7"))
	})
	t.Run("in memory", func(t *testing.T) {
		if testing.Short() {
			t.Skip("needs chromium")
		}
		t.Parallel()
		s := inMemory(t)
		s.memory.Image("kargo/crashes:1", swarmtest.Behaviour{Exits: true, ExitCode: 7})
		findOneOf300(t, s, image("kargo/crashes:1"))
	})
}

// findOneOf300 is that visit. Crashes makes a service fail. No other service has a task,
// for 300 of them would keep an engine busy.
func findOneOf300(t *testing.T, s *scene, crashes func(*compose)) {
	w := s.workspace()
	for n := range 300 {
		name := fmt.Sprintf("app%d", n)
		w.stack(name, name).service(name, replicas(0), networks("back"))
	}
	s.begin(w)
	w.service("app150", replicas(1), networks("back"), crashes)
	s.repo.commit(w)
	s.sync()
	page := s.visitor("/")
	page.Wait("document.title.startsWith('(1) Failed')")
	if first := page.Text("#groups article h3"); first != s.prefix+"-app150" {
		t.Errorf("first comes %q", first)
	}
	page.Type("#q", "app299")
	page.Wait("document.querySelectorAll('#groups tbody tr').length === 1")
	if found := page.Text("#groups tbody th"); found != s.prefix+"-app299" {
		t.Errorf("found was %q", found)
	}
	if console := page.Console(); console != "" {
		t.Errorf("console: %s", console)
	}
	var size int
	page.Open(s.address() + "/")
	if page.Run("performance.getEntriesByType('navigation')[0].encodedBodySize", &size); size == 0 || size > 100_000 {
		t.Errorf("the page has %d bytes as it is sent", size)
	}
}

// The page of a stack leads to where each of its values comes from, in the words of the
// command.
func TestPageSaysWhereValuesComeFrom(t *testing.T) {
	t.Parallel()
	s := inMemory(t)
	w := s.workspace().stack("web", "site").set("LEVEL", "debug").service("site", replicas(1), environment("LOG=${LEVEL}"))
	s.begin(w)
	stack, err := s.get("/stacks/t-web")
	if err != nil || !strings.Contains(string(stack), `href="/stacks/t-web/why"`) {
		t.Errorf("the page of the stack has no link to it: %v\n%s", err, stack)
	}
	why, err := s.get("/stacks/t-web/why")
	if err != nil {
		t.Fatal(err)
	}
	page, printed := string(why), run(t, "/", nil, "why", "--workspace", s.repo.dir, "t-web", "--all").String()
	for _, want := range []string{"environment.LOG", "LEVEL", "deploy/site.yml:"} {
		if !strings.Contains(page, want) || !strings.Contains(printed, want) {
			t.Errorf("%q is missing in the page, or in what is printed:\n%s\n%s", want, page, printed)
		}
	}
}

// No page shows a secret: what is rendered, compared and previewed is masked.
func TestS17_PagesShowNoSecret(t *testing.T) {
	t.Parallel()
	s := inMemory(t)
	w := s.workspace().stack("web", "site", "db").set("DB_PASSWORD", planted["variable"]).
		service("site", replicas(1), environment("DB_PASSWORD=${DB_PASSWORD}", "DB_URL=postgres://app:${DB_PASSWORD}@db/app"),
			command("serve --password ${DB_PASSWORD}"), config("/app.conf", "configs/app.conf")).
		service("db", replicas(1), secret("db", "configs/db.txt")).
		file("configs/app.conf.tpl", "level = info\npassword = "+planted["content of a config"]+" $DB_PASSWORD\n").
		file("configs/db.txt", planted["content of a secret"]+"\n")
	s.begin(w)
	s.deploy(w.set("DB_PASSWORD", planted["variable, renewed"]))
	compared, err := s.get("/compare?from=1&to=2")
	if err != nil || !strings.Contains(string(compared), "password = ***") || !strings.Contains(string(compared), "level = info") {
		t.Errorf("the changed config is not compared line by line: %v\n%s", err, compared)
	}
	for _, path := range []string{"/", "/stacks/t-web", "/stacks/t-web/rendering", "/stacks/t-web/why", "/api/v1/why?of=t-web&all=true", "/compare", "/compare?from=1&to=2", "/nodes", "/settings",
		"/deployments", "/deployments/2", "/revisions/" + s.repo.hashes[1], "/actions/sync", "/actions/rollback?stack=t-web", "/actions/hold?stack=t-web"} {
		page, err := s.get(path)
		if err != nil {
			t.Error(err)
		}
		for what, secret := range planted {
			if strings.Contains(string(page), secret) {
				t.Errorf("%s shows the %s", path, what)
			}
		}
	}
}
