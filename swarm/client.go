// Package swarm is the one place where Kargo talks to Docker. It looks
// ([Client.Observe], [Client.Services]), carries out plans ([Client.Apply]) and
// listens ([Client.Watch]); it decides nothing.
//
// Swarm keeps ids where specs had names and writes defaults and image digests
// into what it was sent. Everything that leaves this package speaks in names
// and in images as they were asked for, so that the planner never sees an id.
//
// Every error carries a [kargo.Fault] and the daemon's own words, and never a
// spec: specs hold secrets.
package swarm

import (
	"context"
	"errors"
	"maps"
	"path/filepath"
	"sync"
	"time"

	dockerclient "github.com/docker/docker/client"

	"kargo"
)

// DefaultTimeout is the deadline of one call to Docker where Options name none.
const DefaultTimeout = 30 * time.Second

// minimumAPI is Docker 20.10's, the first that counts the tasks of all services
// in one call.
const minimumAPI = "1.41"

// Options say how to reach Docker.
type Options struct {
	// Host is the daemon's address ("unix:///var/run/docker.sock",
	// "tcp://10.0.0.1:2376"); empty for Docker's default.
	Host string
	// CertPath is a directory with ca.pem, cert.pem and key.pem. If set, TLS
	// is used and the daemon's certificate is always verified: who answers is
	// handed every secret of the workspace.
	CertPath string
	// TLSVerify demands TLS; it needs CertPath.
	TLSVerify bool
	// Credentials is the content of Docker's config.json, whose "auths" are
	// the credentials of registries; nil where there is none. It is called at
	// each use. Credential helpers are programs and not run.
	Credentials func() ([]byte, error)
	// Timeout is the deadline of each single call, since a daemon that is
	// silent must not hang the loop. 0 means DefaultTimeout. Watch has none.
	Timeout time.Duration
}

// Client looks at one Swarm and writes to it, through one of its managers. It
// is safe for concurrent use.
type Client struct {
	api         *dockerclient.Client
	timeout     time.Duration
	names       names
	credentials func() ([]byte, error)

	mu    sync.Mutex
	calls map[string]uint64
}

// Open makes a client without touching the network; the API version is
// negotiated with the first call. Wrong options are Invalid.
func Open(opts Options) (*Client, error) {
	host := opts.Host
	if host == "" {
		host = dockerclient.DefaultDockerHost
	}
	var settings []dockerclient.Opt
	switch {
	case opts.CertPath != "":
		settings = append(settings, dockerclient.WithTLSClientConfig(
			filepath.Join(opts.CertPath, "ca.pem"),
			filepath.Join(opts.CertPath, "cert.pem"),
			filepath.Join(opts.CertPath, "key.pem")))
	case opts.TLSVerify:
		return nil, &kargo.Error{
			Fault: kargo.Invalid,
			Err:   errors.New("open docker client: TLS is on, but there are no certificates"),
			Hint:  "name the directory of ca.pem, cert.pem and key.pem in DOCKER_CERT_PATH",
		}
	}
	settings = append(settings, dockerclient.WithHost(host), dockerclient.WithAPIVersionNegotiation())
	api, err := dockerclient.NewClientWithOpts(settings...)
	if err != nil {
		return nil, kargo.Errorf(kargo.Invalid, "open docker client: %w", err)
	}
	client := New(api)
	client.credentials = opts.Credentials
	if opts.Timeout > 0 {
		client.timeout = opts.Timeout
	}
	return client, nil
}

// New makes a client of one that Docker's own library made, such as
// swarmtest's, with the default timeout.
func New(api *dockerclient.Client) *Client {
	return &Client{api: api, timeout: DefaultTimeout, calls: map[string]uint64{}}
}

// Close ends idle connections.
func (c *Client) Close() error { return c.api.Close() }

// Calls is how often each operation of Docker's API was called so far, by the
// operation's name in Docker's library: "ServiceList": 12.
func (c *Client) Calls() map[string]uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.calls)
}

func (c *Client) count(operation string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls[operation]++
}

// call makes one call to Docker: counted, under a deadline of its own, its
// error classified.
func call[T any](ctx context.Context, c *Client, operation string, do func(context.Context) (T, error)) (T, error) {
	c.count(operation)
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	answer, err := do(ctx)
	return answer, classify(err)
}

// write is call for operations that answer nothing of interest.
func (c *Client) write(ctx context.Context, operation string, do func(context.Context) error) error {
	_, err := call(ctx, c, operation, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, do(ctx)
	})
	return err
}
