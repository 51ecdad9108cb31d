package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kargo"
)

// TestPrivateRepository reads one repository in every way there is, right and
// wrong, with one round each. Nothing of it needs Docker to be real.
func TestPrivateRepository(t *testing.T) {
	t.Parallel()
	host := newGitHost(t)
	local := newRepository(t)
	path := host.host(local)
	local.commit(newWorkspace("t").stack("web", "site").service("site"))
	local.push()

	dir := shortTempDir(t)
	file := func(name, content string) string {
		writeFile(t, filepath.Join(dir, name), content)
		return filepath.Join(dir, name)
	}
	password, wrong := file("password", gitReaderPassword+"\n"), file("wrong", "not-the-password\n")
	ca := os.Getenv("KARGO_TEST_GIT_CA")
	key, hosts := host.file("ssh/ro"), host.file("ssh/known_hosts")
	strange, err := os.ReadFile(hosts)
	if err != nil {
		t.Fatal(err)
	}
	// A key of the same kind under the same name that is not the host's.
	otherHosts := file("other-hosts", strings.ReplaceAll(string(strange), lastField(string(strange)), lastField(publicKey(t, host.file("ssh/ro.pub")))))
	otherKey := host.file("ssh/host")

	for _, test := range []struct {
		name, protocol string
		args, env      []string
		code           int
		want           string // in what it says
	}{
		{name: "https, token from a file", protocol: "HTTPS", args: []string{"--git-ca-file", ca, "--git-username", "kargo", "--git-password-file", password}, want: "in force: "},
		{name: "https, token from a variable", protocol: "HTTPS", args: []string{"--git-ca-file", ca, "--git-username", "kargo"},
			env: []string{"KARGO_GIT_PASSWORD=" + gitReaderPassword}, want: "in force: "},
		{name: "https, wrong token", protocol: "HTTPS", args: []string{"--git-ca-file", ca, "--git-username", "kargo", "--git-password-file", wrong},
			code: 3, want: "the server refuses the user name or the password"},
		{name: "https, no token", protocol: "HTTPS", args: []string{"--git-ca-file", ca}, code: 3, want: "the server asks for a password"},
		{name: "https, token file that is not there", protocol: "HTTPS", args: []string{"--git-ca-file", ca, "--git-password-file", "/nowhere/token"},
			code: 3, want: "read the password: "},
		{name: "https, unknown authority", protocol: "HTTPS", args: []string{"--git-username", "kargo", "--git-password-file", password},
			code: 3, want: "certificate signed by unknown authority"},
		{name: "http on loopback", protocol: "HTTP", args: []string{"--git-username", "kargo", "--git-password-file", password}, want: "in force: "},
		{name: "http, wrong token", protocol: "HTTP", args: []string{"--git-username", "kargo", "--git-password-file", wrong},
			code: 3, want: "the server refuses the user name or the password"},
		{name: "ssh", protocol: "SSH", args: []string{"--ssh-key-file", key, "--known-hosts-file", hosts}, want: "in force: "},
		{name: "ssh, no key", protocol: "SSH", args: []string{"--known-hosts-file", hosts}, code: 2, want: "SSH needs a private key"},
		{name: "ssh, no known hosts", protocol: "SSH", args: []string{"--ssh-key-file", key}, code: 2, want: "SSH needs a known_hosts file"},
		{name: "ssh, empty known hosts", protocol: "SSH", args: []string{"--ssh-key-file", key, "--known-hosts-file", file("no-hosts", "")},
			code: 3, want: "the host is not in known_hosts"},
		{name: "ssh, another host key", protocol: "SSH", args: []string{"--ssh-key-file", key, "--known-hosts-file", otherHosts},
			code: 3, want: "the host key is not the one in known_hosts"},
		{name: "ssh, a key the host does not know", protocol: "SSH", args: []string{"--ssh-key-file", otherKey, "--known-hosts-file", hosts},
			code: 3, want: "the host refuses the SSH key"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := inMemory(t)
			address := host.url(test.protocol, "") + "/" + path
			args := append([]string{"apply", "--data", s.data, "--repo", address, "--instance", s.prefix}, test.args...)
			got := run(t, "/", append(s.env, test.env...), args...)
			if got.code != test.code || !strings.Contains(got.stdout+got.stderr, test.want) {
				t.Errorf("want exit %d and %q, got %s", test.code, test.want, got)
			}
			if services := len(s.services()); (services == 1) != (test.code == 0) {
				t.Errorf("%d services run", services)
			}
			for _, secret := range []string{gitReaderPassword, "not-the-password"} {
				if strings.Contains(got.String(), secret) {
					t.Errorf("the password is in the output: %s", got)
				}
			}
		})
	}
}

func publicKey(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	kind, key, _ := strings.Cut(string(data), " ")
	key, _, _ = strings.Cut(key, " ")
	return kind + " " + key
}

func lastField(text string) string {
	fields := strings.Fields(text)
	return fields[len(fields)-1]
}

// A token that expires and is renewed in its file needs no restart.
func TestRenewedToken(t *testing.T) {
	t.Parallel()
	s, _ := onGitHost(t)
	w := s.workspace().stack("web", "site").service("site")
	first := s.repo.commit(w)
	s.repo.push()
	s.start()
	s.awaitDeployment(first)
	password := filepath.Join(s.data, "git-password")
	writeFile(t, password, "expired\n")
	commit := s.repo.commit(w.file("README.md", "# Platform\n"))
	s.repo.push()
	s.sync()
	s.awaitFault("unavailable", "the server refuses the user name or the password")
	writeFile(t, password, gitReaderPassword+"\n")
	if got := s.awaitDeployment(commit); got.Outcome != kargo.OutcomeSucceeded {
		t.Errorf("the deployment %s", got.Outcome)
	}
}
