package e2e_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

func TestSignalAndCommandNudge(t *testing.T) {
	t.Parallel()
	s := inMemory(t)
	w := s.workspace().stack("web", "site").service("site", environment("GREETING=${GREETING}")).set("GREETING", "hello")
	if got := s.begin(w); got.Trigger != "start" {
		t.Errorf("the first deployment was triggered by %q", got.Trigger)
	}
	if got := s.deploy(w.set("GREETING", "hi")); got.Trigger != "sync" {
		t.Errorf("the second deployment was triggered by %q", got.Trigger)
	}
	commit := s.repo.commit(w.set("GREETING", "good evening"))
	s.signal(syscall.SIGHUP)
	if got := s.awaitDeployment(commit); got.Trigger != "SIGHUP" {
		t.Errorf("the third deployment was triggered by %q", got.Trigger)
	}
}

const webhookSecret = "planted-webhook-secret"

// webhookSecretFile is the option that gives a controller its secret.
func webhookSecretFile(t testing.TB) []string {
	path := filepath.Join(shortTempDir(t), "webhook-secret")
	writeFile(t, path, webhookSecret+"\n")
	return []string{"--webhook-secret-file", path}
}

func TestPushNudgesThroughAWebhook(t *testing.T) {
	t.Parallel()
	for _, forge := range []string{"github", "gitlab", "gitea", "generic"} {
		t.Run(forge, func(t *testing.T) {
			t.Parallel()
			s, path := onGitHost(t, webhookSecretFile(t)...)
			w := s.workspace().stack("web", "site").service("site")
			first := s.repo.commit(w)
			s.repo.push()
			s.start()
			s.awaitDeployment(first)

			hook := func(secret string) {
				newGitHost(t).run("hook", newGitHost(t).dir, path, s.address()+"/hooks/"+forge, secret, forge)
			}
			hook("not the secret")
			s.repo.commit(w.file("README.md", "refused\n"))
			rounds := s.status().Rounds
			s.repo.push() // returns when the hook was answered
			if got := s.status(); got.Rounds != rounds {
				t.Error("a webhook with the wrong secret made a round")
			}

			hook(webhookSecret)
			commit := s.repo.commit(w.file("README.md", "accepted\n"))
			s.repo.push()
			if got := s.awaitDeployment(commit); !strings.HasPrefix(got.Trigger, "webhook "+forge+", ") {
				t.Errorf("the deployment was triggered by %q", got.Trigger)
			}
		})
	}
}

// deliver sends a signed webhook and returns the status.
func (s *scene) deliver(body, secret string) int {
	s.t.Helper()
	response, err := http.DefaultClient.Do(s.signed(body, secret))
	if err != nil {
		s.t.Error(err)
		return 0
	}
	defer response.Body.Close()
	return response.StatusCode
}

// signed is a webhook with its signature.
func (s *scene) signed(body, secret string) *http.Request {
	s.t.Helper()
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.address()+"/hooks/generic", bytes.NewReader([]byte(body)))
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header.Set("X-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	return request
}

func TestBurstOfWebhooksIsFewRounds(t *testing.T) {
	t.Parallel()
	s := inMemory(t, webhookSecretFile(t)...)
	w := s.workspace().stack("web", "site").service("site")
	s.begin(w)
	commit := s.repo.commit(w.file("README.md", "# Platform\n"))
	before := s.status().Rounds
	var senders sync.WaitGroup
	for i := range 20 {
		senders.Go(func() {
			if code := s.deliver(fmt.Sprintf(`{"n": %d}`, i), webhookSecret); code != http.StatusAccepted {
				t.Errorf("the webhook was answered %d", code)
			}
		})
	}
	senders.Wait()
	s.awaitDeployment(commit)
	if rounds := s.status().Rounds - before; rounds > 5 {
		t.Errorf("20 webhooks made %d rounds", rounds)
	}
}

// One push of twenty branches is twenty webhooks, as the git host sends them.
func TestBurstOfPushesIsFewRounds(t *testing.T) {
	t.Parallel()
	s, path := onGitHost(t, webhookSecretFile(t)...)
	w := s.workspace().stack("web", "site").service("site")
	first := s.repo.commit(w)
	s.repo.push()
	s.start()
	s.awaitDeployment(first)
	newGitHost(t).run("hook", newGitHost(t).dir, path, s.address()+"/hooks/gitea", webhookSecret, "gitea")
	commit := s.repo.commit(w.file("README.md", "# Platform\n"))
	refs := []string{"push", "-q", "origin", "main"}
	for i := range 19 {
		refs = append(refs, fmt.Sprintf("main:branch-%d", i))
	}
	before := s.status().Rounds
	s.repo.git(refs...)
	s.awaitDeployment(commit)
	metrics, err := s.get("/metrics")
	if err != nil || !strings.Contains(string(metrics), `kargo_webhook_requests_total{provider="gitea",result="accepted"} 20`) {
		t.Errorf("the metrics do not count 20 webhooks (%v):\n%s", err, metrics)
	}
	if rounds := s.status().Rounds - before; rounds > 10 {
		t.Errorf("20 pushes made %d rounds", rounds)
	}
}
