// Package swarm is the only package that talks to Docker. It reads what runs,
// carries out plans and listens to events. It decides nothing.
//
// # What to call
//
//   - [Open] makes a [Client] of one manager; [New] makes one of a client of
//     Docker's library, such as that of package swarmtest.
//   - [Client.Observe] reads all objects, [Client.Services] the services only,
//     [Client.Tasks] and [Client.LogTail] what tasks say, [Client.Nodes] the nodes.
//   - [Client.Apply] carries out a plan of package plan. [Client.Watch] calls back
//     for each event.
//   - [Client.Images] and [Client.Credentials] say what a service would be sent with.
//   - [Client.Key] keeps the secret key of an instance in Swarm.
//   - [Client.Build], [Client.Push], [Client.LocalImages], [Client.RemoveImage] and
//     [Client.RunOnNodes] work with the images of nodes.
//
// A client may be used from any goroutine. Each call to Docker has a deadline of
// its own (Options.Timeout), and ends at once when its context does.
//
// # Names
//
// Swarm keeps ids where specs had names, and writes defaults and image digests into
// what it was sent. This package returns names, and images as they were wanted, so
// that the planner sees no id. The defaults stay: package plan compares without
// them.
//
// # Times
//
// Times of tasks and updates are of this process's monotonic clock, whatever the
// clocks of the managers and nodes show. Other times are Swarm's own.
//
// # Errors
//
// Every error has a [kargo.Fault] and the daemon's own words, and no spec, because
// specs have secrets:
//
//   - Unavailable: the daemon, a proxy in front of it, or the Swarm's leader cannot
//     be reached, or the daemon failed. Try again later.
//   - Conflict: Swarm has changed since the plan was made, or an object is in use.
//     Look and plan again.
//   - Invalid: Docker refuses what the workspace asks for.
//   - Internal: a bug of Kargo, such as a change without an object.
package swarm

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	dockerclient "github.com/docker/docker/client"

	"kargo"
)

// DefaultTimeout is the deadline of one call to Docker where Options have none.
const DefaultTimeout = 30 * time.Second

// minimumAPI is the version of Docker 20.10, the first that counts the tasks of all
// services in one call.
const minimumAPI = "1.41"

// Options say how to reach Docker.
type Options struct {
	// Hosts are the addresses of managers of one Swarm ("unix:///var/run/docker.sock",
	// "tcp://10.0.0.1:2376"); none for Docker's default. The first is used until it
	// cannot be reached, has no leader or is no manager any more; then the next.
	Hosts []string
	// CertPath is a directory with ca.pem, cert.pem and key.pem. If it is set, TLS
	// is used and the daemon's certificate is always verified, because the daemon
	// receives every secret of the workspace.
	CertPath string
	// TLSVerify requires TLS; it needs CertPath.
	TLSVerify bool
	// Credentials returns the content of Docker's config.json, whose "auths" are
	// the credentials of registries. It is called at each use, and may be nil.
	// Credential helpers are not run, because they are programs.
	Credentials func() ([]byte, error)
	// Transport answers the requests in place of a connection to Host, as that of a
	// Swarm in memory does; nil for a connection.
	Transport http.RoundTripper
	// Token: the process will call [Client.Key] soon, and nothing hides the join token
	// of managers. Then the first call asks for the token, which saves a call.
	Token bool
	// Timeout is the deadline of each call, so that a silent daemon does not block
	// the loop. 0 means DefaultTimeout. Watch has none.
	Timeout time.Duration
}

// Client reads one Swarm and writes to it, through one of its managers. It is safe
// for concurrent use. It has a method for each of the operations above, and many small
// ones, because they share the connection and the table of names.
type Client struct {
	api           *dockerclient.Client
	timeout       time.Duration
	names         names
	clock         *clock
	down          downNodes
	known         knownServices
	listedConfigs listedConfigs
	credentials   func() ([]byte, error)
	greeting      *greeting // nil if the first call does not ask for the token

	mu    sync.Mutex
	calls map[string]uint64
}

// Open returns a client. It does not use the network: the API version is negotiated
// with the first call. Its error is Invalid: the options are wrong.
func Open(opts Options) (*Client, error) {
	if opts.TLSVerify && opts.CertPath == "" {
		return nil, &kargo.Error{
			Fault: kargo.Invalid,
			Err:   errors.New("open docker client: TLS is on, but there are no certificates"),
			Hint:  "name the directory of ca.pem, cert.pem and key.pem in DOCKER_CERT_PATH",
		}
	}
	hosts := opts.Hosts
	if len(hosts) == 0 {
		hosts = []string{dockerclient.DefaultDockerHost}
	}
	api, connection, err := opts.dial(hosts[0])
	if err != nil {
		return nil, err
	}
	if len(hosts) > 1 {
		several := &managers{}
		for _, host := range hosts {
			if err := several.add(opts, host); err != nil {
				return nil, err
			}
		}
		connection.Transport = several
	}
	client := New(api)
	connection.Transport = listening{connection.Transport, client.clock}
	if opts.Token {
		client.greeting = &greeting{RoundTripper: connection.Transport}
		connection.Transport = client.greeting
	}
	connection.Transport = capturing{guarded{connection.Transport}}
	client.credentials = opts.Credentials
	if opts.Timeout > 0 {
		client.timeout = opts.Timeout
	}
	return client, nil
}

// dial returns a client of Docker's library for one manager, and its connection. The
// network is not used.
func (o Options) dial(host string) (*dockerclient.Client, *http.Client, error) {
	connection := &http.Client{
		// Enough for creations side by side, and for those who ask meanwhile.
		Transport:     &http.Transport{MaxIdleConns: 6, MaxIdleConnsPerHost: 6, IdleConnTimeout: 30 * time.Second},
		CheckRedirect: dockerclient.CheckRedirect,
	}
	settings := []dockerclient.Opt{dockerclient.WithHTTPClient(connection)}
	if o.CertPath != "" {
		settings = append(settings, dockerclient.WithTLSClientConfig(
			filepath.Join(o.CertPath, "ca.pem"),
			filepath.Join(o.CertPath, "cert.pem"),
			filepath.Join(o.CertPath, "key.pem")))
	}
	settings = append(settings, dockerclient.WithHost(host), dockerclient.WithAPIVersionNegotiation())
	if o.Transport != nil {
		connection = &http.Client{Transport: o.Transport}
		settings = append(settings, dockerclient.WithHTTPClient(connection))
	}
	api, err := dockerclient.NewClientWithOpts(settings...)
	if err != nil {
		return nil, nil, kargo.Errorf(kargo.Invalid, "open docker client: %w", err)
	}
	return api, connection, nil
}

// New returns a client that uses a client of Docker's library, such as that of
// swarmtest, with the default timeout and without credentials.
func New(api *dockerclient.Client) *Client {
	return &Client{api: api, timeout: DefaultTimeout, clock: newClock(), calls: map[string]uint64{}}
}

// Close closes idle connections.
func (c *Client) Close() error { return c.api.Close() }

// Calls returns how often each operation of Docker's API was called so far, by the
// name of the operation in Docker's library: "ServiceList": 12.
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

// call makes one call to Docker: it counts the call, gives it a deadline and
// classifies its error.
func call[T any](ctx context.Context, c *Client, operation string, do func(context.Context) (T, error)) (answer T, err error) {
	if err := ctx.Err(); err != nil { // it may know that a write must not be sent any more
		return answer, classify(err)
	}
	c.count(operation)
	bounded, cancel := context.WithTimeout(ofCaller(ctx), c.timeout)
	defer cancel()
	answer, err = do(bounded)
	return answer, classify(err)
}

// write does the same as call, for operations that return nothing of interest.
func (c *Client) write(ctx context.Context, operation string, do func(context.Context) error) error {
	_, err := call(ctx, c, operation, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, do(ctx)
	})
	return err
}
