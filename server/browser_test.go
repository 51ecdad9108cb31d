package server_test

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"kargo"
)

// chromium loads a page and returns the document as the browser has it, and
// what it wrote to its console.
func chromium(t *testing.T, url string) (document, console string) {
	t.Helper()
	binary, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal("chromium is not installed (apt-get install chromium, or run the tests with -short)")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, binary, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
		"--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
		"--disable-extensions", "--user-data-dir="+t.TempDir(), "--enable-logging=stderr", "--virtual-time-budget=2000",
		"--dump-dom", url)
	command.Env = append(os.Environ(), "HOME="+t.TempDir())
	var errors strings.Builder
	command.Stderr = &errors
	out, err := command.Output()
	if err != nil {
		t.Fatalf("chromium: %v\n%s", err, errors.String())
	}
	for line := range strings.Lines(errors.String()) {
		if strings.Contains(line, ":CONSOLE") {
			console += line
		}
	}
	return string(out), console
}

// TestBrowser loads the pages in a real browser, with the token as a person
// would give it: everything they need comes from here and nothing is blocked.
func TestBrowser(t *testing.T) {
	if testing.Short() {
		t.Skip("needs chromium")
	}
	for name, status := range map[string]kargo.Status{"healthy": healthy(), "troubled": troubled(), "starting": starting()} {
		t.Run(name, func(t *testing.T) {
			s, _ := newServer(status)
			var mu sync.Mutex
			answers := map[string]int{}
			handler := s.Handler()
			address, _ := serve(t, "127.0.0.1:0", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				recorder := &statusRecorder{ResponseWriter: w, status: http.StatusOK}
				handler.ServeHTTP(recorder, r)
				mu.Lock()
				defer mu.Unlock()
				answers[r.URL.Path] = recorder.status
			}))
			document, console := chromium(t, "http://kargo:"+token+"@"+address.String()+"/")
			wantText(t, "console", console, "")
			if !strings.Contains(document, `aria-label="Summary"`) || !strings.HasSuffix(strings.TrimSpace(document), "</html>") {
				t.Errorf("the document is not the page:\n%s", document)
			}
			mu.Lock()
			defer mu.Unlock()
			for _, path := range []string{"/", "/static/style.css", "/static/icon.svg"} {
				if answers[path] != http.StatusOK {
					t.Errorf("%s was answered with %d", path, answers[path])
				}
			}
		})
	}
}

// TestBrowserConsole proves that TestBrowser would see what is blocked.
func TestBrowserConsole(t *testing.T) {
	if testing.Short() {
		t.Skip("needs chromium")
	}
	address, _ := serve(t, "127.0.0.1:0", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'none'")
		_, _ = w.Write([]byte("<!DOCTYPE html><title>blocked</title><script>alert(1)</script>"))
	}))
	_, console := chromium(t, "http://"+address.String()+"/")
	if !strings.Contains(console, "Content Security Policy") {
		t.Errorf("the console says nothing of the blocked script: %q", console)
	}
}

// statusRecorder remembers the status of an answer.
type statusRecorder struct {
	http.ResponseWriter
	status int
}

func (r *statusRecorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}
