package gitsync

import (
	"errors"
	"net"
	"net/url"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"kargo"

	"github.com/go-git/go-git/v5/plumbing/transport"
)

// Schemes of a place.
const (
	schemeHTTP  = "http"
	schemeHTTPS = "https"
	schemeSSH   = "ssh"
	schemeLocal = "local"
)

// place is where a repository is: a URL taken apart and found to be sound.
type place struct {
	scheme string
	user   string // SSH only
	host   string // without port and brackets
	port   int    // 0: the scheme's own
	path   string // escaped for HTTP, plain otherwise
}

// scpLike is [user@]host:path. The host has no slash before the colon; that is
// what tells it from a local path.
var scpLike = regexp.MustCompile(`^(?:([^@/:]+)@)?(\[[0-9A-Fa-f:.]+\]|[^@/:\[\]]+):([^:].*)$`)

// invalid is an error about the options. It takes fixed texts only, so that it
// can never repeat a credential.
func invalid(message, hint string) error {
	return &kargo.Error{Fault: kargo.Invalid, Where: kargo.Place{File: "repository"}, Hint: hint, Err: errors.New(message)}
}

var errScheme = invalid("the URL has a scheme that is not supported", "use https://, ssh:// or the path of a local repository")

func parsePlace(raw string) (place, error) {
	switch {
	case raw == "":
		return place{}, invalid("no URL", "give the URL or the path of a git repository")
	case strings.HasPrefix(raw, "-"):
		return place{}, invalid("the URL starts with a dash", "")
	case strings.ContainsFunc(raw, unicode.IsControl):
		return place{}, invalid("the URL holds a control character", "a line end at the end of a file, perhaps")
	case strings.Contains(raw, "://"):
		return parseURL(raw)
	}
	if parts := scpLike.FindStringSubmatch(raw); parts != nil {
		return checkPlace(place{scheme: schemeSSH, user: parts[1], host: strings.Trim(parts[2], "[]"), path: parts[3]})
	}
	if before, _, _ := strings.Cut(raw, "/"); strings.Contains(before, "::") {
		return place{}, errScheme // git's "ext::command" and its like
	}
	return localPlace(raw)
}

func parseURL(raw string) (place, error) {
	u, err := url.Parse(raw)
	if err != nil {
		// url.Parse repeats what it could not parse, password included.
		return place{}, invalid("the URL cannot be parsed", "")
	}
	if u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return place{}, invalid("the URL holds a query or a fragment", "give a token as the password instead")
	}
	_, hasPassword := u.User.Password()
	found := place{scheme: strings.ToLower(u.Scheme), host: u.Hostname(), path: u.Path}
	switch found.scheme {
	case "file":
		if found.host != "" && found.host != "localhost" {
			return place{}, invalid("a file URL names another host", "")
		}
		return localPlace(u.Path)
	case schemeHTTP, schemeHTTPS:
		if u.User != nil {
			return place{}, invalid("the URL holds a user or a password", "give the user name and the token apart from the URL")
		}
		found.path = u.EscapedPath()
	case schemeSSH:
		if hasPassword {
			return place{}, invalid("the URL holds a password", "SSH is by key here; take the password out of the URL")
		}
		found.user = u.User.Username()
	default:
		return place{}, errScheme
	}
	if port := u.Port(); port != "" {
		if found.port, err = strconv.Atoi(port); err != nil || found.port < 1 || found.port > 65535 {
			return place{}, invalid("the URL has a bad port", "")
		}
	}
	return checkPlace(found)
}

func localPlace(path string) (place, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return place{}, invalid("the path cannot be made absolute", "give an absolute path")
	}
	return place{scheme: schemeLocal, path: path}, nil
}

// checkPlace refuses what could be taken for an option by whoever reads it
// next, and what is no host at all.
func checkPlace(p place) (place, error) {
	switch {
	case p.host == "" || strings.ContainsAny(p.host, " \\\"'`$;|&<>%"):
		return place{}, invalid("the URL has no usable host", "")
	case strings.HasPrefix(p.host, "-") || strings.HasPrefix(p.user, "-") || strings.HasPrefix(p.path, "-"):
		return place{}, invalid("a part of the URL starts with a dash", "")
	case strings.Trim(p.path, "/") == "":
		return place{}, invalid("the URL has no path", "add the path of the repository: https://host/group/repository.git")
	}
	return p, nil
}

// checkCredentials refuses to send a secret in the clear, two ways to say who
// one is, and SSH without the means to know the other side.
func checkCredentials(p place, opts Options) error {
	ways := 0
	for _, given := range []bool{opts.Password != nil, opts.BearerToken != nil, opts.GitHubApp != nil} {
		if given {
			ways++
		}
	}
	certificate := opts.ClientCertificate != nil
	switch {
	case ways > 1:
		return invalid("a password, a bearer token and a GitHub App exclude each other", "")
	case certificate != (opts.ClientKey != nil):
		return invalid("a client certificate and its key go together", "")
	case certificate && p.scheme != schemeHTTPS:
		return invalid("a client certificate is for https", "use https://")
	case p.scheme == schemeHTTP && (!kargo.IsLoopback(p.host) || opts.Proxy.URL != "") && (ways > 0 || opts.Username != ""):
		return invalid("credentials would travel unencrypted over http", "use https://")
	case p.scheme == schemeSSH && opts.SSHKey == nil:
		return invalid("SSH needs a private key", "set the file that holds the key")
	case p.scheme == schemeSSH && opts.KnownHosts == nil:
		return invalid("SSH needs a known_hosts file", "make one with `kargo known-hosts HOST`, and compare the fingerprints with the forge's page")
	}
	return checkProxy(opts.Proxy)
}

// String is the place without user, password and query.
func (p place) String() string {
	if p.scheme == schemeLocal {
		return p.path
	}
	return p.scheme + "://" + p.hostPort() + "/" + strings.TrimPrefix(p.path, "/")
}

func (p place) hostPort() string {
	if p.port != 0 {
		return net.JoinHostPort(p.host, strconv.Itoa(p.port))
	}
	if strings.Contains(p.host, ":") {
		return "[" + p.host + "]"
	}
	return p.host
}

// endpoint is the place as go-git's HTTP transport wants it.
func (p place) endpoint() *transport.Endpoint {
	host := p.host
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return &transport.Endpoint{Protocol: p.scheme, Host: host, Port: p.port, Path: strings.TrimSuffix(p.path, "/")}
}
