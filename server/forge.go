package server

import (
	"net/url"
	"strings"

	"kargo"
	"kargo/pattern"
)

// forges say how those who host git write the address of a commit, after that of the
// repository. The first one whose part of a name is in the host counts.
var forges = []struct{ host, commit string }{
	{"github", "/commit/"},
	{"gitlab", "/-/commit/"},
	{"gitea", "/commit/"},
	{"forgejo", "/commit/"},
	{"codeberg", "/commit/"},
	{"bitbucket.org", "/commits/"},
	{"dev.azure.com", "/commit/"},
	{"visualstudio.com", "/commit/"},
}

// commitPlace stands for the commit in an address that the operator gives.
const commitPlace = "{commit}"

var (
	isHash = pattern.Lazy(`^[0-9a-f]{7,64}$`)
	// scpLike is an address as "git@github.com:owner/repository.git".
	scpLike = pattern.Lazy(`^(?:[^@/:]+@)?([^@/:]+):([^/].*)$`)
	// Bitbucket's own server and Azure have other paths for git than for browsers.
	bitbucketServer = pattern.Lazy(`^(.*?)/scm/([^/]+)/([^/]+)$`)
	azureSSH        = pattern.Lazy(`^/?v3/([^/]+)/([^/]+)/([^/]+)$`)
)

// commitAddress returns the address of a commit for a browser, or "" if none is known.
// pattern is what the operator says about it: an address with {commit} in it.
func commitAddress(repository, pattern, commit string) string {
	if !isHash().MatchString(commit) {
		return ""
	}
	if pattern != "" {
		return strings.ReplaceAll(pattern, commitPlace, commit)
	}
	host, path := forgeOf(repository)
	if found := azureSSH().FindStringSubmatch(path); found != nil && host == "ssh.dev.azure.com" {
		return "https://dev.azure.com/" + found[1] + "/" + found[2] + "/_git/" + found[3] + "/commit/" + commit
	}
	if found := bitbucketServer().FindStringSubmatch(path); found != nil {
		return "https://" + host + found[1] + "/projects/" + strings.ToUpper(found[2]) + "/repos/" + found[3] + "/commits/" + commit
	}
	name, _, _ := strings.Cut(host, ":")
	for _, forge := range forges {
		if strings.Contains(name, forge.host) {
			return "https://" + host + path + forge.commit + commit
		}
	}
	return ""
}

// forgeOf returns the host of a repository for https, and its path without ".git".
func forgeOf(repository string) (host, path string) {
	address, err := url.Parse(repository)
	switch {
	case err == nil && (address.Scheme == "https" || address.Scheme == "http"):
		host, path = address.Host, address.Path
	case err == nil && address.Scheme == "ssh":
		host, path = address.Hostname(), address.Path // the port is that of ssh
	case scpLike().MatchString(repository):
		found := scpLike().FindStringSubmatch(repository)
		host, path = found[1], "/"+found[2]
	}
	return host, strings.TrimSuffix(strings.TrimSuffix(path, "/"), ".git")
}

// CheckCommitURL returns an Invalid error if a pattern is no address of a commit.
func CheckCommitURL(pattern string) error {
	address, err := url.Parse(pattern)
	if pattern != "" && (err != nil || address.Scheme != "https" && address.Scheme != "http" || address.Host == "" || !strings.Contains(pattern, commitPlace)) {
		return kargo.Errorf(kargo.Invalid, "%q is no address of a commit, such as https://git.example.com/ops/platform/commit/%s", pattern, commitPlace)
	}
	return nil
}
