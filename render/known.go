package render

import (
	"bytes"

	"kargo/render/compose"
	"kargo/render/view"
)

// Known says of one stack from what it was rendered without an error: what it read,
// and a digest of the answers. It has no value of a variable and no content of a file,
// but whoever has it can try values against the digest: it must stay between two
// processes of one controller.
type Known struct {
	Stack  string         `json:"stack"`
	Asked  view.Questions `json:"asked"`
	Digest []byte         `json:"digest"`
	Size   compose.Size   `json:"size"`
	// Entries are those of <STACK>_STACK, Services those of the compose files.
	Entries  []string `json:"entries,omitempty"`
	Services []string `json:"services,omitempty"`
}

// Known returns what the cache holds.
func (c *Cache) Known() []Known {
	if c == nil {
		return nil
	}
	c.mutex.Lock()
	defer c.mutex.Unlock()
	var all []Known
	digests := &view.Digests{} // all stacks are of one workspace
	for name, done := range c.stacks {
		if done.source == nil || done.report.Errors() > 0 {
			continue
		}
		if asked, bounded := done.reads.Questions(); bounded {
			if done.answers == nil { // else it was taken over, for the answers are the same
				done.answers = digests.Of(done.source.ws, asked)
			}
			all = append(all, Known{
				Stack: name, Asked: asked, Digest: done.answers,
				Size: done.source.size, Entries: done.entries, Services: done.services,
			})
		}
	}
	return all
}

// Trial returns a cache for a trial in another process: Trace leaves out the stacks
// that would be rendered to the same as where they are known. So its result is not
// complete. Everything that differs is rendered, and the checks over all variables and
// files are made.
func Trial(known []Known) *Cache {
	c := &Cache{known: make(map[string]Known, len(known))}
	for _, stack := range known {
		c.known[stack.Stack] = stack
	}
	return c
}

// leaveOut returns a stack without a rendering if another process knows that it is the
// same, and nil otherwise.
func (r *renderer) leaveOut(own view.View, name string) *rendered {
	if r.cache == nil {
		return nil
	}
	known, exists := r.cache.known[name]
	if !exists || !bytes.Equal(r.digests.Of(own, known.Asked), known.Digest) || r.reader.Exceeded() || !r.reader.TakeOver(known.Size) {
		return nil
	}
	return &rendered{report: &compose.Report{}, entries: known.Entries, services: known.Services, leftOut: true}
}
