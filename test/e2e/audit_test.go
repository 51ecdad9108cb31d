package e2e_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"

	"kargo"
)

// audit records every write that several controllers make, each through a daemon of
// its own. It finds what must not happen, whatever goes wrong.
type audit struct {
	mu     sync.Mutex
	writes []write
}

// write is a request that changed something.
type write struct {
	controller string
	epoch      uint64 // of the object, or the last one of the controller where an object has none
	object     string // "POST /services/create kargo-web_site", "POST /services/ID/update"
	content    string // a digest, without the epoch
}

// of records what one controller writes to a Swarm.
func (a *audit) of(controller string, swarm http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isWrite(describe(r)) || isOfLease(r) {
			swarm.ServeHTTP(w, r)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		answered := &answer{ResponseWriter: w, code: http.StatusOK}
		swarm.ServeHTTP(answered, r)
		if answered.code < http.StatusMultipleChoices {
			a.add(controller, r, body)
		}
	})
}

// answer notes the status of an answer.
type answer struct {
	http.ResponseWriter
	code int
}

func (a *answer) WriteHeader(code int) {
	a.code = code
	a.ResponseWriter.WriteHeader(code)
}

func (a *audit) add(controller string, r *http.Request, body []byte) {
	var sent struct {
		Name   string
		Labels map[string]string
	}
	_ = json.Unmarshal(body, &sent) // a removal has none
	epoch, _ := strconv.ParseUint(sent.Labels[kargo.LabelEpoch], 10, 64)
	made := write{
		controller: controller, epoch: epoch,
		object:  r.Method + " " + apiVersion.ReplaceAllString(r.URL.Path, "") + " " + sent.Name,
		content: fmt.Sprintf("%x", sha256.Sum256(epochs.ReplaceAll(body, nil))),
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if epoch == 0 {
		for _, earlier := range a.writes {
			if earlier.controller == controller {
				made.epoch = max(made.epoch, earlier.epoch)
			}
		}
	}
	a.writes = append(a.writes, made)
}

// found is what must not have happened: a write of an epoch after the first one of a
// newer epoch, and the same write by two controllers.
func (a *audit) found() (found []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	newest, last := uint64(0), map[string]write{}
	for _, made := range a.writes {
		if made.epoch < newest {
			found = append(found, fmt.Sprintf("%s: %s in epoch %d, after epoch %d", made.controller, made.object, made.epoch, newest))
		}
		newest = max(newest, made.epoch)
		if before, again := last[made.object]; again && before.content == made.content && before.controller != made.controller {
			found = append(found, fmt.Sprintf("%s wrote %s as %s had done", made.controller, made.object, before.controller))
		}
		last[made.object] = made
	}
	return found
}

// by counts what a controller has written.
func (a *audit) by(controller string) (count int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, made := range a.writes {
		if made.controller == controller {
			count++
		}
	}
	return count
}
