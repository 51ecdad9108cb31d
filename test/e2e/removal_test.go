package e2e_test

import (
	"slices"
	"strings"
	"testing"

	"kargo"
)

func TestStackThatLeavesIsRemovedServicesFirst(t *testing.T) {
	t.Parallel()
	eachSwarm(t, func(t *testing.T, s *scene) {
		w := s.workspace().file("configs/page.txt", "page\n").file("configs/key.txt", "key\n").
			stack("web", "site").service("site").
			stack("old", "app", "worker").
			service("app", replicas(1), config("/page.txt", "configs/page.txt")).
			service("worker", secret("key", "configs/key.txt"))
		s.begin(w)
		before, mark := s.services(), s.docker.mark()

		deployment := s.deploy(w.drop("old"))

		if deployment.Outcome != kargo.OutcomeSucceeded || deployment.Err != "" {
			t.Errorf("the deployment %s: %s", deployment.Outcome, deployment.Err)
		}
		if got, want := moved(before, s.services()), []string{s.service("old", "app"), s.service("old", "worker")}; !slices.Equal(got, want) {
			t.Errorf("moved are %v, want %v", got, want)
		}
		// An engine may still hold a network whose tasks have ended; then its
		// removal is refused, and tried again.
		same(t, "the order of removals", strings.Join(distinct(s.docker.writesSince(mark)), "\n"),
			"DELETE /services/{id}\nDELETE /networks/{id}\nDELETE /configs/{id}\nDELETE /secrets/{id}")
		same(t, "what is left", s.objects(), "network kargo-t-web_own\n"+
			"network t-back\nnetwork t-front\nnetwork t-socket\nservice kargo-t-web_site\n")
	})
}

// distinct keeps the first of equal entries.
func distinct(list []string) (kept []string) {
	for _, entry := range list {
		if !slices.Contains(kept, entry) {
			kept = append(kept, entry)
		}
	}
	return kept
}

func TestServiceThatLeavesItsStackIsRemovedAlone(t *testing.T) {
	t.Parallel()
	s := inMemory(t)
	w := s.workspace().stack("web", "site", "api").service("site").service("api")
	s.begin(w)
	before := s.services()
	got := s.deploy(w.stack("web", "site"))
	if moved := moved(before, s.services()); !slices.Equal(moved, []string{"kargo-t-web_api"}) {
		t.Errorf("moved are %v", moved)
	}
	if len(got.Changes) != 1 || got.Changes[0].String() != "remove service kargo-t-web_api: no longer in the workspace" {
		t.Errorf("the history says %v", got.Changes)
	}
}

func TestChangedFileRollsTheServicesThatUseIt(t *testing.T) {
	t.Parallel()
	eachSwarm(t, func(t *testing.T, s *scene) {
		const page = "configs/page.txt"
		w := s.workspace().stack("web", "site", "api").stack("app", "mirror").file(page, "one\n").
			service("site", config("/page.txt", page)).service("api").service("mirror", config("/page.txt", page))
		s.begin(w)
		users := []string{s.service("app", "mirror"), s.service("web", "site")}
		configs := func() (names []string) {
			for _, config := range s.live().Configs {
				names = append(names, config.Name)
			}
			return names
		}
		first := configs()

		before := s.services()
		s.deploy(w.file(page, "two\n"))
		if got := moved(before, s.services()); !slices.Equal(got, users) {
			t.Errorf("moved are %v, want %v", got, users)
		}
		second := configs()
		if len(second) != 4 || !slices.Contains(second, first[0]) || !slices.Contains(second, first[1]) {
			t.Errorf("configs are %v; %v must stay, a rollback needs them", second, first)
		}

		s.deploy(w.file(page, "three\n"))
		third := configs()
		if len(third) != 4 || slices.Contains(third, first[0]) || slices.Contains(third, first[1]) {
			t.Errorf("configs are %v; nothing needs %v any more", third, first)
		}
	})
}
