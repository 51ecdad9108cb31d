package kargo

import "time"

// Cleaning says which images nodes may remove: images of the repositories that
// Kargo's services run, if they are older than OlderThan and nothing needs
// them.
type Cleaning struct {
	// Repositories are names without tag and digest, as Docker shortens them:
	// "redis", "registry.example.org/geo/mapserver".
	Repositories []string `json:"repositories"`
	// Keep are the images that something runs or may be rolled back to, with
	// their digests where these are known.
	Keep      []string      `json:"keep"`
	OlderThan time.Duration `json:"olderThan"`
}

// LocalImage is an image that one node has.
type LocalImage struct {
	ID string
	// Names are all of its names: "redis:7" and "redis@sha256:…".
	Names []string
	// Since is when the node got it or, where Docker does not know, when it was
	// made.
	Since time.Time
	// Used: a container of the node, running or not, is of it.
	Used bool
	Size int64 // bytes, those shared with other images included
}

// NodeReport is the output of a job on one node.
type NodeReport struct {
	Node string `json:"node"`
	Said string `json:"said,omitempty"`
	Err  string `json:"error,omitempty"`
}

// Cleaned is the result of the last clean-up of images.
type Cleaned struct {
	Time  time.Time    `json:"time"`
	Nodes []NodeReport `json:"nodes"`
	Err   string       `json:"error,omitempty"`
}

// NodeJob is a program that runs once on each node, beside what the workspace
// wants, with access to the node's Docker.
type NodeJob struct {
	Name     string // of the Swarm service, while it runs
	Instance string
	Image    string
	Args     []string
}
