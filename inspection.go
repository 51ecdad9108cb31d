package kargo

import (
	"fmt"
	"strings"
	"time"
)

// StackDetail is one stack with all that runs of it, for people.
type StackDetail struct {
	StackStatus
	// Namespace is the stack's name in Swarm.
	Namespace string `json:"namespace"`
	// Drift says what happens to changes that somebody else makes.
	Drift DriftMode `json:"drift,omitempty"`
	// Networks are those of the stack and the shared ones that it uses.
	Networks []string        `json:"networks,omitempty"`
	Parts    []ServiceDetail `json:"parts"`
}

// ServiceDetail is one service with its tasks.
type ServiceDetail struct {
	ServiceStatus
	// Updated is when anybody last wrote the service.
	Updated time.Time `json:"updated,omitzero"`
	// Ports, networks, configs, secrets and volumes that it uses.
	Ports    []string     `json:"ports,omitempty"`
	Networks []string     `json:"networks,omitempty"`
	Configs  []string     `json:"configs,omitempty"`
	Secrets  []string     `json:"secrets,omitempty"`
	Volumes  []string     `json:"volumes,omitempty"`
	Tasks    []TaskDetail `json:"tasks"`
}

// TaskDetail is one task as people read it: what it says is masked.
type TaskDetail struct {
	ID string `json:"id"`
	// Name is the service's name and the slot, or the node of a global service.
	Name  string    `json:"name"`
	Node  string    `json:"node,omitempty"`
	State string    `json:"state"` // Swarm's word
	Since time.Time `json:"since,omitzero"`
	// Message is why it failed or waits, if it does.
	Message string `json:"message,omitempty"`
}

// LogOptions say which part of a log is wanted.
type LogOptions struct {
	Since  time.Time // zero: from the begin
	Tail   int       // lines of each task; 0: all
	Follow bool      // go on until the context ends
}

// LogLine is one line that a task wrote. Its text is masked where it is shown.
type LogLine struct {
	Time    time.Time `json:"time"`
	Service string    `json:"service"`
	Task    string    `json:"task"` // as TaskDetail.Name
	Node    string    `json:"node,omitempty"`
	Stderr  bool      `json:"stderr,omitempty"`
	Text    string    `json:"text"`
}

// Happening is something that the controller saw or did.
type Happening struct {
	Time time.Time `json:"time"`
	// Stack is the one that it concerns, if it is known.
	Stack string `json:"stack,omitempty"`
	// What says it in one line: "service update kargo-shop_web".
	What string `json:"what"`
	// Deployment is the entry of the history, if there is one.
	Deployment uint64 `json:"deployment,omitempty"`
}

// Finding is what `kargo doctor` found out about one thing.
type Finding struct {
	What string `json:"what"` // "git", "swarm", …
	OK   bool   `json:"ok"`
	// Warning is set where it works and still needs attention.
	Warning bool   `json:"warning,omitempty"`
	Says    string `json:"says"`
	// Remedy is what the reader can do where it is not well.
	Remedy string `json:"remedy,omitempty"`
}

// Well returns a finding that needs nothing.
func Well(what, format string, args ...any) Finding {
	return Finding{What: what, OK: true, Says: fmt.Sprintf(format, args...)}
}

// Unwell returns a finding of something that does not work. The remedy is that of the
// error, if it has one.
func Unwell(what string, err error, remedy string) Finding {
	if hint := HintOf(err); hint != "" {
		remedy = hint
	}
	return Finding{What: what, Says: PrintableLine(err.Error()), Remedy: remedy}
}

// Odd returns a finding of something that works and needs attention.
func Odd(what, says, remedy string) Finding {
	return Finding{What: what, OK: true, Warning: true, Says: says, Remedy: remedy}
}

// ShortService returns the name of a service without that of its stack in Swarm.
func ShortService(name string) string {
	if _, service, found := strings.Cut(name, "_"); found {
		return service
	}
	return name
}

// ParseSince returns the time that a person means by a time ("2026-11-26T12:00:00Z"),
// a day, or a duration before now ("2h"). The error is Invalid.
func ParseSince(text string, now time.Time) (time.Time, error) {
	if ago, err := time.ParseDuration(text); err == nil {
		return now.Add(-ago.Abs()), nil
	}
	for _, form := range []string{time.RFC3339, time.DateTime, time.DateOnly} {
		if at, err := time.ParseInLocation(form, text, now.Location()); err == nil {
			return at, nil
		}
	}
	return time.Time{}, Errorf(Invalid, "%q is neither a duration (2h) nor a time (2026-11-26T12:00:00Z)", text)
}
