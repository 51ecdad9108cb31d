package e2e_test

import (
	"encoding/base64"
	"fmt"
	"kargo"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A renewed password reaches the services that need it, and none of their tasks
// is restarted for it; one of another registry is none of their business.
func TestARenewedRegistryCredentialRestartsNothing(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "config.json")
	credentials := func(hub, other string) {
		encode := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
		writeFile(t, file, fmt.Sprintf(`{"auths": {"https://index.docker.io/v1/": {"auth": %q}, "other.example": {"auth": %q}}}`,
			encode("ann:"+hub), encode("ann:"+other)))
	}
	test := func(t *testing.T, s *scene) {
		credentials("hunter22", "hunter23")
		s.begin(s.workspace().stack("web", "site").service("site", replicas(2)))
		name := s.service("web", "site")
		before, ran := s.services()[name], s.taskIDs(name)

		credentials("hunter22", "hunter24")
		s.awaitRound(s.sync)
		if got := s.services()[name]; got.Version != before.Version {
			t.Error("another registry's credential touched the service")
		}
		credentials("hunter99", "hunter24")
		s.sync()
		until(t, "the new credential is sent", func() bool { return s.services()[name].Version != before.Version })
		var d kargo.Deployment
		until(t, "it is in the history", func() bool { d = s.history()[0]; return len(d.Changes) == 1 })
		if !strings.HasPrefix(d.Changes[0].Reason, "credentials of docker.io changed; no task is restarted") {
			t.Errorf("the history says %v", d.Changes)
		}
		after := s.services()[name]
		s.awaitRound(s.sync)
		if got := s.services()[name]; got.Version != after.Version {
			t.Error("it was sent again")
		}
		if got := s.taskIDs(name); !slices.Equal(got, ran) {
			t.Errorf("tasks are %v, were %v", got, ran)
		}
		if strings.Contains(s.log(), "hunter99") {
			t.Error("the log holds the credential")
		}
	}
	t.Run("in memory", func(t *testing.T) { test(t, inMemory(t, "--registry-auth-file", file)) })
	t.Run("on Docker", func(t *testing.T) { test(t, onDocker(t, "--registry-auth-file", file)) })
}

// taskIDs are the tasks that a service ever had, sorted.
func (s *scene) taskIDs(service string) []string {
	s.t.Helper()
	tasks, err := s.observer.Tasks(s.t.Context(), service)
	if err != nil {
		s.t.Fatal(err)
	}
	var ids []string
	for _, task := range tasks {
		ids = append(ids, task.ID)
	}
	slices.Sort(ids)
	return ids
}
