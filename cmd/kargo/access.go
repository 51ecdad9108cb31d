package main

import (
	"github.com/spf13/pflag"

	"kargo/gitsync"
	"kargo/gitsync/wire"
)

// gitAccess is what it takes to get at a repository beside a password or a key.
type gitAccess struct {
	bearer          secretSource
	clientCert      secretSource
	clientKey       secretSource
	proxy           string
	proxyUsername   string
	proxyPassword   secretSource
	appID           string
	appInstallation string
	appKey          secretSource
	appAPI          string
}

func (g *gitAccess) flags(flags *pflag.FlagSet) {
	flags.StringVar(&g.bearer.file, "git-bearer-token-file", "", "`file` with a token for https hosts that want it as a bearer's (or KARGO_GIT_BEARER_TOKEN)")
	flags.StringVar(&g.clientCert.file, "git-client-cert-file", "", "`file` with the client certificate for https (or KARGO_GIT_CLIENT_CERT)")
	flags.StringVar(&g.clientKey.file, "git-client-key-file", "", "`file` with the key of that certificate (or KARGO_GIT_CLIENT_KEY)")
	flags.StringVar(&g.appID, "github-app-id", "", "`ID` of a GitHub App that reads the repository")
	flags.StringVar(&g.appInstallation, "github-installation-id", "", "`number` of the app's installation; looked up if empty")
	flags.StringVar(&g.appKey.file, "github-app-key-file", "", "`file` with the app's private key (or KARGO_GITHUB_APP_KEY)")
	flags.StringVar(&g.appAPI, "github-api", "", "`address` of GitHub's API; by the repository's host if empty")
	g.proxyFlags(flags)
}

func (g *gitAccess) proxyFlags(flags *pflag.FlagSet) {
	flags.StringVar(&g.proxy, "git-proxy", "", "`address` of a proxy for https and ssh: http://, https:// or socks5://; HTTPS_PROXY, ALL_PROXY and NO_PROXY if empty")
	flags.StringVar(&g.proxyUsername, "git-proxy-username", "", "user `name` for that proxy")
	flags.StringVar(&g.proxyPassword.file, "git-proxy-password-file", "", "`file` with the password for that proxy (or KARGO_GIT_PROXY_PASSWORD)")
}

func (g *gitAccess) through() wire.Proxy {
	return wire.Proxy{URL: g.proxy, Username: g.proxyUsername, Password: g.proxyPassword.text()}
}

// complete puts the access into the options of a repository.
func (g *gitAccess) complete(options gitsync.Options) gitsync.Options {
	options.BearerToken = g.bearer.text()
	options.ClientCertificate, options.ClientKey = g.clientCert.optional(), g.clientKey.optional()
	options.Proxy = g.through()
	if g.appID != "" || g.appKey.given() {
		options.GitHubApp = &wire.GitHubApp{ID: g.appID, Installation: g.appInstallation, Key: g.appKey.optional(), API: g.appAPI}
	}
	return options
}
