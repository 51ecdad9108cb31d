package defaults_test

import (
	"maps"
	"strings"
	"testing"
)

// TestHistoricDefects holds the catalogue to what the historic one got wrong:
// variables that were misspelt, of another service, or not handed over.
func TestHistoricDefects(t *testing.T) {
	for _, test := range []struct{ service, variable, want string }{
		{"arome-france-high-loader", "AROME_FRANCE_HIGH_LOADER_DEBUG", "DEBUG=the-value"},
		{"meteoradar", "METEORADAR_SUCCESS_RATE", "--success-rate the-value "},
		{"metar", "METAR_SUCCESS_RATE", "--success-rate the-value "},
		{"taf", "TAF_SUCCESS_RATE", "--success-rate the-value "},
		{"metar", "METAR_TTL", "TTL=the-value"},
		{"taf", "TAF_TTL", "TTL=the-value"},
		{"centipede", "CENTIPEDE_TTL", "TTL=the-value"},
		{"openradiation", "OPENRADIATION_COMPLETE", "COMPLETE=the-value"},
	} {
		t.Run(test.variable, func(t *testing.T) {
			env := maps.Clone(environment(t))
			env[test.variable] = "the-value"
			if got := described(t, test.service, env); !strings.Contains(got, test.want) {
				t.Errorf("%s is not in\n%s", test.want, got)
			}
		})
	}
	// What had no default left an empty argument.
	for _, service := range []string{"meteoradar", "metar", "taf"} {
		if got := described(t, service, environment(t)); !strings.Contains(got, "--success-rate 0.75 ") {
			t.Errorf("%s has no success rate:\n%s", service, got)
		}
	}
	// Passwords of the databases are in no environment and no command.
	env := maps.Clone(environment(t))
	env["POSTGIS_ROOT_PASSWORD"], env["MARIADB_ROOT_PASSWORD"] = "the-value", "the-value"
	for service, kept := range map[string]string{"postgis": "volume       postgis_data", "mariadb": "volume       mariadb_data"} {
		if got := described(t, service, env); strings.Contains(got, "the-value") || !strings.Contains(got, kept) {
			t.Errorf("%s shows its password, or keeps no data:\n%s", service, got)
		}
	}
	// What was lost with a container is kept.
	for service, kept := range map[string]string{"registry": "registry_data -> /var/lib/registry", "loki": "loki_data -> /loki"} {
		if got := described(t, service, environment(t)); !strings.Contains(got, kept) {
			t.Errorf("%s keeps no data:\n%s", service, got)
		}
	}
}

// TestPrometheusSeesItsTargets: what the historic configuration left out.
func TestPrometheusSeesItsTargets(t *testing.T) {
	config := string(readCatalogue(t, "configs/prometheus/prometheus.config.tpl"))
	for _, want := range []string{
		`targets: ["localhost:9090"]`,                        // itself
		"[${PROMETHEUS_ADDITIONAL_TARGETS}]",                 // what the workspace adds
		"${DOCKER_BACK_NETWORK}", "${DOCKER_SOCKET_NETWORK}", // Traefik is on the latter
	} {
		if !strings.Contains(config, want) {
			t.Errorf("prometheus.config.tpl has no %s", want)
		}
	}
	if strings.Contains(config, "kargo-back") {
		t.Error("prometheus.config.tpl names a network that a workspace may call otherwise")
	}
	if got := described(t, "prometheus", environment(t)); !strings.Contains(got, "--collector.filesystem ") {
		t.Errorf("the alerts on disks need a collector that is off:\n%s", got)
	}
}

// described is a service of the catalogue with an environment, as the list in
// testdata has it.
func described(t *testing.T, service string, env map[string]string) string {
	t.Helper()
	file := serviceFile(t, service)
	config, err := load(t, file, env)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, composed := range config.Services {
		describe(&text, file, config, composed)
	}
	return text.String()
}
