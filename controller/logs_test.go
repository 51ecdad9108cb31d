package controller_test

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"kargo"
)

// digest is what stands for a secret.
var digest = regexp.MustCompile(`\*\*\*[0-9a-f]{8}`)

// A log may be followed for days. What is secret changes with commits meanwhile.
func TestAFollowedLogHidesTheSecretsOfLaterCommits(t *testing.T) {
	run(t, func(w *world) {
		commit := func(name, password string) {
			files := app("app:1", "web")
			files[0] += "DB_PASSWORD=" + password + "\n"
			w.repo.commit(name, files...)
		}
		passwords := map[string]string{"task-1": "correct-horse", "task-2": "battery-staple"}
		w.parts.TaskLog = func(ctx context.Context, task string, _ kargo.LogOptions, each func(kargo.LogLine)) error {
			if password := passwords[task]; password != "" {
				each(kargo.LogLine{Text: task + " signs in with " + password})
			}
			<-ctx.Done()
			return nil
		}
		commit("c1", passwords["task-1"])
		w.start()
		w.swarm.tasks = []kargo.Task{{ID: "task-1", Service: "kargo-web_web", State: "running"}}

		ctx, end := context.WithCancel(w.t.Context())
		var mutex sync.Mutex
		var seen []string
		var following sync.WaitGroup
		following.Go(func() {
			err := w.loop.Logs(ctx, "web", "", kargo.LogOptions{Follow: true}, func(line kargo.LogLine) {
				mutex.Lock()
				defer mutex.Unlock()
				seen = append(seen, line.Text)
			})
			if err != nil {
				t.Error(err)
			}
		})
		w.rest(time.Minute)
		commit("c2", passwords["task-2"])
		w.nudge("webhook github")
		w.swarm.tasks = append(w.swarm.tasks, kargo.Task{ID: "task-2", Service: "kargo-web_web", State: "running"})
		w.rest(time.Minute)
		end()
		following.Wait()

		for i, line := range seen {
			seen[i] = digest.ReplaceAllString(line, "***")
		}
		if want := []string{"task-1 signs in with ***", "task-2 signs in with ***"}; !slices.Equal(seen, want) {
			t.Errorf("the log is\n%s\nwant\n%s", strings.Join(seen, "\n"), strings.Join(want, "\n"))
		}
	})
}
