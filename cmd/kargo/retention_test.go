package main

import (
	"testing"
	"time"

	"github.com/spf13/pflag"

	"kargo/history"
)

func TestRetentionSettings(t *testing.T) {
	for _, test := range []struct {
		args string // one
		want history.Retention
		err  string
	}{
		{"", history.Retention{Deployments: 1000}, ""},
		{"--history-keep=0", history.Retention{}, ""},
		{"--history-keep=10000", history.Retention{Deployments: 10000}, ""},
		{"--history-age=90d", history.Retention{Deployments: 1000, Age: 2160 * time.Hour}, ""},
		{"--history-age=2160h", history.Retention{Deployments: 1000, Age: 2160 * time.Hour}, ""},
		{"--history-age=0", history.Retention{Deployments: 1000}, ""},
		{"--history-size=64", history.Retention{Deployments: 1000, Bytes: 64 << 20}, ""},
		{"--history-keep=-1", history.Retention{}, `invalid argument "-1" for "--history-keep" flag: it is no number from 0 to 2147483647`},
		{"--history-age=1.5d", history.Retention{}, `invalid argument "1.5d" for "--history-age" flag: it is no number of days from 0 to 106751`},
		{"--history-age=200000d", history.Retention{}, `invalid argument "200000d" for "--history-age" flag: it is no number of days from 0 to 106751`},
		{"--history-age=-1h", history.Retention{}, `invalid argument "-1h" for "--history-age" flag: it is no duration such as 90d or 2160h`},
	} {
		flags, settings := pflag.NewFlagSet("", pflag.ContinueOnError), retentionFlags{}
		settings.flags(flags)
		err := flags.Parse([]string{test.args})
		said := ""
		if err != nil {
			said = err.Error()
		}
		if said != test.err || err == nil && settings.retention() != test.want {
			t.Errorf("%s: %+v, %q", test.args, settings.retention(), said)
		}
	}
}
