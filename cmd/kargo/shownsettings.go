package main

import (
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// shownSettings returns the settings that differ from their defaults, as they may
// be shown: secrets lie in files, and of addresses what could be one is left out.
func shownSettings(flags *pflag.FlagSet) map[string]string {
	shown := map[string]string{"version": version}
	flags.Visit(func(flag *pflag.Flag) {
		if !slices.Contains([]string{"config", "color", "log-format", "log-level"}, flag.Name) {
			shown[flag.Name] = shownSetting(flag.Name, flag.Value.String())
		}
	})
	return shown
}

func shownSetting(name, value string) string {
	if !strings.Contains(value, "://") {
		return value
	}
	address, err := url.Parse(value)
	switch {
	case err != nil || address.Host == "":
		return "(an address)"
	case name == "notify-url": // of Slack and others the path is the secret
		return address.Scheme + "://" + address.Host
	}
	return address.Scheme + "://" + address.Host + address.Path
}
