package e2e_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Somebody removes the data directory while the controller runs. The services stay, and the
// commands and the API work again soon, with a new token: nobody waits for the next commit.
func TestTheDataDirectoryIsRemoved(t *testing.T) {
	t.Parallel()
	s := inMemory(t)
	s.begin(s.workspace().stack("web", "site").service("site"))
	before := s.services()
	tokenFile := filepath.Join(s.data, ".kargo-state", "api-token")
	first, err := os.ReadFile(tokenFile)
	if err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(s.data)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if err := os.RemoveAll(filepath.Join(s.data, entry.Name())); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "kargo status responds", func() bool { return s.cli("status").code == 0 })
	ask := func(token []byte) int {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.address()+"/api/v1/status", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		return answer.StatusCode
	}
	if code := ask(first); code != http.StatusUnauthorized {
		t.Errorf("the token of the removed file: %d", code)
	}
	next, err := os.ReadFile(tokenFile)
	if err != nil {
		t.Fatal(err)
	}
	if code := ask(next); code != http.StatusOK {
		t.Errorf("the new token: %d", code)
	}
	if moved := moved(before, s.services()); len(moved) > 0 {
		t.Errorf("moved are %v", moved)
	}
	s.deploy(s.workspace().stack("web", "site").service("site", environment("A=2")))
}
