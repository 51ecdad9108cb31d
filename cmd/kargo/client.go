package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"kargo"
	"kargo/server"
)

// client talks to a running controller: over the socket in the data directory,
// or over HTTP to --url with the API token.
type client struct {
	http  *http.Client
	base  string
	token string
	// person is who the user of the command says to be.
	person string
}

// errNoController reports that nothing serves the data directory.
var errNoController = &kargo.Error{
	Fault: kargo.Unavailable, Err: errors.New("no controller responds"),
	Hint: "is `kargo serve` running? name its data directory with --data, or its address with --url",
}

// remoteFlags are those of a command that talks to a running controller.
type remoteFlags struct {
	program
	dataDir
	clientFlags
}

func (r *remoteFlags) flags(flags *pflag.FlagSet) {
	r.program.flags(flags)
	r.dataDir.flags(flags)
	r.clientFlags.flags(flags)
}

// prepare fills in the settings, and which controller is asked.
func (r *remoteFlags) prepare(cmd *cobra.Command, env map[string]string) error {
	if err := r.program.prepare(cmd, env); err != nil {
		return err
	}
	return r.useContext(cmd, env)
}

// connect reads the settings, and returns the client of the controller that they name.
func (r *remoteFlags) connect(cmd *cobra.Command, env map[string]string) (*client, error) {
	if err := r.prepare(cmd, env); err != nil {
		return nil, err
	}
	return r.client(r.dataDir)
}

// client returns the client of the controller at --url, or of that with the
// same data directory.
func (s *clientFlags) client(data dataDir) (*client, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	c := &client{person: s.person, http: &http.Client{Transport: transport, Timeout: 30 * time.Second}, base: strings.TrimSuffix(s.url, "/")}
	// A redirection must not carry the token to another host.
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if c.base != "" {
		return c, s.authorise(c)
	}
	socket := data.state("kargo.sock")
	if runs, err := data.controllerRuns(); err != nil {
		return nil, err
	} else if !runs {
		return nil, errNoController
	}
	transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}
	transport.Proxy = nil
	c.base = "http://kargo"
	return c, nil
}

// controllerRuns reports whether a controller listens in the data directory. A process that
// was killed leaves its socket there. The error is that this user may not know.
func (d *dataDir) controllerRuns() (bool, error) {
	connection, err := net.DialTimeout("unix", d.state("kargo.sock"), time.Second)
	if errors.Is(err, fs.ErrPermission) {
		return false, unreadable("ask the controller", err)
	}
	if err != nil {
		return false, nil
	}
	return true, connection.Close()
}

// authorise gives the client its token. It is never sent unencrypted to another
// machine.
func (s *clientFlags) authorise(c *client) error {
	address, err := url.Parse(c.base)
	if err != nil || address.Host == "" {
		return usagef("--url takes an address like https://kargo.example")
	}
	if address.Scheme != "https" && !kargo.IsLoopback(address.Hostname()) {
		return usagef("--url: the token would be sent unencrypted; use https://")
	}
	token, err := s.apiToken.read()
	c.token = string(token)
	return err
}

// ask sends one request to the controller that the settings of a command name,
// and decodes the response.
func (r *remoteFlags) ask(cmd *cobra.Command, env map[string]string, method, path string, body, answer any) error {
	if err := r.prepare(cmd, env); err != nil {
		return err
	}
	controller, err := r.client(r.dataDir)
	if err != nil {
		return err
	}
	return controller.call(cmd.Context(), method, path, body, answer)
}

// identify adds the token to a request, and who the person says to be: the history names
// the person, and nothing proves the name.
func (c *client) identify(request *http.Request) {
	switch {
	case c.person != "" && !strings.Contains(c.person, ":"):
		request.SetBasicAuth(c.person, c.token)
	case c.token != "":
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
}

// call sends one request and decodes the response. Its error is the
// controller's own where the controller returned one.
func (c *client) call(ctx context.Context, method, path string, body, answer any) error {
	var content io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return err
		}
		content = bytes.NewReader(data)
	}
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, content)
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	c.identify(request)
	response, err := c.http.Do(request)
	if err != nil {
		return fmt.Errorf("%w: %w", errNoController, err)
	}
	defer response.Body.Close()
	if response.StatusCode >= 300 {
		return refusal(response)
	}
	if answer == nil {
		return nil
	}
	if err := json.NewDecoder(response.Body).Decode(answer); err != nil {
		return kargo.Errorf(kargo.Unavailable, "read the response of the controller: %w", err)
	}
	return nil
}

// refusal returns the error in a response. The fault is the controller's own. The
// status code counts only where something else than a controller responded.
func refusal(response *http.Response) error {
	var problem server.Problem
	data, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil || json.Unmarshal(data, &problem) != nil || problem.Message == "" {
		return &kargo.Error{Fault: kargo.Unavailable, Err: fmt.Errorf("not the response of a controller: %s", response.Status),
			Hint: "does the address lead to Kargo, or to a proxy before it?"}
	}
	return problem.Err()
}
