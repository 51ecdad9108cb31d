package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"kargo"
	"kargo/controller"
	"kargo/pattern"
	"kargo/swarm"
)

// leadership returns what a controller needs to share its instance with others: the
// lease in Swarm, and its own identity, which is in the data directory. So after a
// restart a controller does not wait for its own lease to run out, and two
// controllers that share an instance by mistake are told apart.
func (s *serveFlags) leadership(client *swarm.Client) (controller.Leadership, error) {
	path := s.state("controller-id")
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return controller.Leadership{}, fmt.Errorf("read the identity of the controller: %w", err)
	}
	id := strings.TrimSpace(string(data))
	if id == "" {
		id = rand.Text()
		if err := os.WriteFile(path, []byte(id+"\n"), 0o600); err != nil {
			return controller.Leadership{}, fmt.Errorf("keep the identity of the controller: %w", err)
		}
	}
	name, err := os.Hostname()
	if err != nil {
		name = "controller " + id[:min(len(id), 8)]
	}
	leadership := controller.Leadership{Leases: client, ID: id, Name: kargo.PrintableLine(name)}
	if container := ownContainer("/proc/self/mountinfo"); container != "" {
		leadership.Service = func(ctx context.Context) (string, error) { return client.ServiceOf(ctx, container) }
	}
	return leadership, nil
}

// dockersFiles finds the id of a container in the paths of the files that Docker mounts
// into it, such as /etc/hostname.
var dockersFiles = pattern.Lazy(`/containers/([0-9a-f]{64})/(?:hostname|hosts|resolv\.conf) `)

// ownContainer returns the id of the container that this process runs in, by its list
// of mounts; "" if it runs in none of Docker's.
func ownContainer(mounts string) string {
	data, err := os.ReadFile(mounts)
	if err != nil {
		return "" // not Linux
	}
	if found := dockersFiles().FindSubmatch(data); found != nil {
		return string(found[1])
	}
	return ""
}
