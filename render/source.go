package render

import (
	"slices"
	"strings"
	"sync"
	"weak"

	"kargo/render/compose"
	"kargo/render/view"
)

// source tells where the values of one rendered stack come from. It does not keep the
// compose files of the stack, which decoded take many times the memory of the specs. It
// reads them again when somebody asks. Several goroutines may ask.
type source struct {
	ws        view.View
	name      string // as the workspace has it: "dbs"
	namespace string // as Swarm has it: "kargo-dbs"
	services  []string
	// made are the names in Swarm of the configs and secrets of the stack.
	made  map[objectKey]string
	reads *view.Reads
	size  compose.Size

	mutex sync.Mutex
	// held are the files as long as somebody asks for them in each revision, as the
	// policy does of what it grants.
	held  *compose.Configuration
	asked bool // for held, in this view
	weak  weak.Pointer[compose.Configuration]
}

// sourceOf returns the source of what was rendered, in a view that records nothing.
func sourceOf(s *rendering, services []string, reads *view.Reads) *source {
	made := make(map[objectKey]string, len(s.objects.made))
	for key, object := range s.objects.made {
		made[key] = object.Name
	}
	files := s.files.In(s.ws.Unrecorded())
	return &source{
		ws: s.ws.Unrecorded(), name: s.name, namespace: s.namespace, services: services, made: made,
		reads: reads, size: files.Size(), weak: weak.Make(files),
	}
}

// in returns the same source in another view, in which all that was read for the
// rendering is the same. It holds the files only if they were asked for in this view.
func (s *source) in(own view.View) *source {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	moved := &source{ws: own, name: s.name, namespace: s.namespace, services: s.services, made: s.made, reads: s.reads, size: s.size}
	if s.asked {
		moved.held = s.held.In(own)
	}
	return moved
}

// files returns the compose files of the stack, and holds them.
func (s *source) files() *compose.Configuration {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.held, s.asked = s.read(), true
	return s.held
}

// glance returns the compose files of the stack, and holds them no longer than the
// caller does.
func (s *source) glance() *compose.Configuration {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.read()
}

func (s *source) read() *compose.Configuration {
	if s.held != nil {
		return s.held
	}
	if files := s.weak.Value(); files != nil {
		return files
	}
	files := compose.Again(s.ws, s.name)
	s.weak = weak.Make(files)
	return files
}

// defines reports whether the stack has a service of that name in its compose files.
func (s *source) defines(service string) bool { return slices.Contains(s.services, service) }

// mayHave reports whether a dotted path can be one of the stack's compose files. If it is
// one of a service that the stack does not have, the files need not be read.
func (s *source) mayHave(path string) bool {
	rest, ofService := strings.CutPrefix(path, "services.")
	return !ofService || slices.ContainsFunc(s.services, func(service string) bool {
		return rest == service || strings.HasPrefix(rest, service+".")
	})
}
