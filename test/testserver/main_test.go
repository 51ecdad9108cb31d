package main

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func environment(pairs map[string]string) func(string) string {
	return func(name string) string { return pairs[name] }
}

func TestSwitchesComeFromTheEnvironmentAndFlagsOverrule(t *testing.T) {
	s, err := parseSwitches([]string{"-version", "flag", "-crash-after", "0s"}, environment(map[string]string{
		"TESTSERVER_VERSION":         "environment",
		"TESTSERVER_UNHEALTHY_AFTER": "3s",
		"TESTSERVER_CRASH_CODE":      "42",
	}))
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Join([]string{s.version, s.unhealthyAfter.String(), s.crashAfter.String(), s.slowStart.String()}, " ")
	if want := "flag 3s 0s never"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if s.crashCode != 42 {
		t.Errorf("crash code is %d, want 42", s.crashCode)
	}
}

func TestAWrongSwitchNamesItsVariable(t *testing.T) {
	_, err := parseSwitches(nil, environment(map[string]string{"TESTSERVER_SLOW_START": "soon"}))
	if err == nil || !strings.Contains(err.Error(), "TESTSERVER_SLOW_START") {
		t.Errorf("got %v, want an error that names the variable", err)
	}
}

// fetch returns the status and body of a page.
func fetch(handler http.Handler, path string) (int, string) {
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, path, nil))
	return recorder.Code, recorder.Body.String()
}

func TestPages(t *testing.T) {
	file := filepath.Join(t.TempDir(), "configuration")
	if err := os.WriteFile(file, []byte("from a config"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TESTSERVER_SHOWN", "yes")
	handler := newHandler(switches{version: "7"})
	for _, page := range []struct{ path, contains string }{
		{"/", "version=7 host="},
		{"/health", "ok"},
		{"/env", "TESTSERVER_SHOWN=yes"},
		{"/file?p=" + file, "from a config"},
	} {
		if code, body := fetch(handler, page.path); code != http.StatusOK || !strings.Contains(body, page.contains) {
			t.Errorf("%s: got %d %q, want 200 with %q", page.path, code, body, page.contains)
		}
	}
	if code, _ := fetch(handler, "/unknown"); code != http.StatusNotFound {
		t.Errorf("/unknown: got %d, want 404", code)
	}
}

func TestHealthFollowsFailAndRecover(t *testing.T) {
	handler := newHandler(switches{})
	for _, step := range []struct {
		path string
		want int
	}{{"/fail", http.StatusServiceUnavailable}, {"/recover", http.StatusOK}} {
		fetch(handler, step.path)
		if code, _ := fetch(handler, "/health"); code != step.want {
			t.Errorf("health after %s: got %d, want %d", step.path, code, step.want)
		}
	}
}

func TestGetIsTheHealthCheck(t *testing.T) {
	server := httptest.NewServer(newHandler(switches{}))
	defer server.Close()
	t.Setenv("TESTSERVER_ADDR", server.Listener.Addr().String())

	var out strings.Builder
	if err := run(context.Background(), []string{"get"}, &out); err != nil || out.String() != "ok\n" {
		t.Errorf("healthy: got %v and %q", err, out.String())
	}
	fetch(server.Config.Handler, "/fail")
	if err := run(context.Background(), []string{"get"}, &out); err == nil {
		t.Error("unhealthy: want an error")
	}
}

func TestServeCrashesWithItsCode(t *testing.T) {
	args := []string{"serve", "-addr", "127.0.0.1:0", "-crash-after", "0s", "-crash-code", "3"}
	assertExit(t, run(context.Background(), args, &strings.Builder{}), 3)
}

func TestServeCrashesDuringASlowStart(t *testing.T) {
	args := []string{"-slow-start", "1h", "-crash-after", "0s", "-crash-code", "4"}
	assertExit(t, run(context.Background(), args, &strings.Builder{}), 4)
}

func TestServeEndsWhenAsked(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var out strings.Builder
	if err := run(ctx, []string{"-addr", "127.0.0.1:0"}, &out); err != nil {
		t.Error(err)
	}
	if !strings.Contains(out.String(), "listens on 127.0.0.1:") {
		t.Errorf("got %q, want the address", out.String())
	}
}

func TestPrintAndExit(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := run(context.Background(), []string{"print", file, file}, &out); err != nil || out.String() != "texttext" {
		t.Errorf("print: got %v and %q", err, out.String())
	}
	assertExit(t, run(context.Background(), []string{"exit", "5", "1ms"}, &out), 5)
	if err := run(context.Background(), []string{"exit", "0"}, &out); err != nil {
		t.Errorf("exit 0: got %v", err)
	}
	if err := run(context.Background(), []string{"dance"}, &out); err == nil {
		t.Error("an unknown command: want an error")
	}
}

func assertExit(t *testing.T, err error, want int) {
	t.Helper()
	var status exitStatus
	if !errors.As(err, &status) || int(status) != want {
		t.Errorf("got %v, want exit status %d", err, want)
	}
}
