package gitsync

// SameHost tells whether two addresses of repositories are on one host, reached
// by one scheme and port: whether a credential of the one may be sent to the
// other. An address that is no address is on no host, and so is a local path.
func SameHost(a, b string) bool {
	first, errA := parsePlace(a)
	second, errB := parsePlace(b)
	if errA != nil || errB != nil || first.scheme == schemeLocal {
		return false
	}
	return first.scheme == second.scheme && first.host == second.host && first.port == second.port
}
