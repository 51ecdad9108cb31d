package wire

import (
	"errors"
	"net"
	"net/url"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"kargo"
	"kargo/pattern"
)

// Schemes of an address.
const (
	schemeHTTP  = "http"
	schemeHTTPS = "https"
	schemeSSH   = "ssh"
	schemeLocal = "local"
)

// Address is where a repository is: a URL, parsed and checked.
type Address struct {
	scheme string
	user   string // SSH only
	host   string // without port and brackets
	port   int    // 0: the scheme's own
	path   string // escaped for HTTP, plain otherwise
}

// scpLike is [user@]host:path. The host has no slash before the colon; this
// distinguishes it from a local path.
var scpLike = pattern.Lazy(`^(?:([^@/:]+)@)?(\[[0-9A-Fa-f:.]+\]|[^@/:\[\]]+):([^:].*)$`)

// invalid returns an error about the settings. It takes fixed texts only, so that
// it can never repeat a credential.
func invalid(message, hint string) error {
	return &kargo.Error{Fault: kargo.Invalid, Where: kargo.Place{File: "repository"}, Hint: hint, Err: errors.New(message)}
}

var errScheme = invalid("the URL has a scheme that is not supported", "use https://, ssh:// or the path of a local repository")

// ParseAddress parses https://, http:// and ssh:// URLs, [USER@]HOST:PATH, and the
// path of a local repository, also as a file:// URL. An error is Invalid and does
// not repeat the text, which may hold a password by mistake.
func ParseAddress(text string) (Address, error) {
	switch {
	case text == "":
		return Address{}, invalid("no URL", "give the URL or the path of a git repository")
	case strings.HasPrefix(text, "-"):
		return Address{}, invalid("the URL starts with a dash", "")
	case strings.ContainsFunc(text, unicode.IsControl):
		return Address{}, invalid("the URL holds a control character", "perhaps the line end of a file")
	case strings.Contains(text, "://"):
		return parseURL(text)
	}
	if parts := scpLike().FindStringSubmatch(text); parts != nil {
		return checked(Address{scheme: schemeSSH, user: parts[1], host: strings.Trim(parts[2], "[]"), path: parts[3]})
	}
	if before, _, _ := strings.Cut(text, "/"); strings.Contains(before, "::") {
		return Address{}, errScheme // git's "ext::command" and its like
	}
	return localAddress(text)
}

func parseURL(text string) (Address, error) {
	u, err := url.Parse(text)
	if err != nil {
		// url.Parse repeats what it could not parse, password included.
		return Address{}, invalid("the URL cannot be parsed", "")
	}
	if u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return Address{}, invalid("the URL holds a query or a fragment", "give a token as the password instead")
	}
	_, hasPassword := u.User.Password()
	found := Address{scheme: strings.ToLower(u.Scheme), host: u.Hostname(), path: u.Path}
	switch found.scheme {
	case "file":
		if found.host != "" && found.host != "localhost" {
			return Address{}, invalid("a file URL names another host", "")
		}
		return localAddress(u.Path)
	case schemeHTTP, schemeHTTPS:
		if u.User != nil {
			return Address{}, invalid("the URL holds a user or a password", "give the user name and the token separately")
		}
		found.path = u.EscapedPath()
	case schemeSSH:
		if hasPassword {
			return Address{}, invalid("the URL holds a password", "SSH uses a key; remove the password from the URL")
		}
		found.user = u.User.Username()
	default:
		return Address{}, errScheme
	}
	if port := u.Port(); port != "" {
		if found.port, err = strconv.Atoi(port); err != nil || found.port < 1 || found.port > 65535 {
			return Address{}, invalid("the URL has a bad port", "")
		}
	}
	return checked(found)
}

func localAddress(path string) (Address, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return Address{}, invalid("the path cannot be made absolute", "give an absolute path")
	}
	return Address{scheme: schemeLocal, path: path}, nil
}

// checked refuses what a program that reads the address next could take for an
// option, and what is not a host.
func checked(a Address) (Address, error) {
	switch {
	case a.host == "" || strings.ContainsAny(a.host, " \\\"'`$;|&<>%"):
		return Address{}, invalid("the URL has no usable host", "")
	case strings.HasPrefix(a.host, "-") || strings.HasPrefix(a.user, "-") || strings.HasPrefix(a.path, "-"):
		return Address{}, invalid("a part of the URL starts with a dash", "")
	case strings.Trim(a.path, "/") == "":
		return Address{}, invalid("the URL has no path", "add the path of the repository: https://host/group/repository.git")
	}
	return a, nil
}

// LocalPath returns the absolute path of a repository on this machine, or "" for
// one on another host.
func (a Address) LocalPath() string {
	if a.scheme == schemeLocal {
		return a.path
	}
	return ""
}

// IsLocal reports whether the repository is on this machine.
func (a Address) IsLocal() bool { return a.scheme == schemeLocal }

// IsEncrypted reports whether all that travels to the host and back is encrypted.
func (a Address) IsEncrypted() bool { return a.scheme == schemeHTTPS || a.scheme == schemeSSH }

// SameHost reports whether two repositories are on one host, reached by one scheme
// and port, so that a credential of the one may be sent to the other. A local
// repository is on no host.
func (a Address) SameHost(other Address) bool {
	return a.host != "" && a.scheme == other.scheme && a.host == other.host && a.port == other.port
}

// SameHost does the same as [Address.SameHost] for two texts. A text that is no
// address is on no host.
func SameHost(a, b string) bool {
	first, errA := ParseAddress(a)
	second, errB := ParseAddress(b)
	return errA == nil && errB == nil && first.SameHost(second)
}

// IsOn reports whether the address is on one of the hosts, each HOST or HOST:PORT.
func (a Address) IsOn(hosts []string) bool {
	return slices.ContainsFunc(hosts, func(host string) bool {
		return strings.EqualFold(host, a.host) && a.port == 0 || strings.EqualFold(host, a.hostPort())
	})
}

// Relative returns the address that "./NAME" or "../NAME" means beside this one,
// as .gitmodules writes it. It is not checked.
func (a Address) Relative(address string) string {
	if a.IsLocal() {
		return address
	}
	user := ""
	if a.user != "" {
		user = a.user + "@"
	}
	return a.scheme + "://" + user + a.hostPort() + path.Join("/", a.path, address)
}

// String returns the address as it may be shown: without user, password and query.
func (a Address) String() string {
	if a.IsLocal() {
		return a.path
	}
	return a.scheme + "://" + a.hostPort() + "/" + strings.TrimPrefix(a.path, "/")
}

func (a Address) hostPort() string {
	if a.port != 0 {
		return net.JoinHostPort(a.host, strconv.Itoa(a.port))
	}
	if strings.Contains(a.host, ":") {
		return "[" + a.host + "]"
	}
	return a.host
}

// httpURL returns the URL of a repository that is reached by HTTP, without a slash
// at its end.
func (a Address) httpURL() string { return strings.TrimSuffix(a.String(), "/") }
