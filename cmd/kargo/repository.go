package main

import (
	"net/mail"
	"time"

	"github.com/spf13/pflag"

	"kargo/gitsync"
	"kargo/gitsync/signature"
	"kargo/gitsync/wire"
)

// repositoryFlags say which repository is the workspace, and how it is reached.
type repositoryFlags struct {
	repo       string
	ref        string
	path       string
	access     accessFlags
	signatures signatureFlags
	timeout    time.Duration
	submodules []string
	depth      int
	limits     gitsync.Limits
	moved      moves
	author     mail.Address // of the commits that Kargo makes; the zero value makes none
}

func (r *repositoryFlags) flags(flags *pflag.FlagSet) {
	flags.StringVar(&r.repo, "repo", "", "`address` of the workspace repository: https://, ssh://, user@host:path or a local path")
	flags.StringVar(&r.ref, "ref", "", "branch or tag to follow by its `name`, a range of versions (semver:>=1.2 <2) or a full commit hash; by default the remote's HEAD")
	flags.StringVar(&r.path, "path", "", "`path` of the workspace in the repository; by default its root")
	r.access.flags(flags)
	r.signatures.flags(flags)
	flags.DurationVar(&r.timeout, "git-timeout", 2*time.Minute, "time limit of one fetch")
	flags.StringArrayVar(&r.submodules, "submodule-hosts", nil, "`host`, or host:port, from which submodules may be fetched; can be repeated")
	flags.IntVar(&r.depth, "depth", oneCommit, "`number` of commits to fetch: 1, or 0 to keep the whole history and fetch only new commits")
	limits := gitsync.DefaultLimits()
	flags.IntVar(&r.limits.Files, "max-files", limits.Files, "largest `number` of files and directories in a commit")
	flags.Int64Var(&r.limits.Bytes, "max-bytes", limits.Bytes, "largest `number` of bytes of all files of a commit, and of its download")
	flags.Int64Var(&r.limits.File, "max-file-bytes", limits.File, "largest `number` of bytes of one file")
}

// options returns the settings as package gitsync takes them. dir is where the
// clone is kept.
func (r *repositoryFlags) options(dir string) gitsync.Options {
	access := r.access.access()
	access.Moved = r.moved.note
	return gitsync.Options{
		URL: r.repo, Ref: r.ref, Path: r.path, Dir: dir, Access: access, Signatures: r.signatures.rules(), AllowRewind: r.signatures.rewind,
		AuthorName: r.author.Name, AuthorEmail: r.author.Address,
		Timeout: r.timeout, Limits: r.limits, SubmoduleHosts: r.submodules, History: r.depth == 0,
	}
}

// oneCommit is the depth at which no history is kept.
const oneCommit = 1

// optionsOfLayers returns the options for layers below a workspace that is a plain
// directory: there are no settings of a repository.
func optionsOfLayers() gitsync.Options {
	return (&repositoryFlags{depth: oneCommit}).options("")
}

// signatureFlags say whose signature a revision needs.
type signatureFlags struct {
	required   string
	repository string
	rewind     bool
	sshSigners secretSource
	pgpKeys    secretSource
}

func (s *signatureFlags) flags(flags *pflag.FlagSet) {
	flags.StringVar(&s.required, "verify-signatures", "", "`kind` of object that an allowed key must have signed: commit, tag or both; by default no signature is needed")
	flags.StringVar(&s.repository, "verify-repository", "", "`name` that what is signed must have in its message, as the line \"Kargo-Repository: NAME\" at its end, so that a signature for another repository does not count")
	flags.BoolVar(&s.rewind, "allow-rewind", false, "where signatures are verified, follow a commit that does not come after the one in force; by default a person must approve it")
	secretFlag(flags, &s.sshSigners, "verify-ssh-signers", "file with the SSH keys that may sign, in the form of git's gpg.ssh.allowedSignersFile")
	secretFlag(flags, &s.pgpKeys, "verify-pgp-keys", "file with the OpenPGP keys that may sign, armored")
}

func (s *signatureFlags) rules() signature.Rules {
	return signature.Rules{Required: signature.Required(s.required), SSHSigners: s.sshSigners.optional(), PGPKeys: s.pgpKeys.optional(), Repository: s.repository}
}

// accessFlags say how Kargo logs in to the host of a repository.
type accessFlags struct {
	username   string
	password   secretSource
	bearer     secretSource
	clientCert secretSource
	clientKey  secretSource
	ca         secretSource
	sshKey     secretSource
	passphrase secretSource
	knownHosts secretSource
	github     githubFlags
	proxy      proxyFlags
}

func (a *accessFlags) flags(flags *pflag.FlagSet) {
	flags.StringVar(&a.username, "git-username", "", "user `name` for https; a token needs none")
	secretFlag(flags, &a.password, "git-password", "file with the password or token for https")
	secretFlag(flags, &a.bearer, "git-bearer-token", "file with the bearer token for https")
	secretFlag(flags, &a.clientCert, "git-client-cert", "file with the client certificate for https")
	secretFlag(flags, &a.clientKey, "git-client-key", "file with the private key of the client certificate for https")
	secretFlag(flags, &a.ca, "git-ca", "file with certificates to trust for https, in addition to the system's")
	secretFlag(flags, &a.sshKey, "ssh-key", "file with the private key for ssh")
	secretFlag(flags, &a.passphrase, "ssh-passphrase", "file with the passphrase of the private key for ssh")
	secretFlag(flags, &a.knownHosts, "known-hosts", "file with the host keys to trust for ssh, which needs it")
	a.github.flags(flags)
	a.proxy.flags(flags)
}

func (a *accessFlags) access() wire.Access {
	return wire.Access{
		Username: a.username, Password: a.password.text(), BearerToken: a.bearer.text(),
		ClientCertificate: a.clientCert.optional(), ClientKey: a.clientKey.optional(), CA: a.ca.optional(),
		SSHKey: a.sshKey.optional(), SSHPassphrase: a.passphrase.optional(), KnownHosts: a.knownHosts.optional(),
		GitHubApp: a.github.app(), Proxy: a.proxy.proxy(),
	}
}

// githubFlags say as which GitHub App Kargo reads the repository.
type githubFlags struct {
	id           string
	installation string
	key          secretSource
	api          string
}

func (g *githubFlags) flags(flags *pflag.FlagSet) {
	flags.StringVar(&g.id, "github-app-id", "", "`number` of the GitHub App that reads the repository")
	flags.StringVar(&g.installation, "github-installation-id", "", "`number` of the installation of the GitHub App; by default it is looked up")
	secretFlag(flags, &g.key, "github-app-key", "file with the private key of the GitHub App")
	flags.StringVar(&g.api, "github-api", "", "`address` of GitHub's API; by default it follows from the host of the repository")
}

func (g *githubFlags) app() *wire.GitHubApp {
	if g.id == "" && !g.key.given() {
		return nil
	}
	return &wire.GitHubApp{ID: g.id, Installation: g.installation, Key: g.key.optional(), API: g.api}
}

// proxyFlags say through which proxy repositories are reached.
type proxyFlags struct {
	address  string
	username string
	password secretSource
}

func (p *proxyFlags) flags(flags *pflag.FlagSet) {
	flags.StringVar(&p.address, "git-proxy", "", "`address` of a proxy for https and ssh: http://, https:// or socks5://; by default HTTPS_PROXY, ALL_PROXY and NO_PROXY count")
	flags.StringVar(&p.username, "git-proxy-username", "", "user `name` for the git proxy")
	secretFlag(flags, &p.password, "git-proxy-password", "file with the password for the git proxy")
}

func (p *proxyFlags) proxy() wire.Proxy {
	return wire.Proxy{URL: p.address, Username: p.username, Password: p.password.text()}
}
