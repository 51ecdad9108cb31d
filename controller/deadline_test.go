package controller_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"kargo"
)

// What something keeps from ending is stopped at its deadline, be it a reading of the
// repository or a round, and is done when that something is gone.
func TestS44_ARoundHasADeadline(t *testing.T) {
	for _, test := range []struct {
		what  string
		hang  func(w *world, wait func(context.Context) error)
		began func(kargo.Status) time.Time
	}{
		{"reading", func(w *world, wait func(context.Context) error) {
			w.parts.Compiler.Hooks = func(ctx context.Context, ws kargo.Workspace, _ ...string) (kargo.Workspace, kargo.Problems, error) {
				return ws, nil, wait(ctx)
			}
		}, func(s kargo.Status) time.Time { return s.ReadingBegan }},
		{"the round", func(w *world, wait func(context.Context) error) {
			w.parts.Swarm = &slowImages{w.swarm, wait}
		}, func(s kargo.Status) time.Time { return s.RoundBegan }},
	} {
		t.Run(test.what, func(t *testing.T) {
			run(t, func(w *world) {
				gone := make(chan struct{})
				test.hang(w, func(ctx context.Context) error {
					select {
					case <-gone:
						return nil
					case <-ctx.Done():
						return ctx.Err()
					}
				})
				w.repo.commit("c1", app("app:1", "web")...)
				w.start()
				began := test.began(w.loop.Status())
				if began.IsZero() {
					t.Fatal("nothing hangs")
				}
				w.rest(time.Until(began.Add(kargo.RoundTime)) - time.Second)
				if got := w.loop.Status(); !test.began(got).Equal(began) {
					t.Errorf("it has ended before its deadline: %q", got.Message)
				}
				w.rest(1500 * time.Millisecond)
				if got := w.loop.Status(); got.Fault != kargo.Unavailable.String() || !strings.Contains(got.Message, test.what+" was stopped after 20m0s, its deadline") {
					t.Errorf("after its deadline: %s: %q", got.Fault, got.Message)
				}
				close(gone)
				w.rest(10 * time.Minute)
				if writes := w.swarm.writes(); !slices.Contains(writes, "create service kargo-web_web: new") {
					t.Errorf("when it does not hang any more: %q", writes)
				}
				if got := w.loop.Status(); got.Message != "" {
					t.Errorf("when it does not hang any more: %q", got.Message)
				}
			})
		})
	}
}

// slowImages is a cluster that takes its time to look up images.
type slowImages struct {
	*cluster
	wait func(context.Context) error
}

func (s *slowImages) Images(ctx context.Context, names ...string) (map[string]kargo.Image, error) {
	if err := s.wait(ctx); err != nil {
		return nil, err
	}
	return s.cluster.Images(ctx, names...)
}
