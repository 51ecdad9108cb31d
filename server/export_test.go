package server

// ProviderNames are the names of the senders of webhooks.
func ProviderNames() (names []string) {
	for _, provider := range providers {
		names = append(names, provider.name)
	}
	return names
}

// CommitAddress is commitAddress, for its table of forges.
var CommitAddress = commitAddress
