package defaults_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// TestConfigsParse finds a slip in a configuration before a container does.
func TestConfigsParse(t *testing.T) {
	ws, _ := workspace(t, required, []string{"redis"})
	for name, file := range ws.Files {
		if !strings.HasPrefix(name, "configs/") {
			continue
		}
		var err error
		switch path.Ext(name) {
		case ".yml", ".config", ".conf":
			var parsed map[string]any
			err = yaml.Unmarshal(file.Data, &parsed)
		case ".json":
			var parsed map[string]any
			err = json.Unmarshal(file.Data, &parsed)
		case ".xml":
			err = wellFormed(file.Data)
		}
		if err != nil {
			t.Errorf("parse %s: %v", name, err)
		}
	}
}

func wellFormed(data []byte) error {
	decoder := xml.NewDecoder(bytes.NewReader(data))
	for {
		if _, err := decoder.Token(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// dashboard is what the tests read of a dashboard.
type dashboard struct {
	UID    string
	Panels []struct {
		Title   string
		GridPos struct{ X, Y, W, H int }
		Targets []struct {
			Datasource struct{ UID string }
		}
	}
}

// TestDashboards checks what Grafana would only show as an empty panel.
func TestDashboards(t *testing.T) {
	seen := map[string]string{}
	for _, file := range dashboardFiles(t) {
		var board dashboard
		if err := json.Unmarshal(readCatalogue(t, file), &board); err != nil {
			t.Fatal(err)
		}
		if other, taken := seen[board.UID]; taken || board.UID == "" {
			t.Errorf("%s: its uid %q is that of %q", file, board.UID, other)
		}
		seen[board.UID] = file
		for _, panel := range board.Panels {
			if panel.GridPos.X+panel.GridPos.W > 24 {
				t.Errorf("%s: panel %q is wider than the page", file, panel.Title)
			}
			for _, target := range panel.Targets {
				if uid := target.Datasource.UID; uid != "prometheus" && uid != "loki" {
					t.Errorf("%s: panel %q asks data source %q", file, panel.Title, uid)
				}
			}
		}
	}
	if len(seen) == 0 {
		t.Fatal("the catalogue has no dashboards")
	}
}

// TestKargoMetricsExist holds alerts and dashboards to the metrics that Kargo
// has: one that is misspelt never fires.
func TestKargoMetricsExist(t *testing.T) {
	source, err := os.ReadFile("../server/metrics.go")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, match := range regexp.MustCompile(`(?:describe\("|"kargo_)([a-z_]+)"`).FindAllSubmatch(source, -1) {
		known["kargo_"+string(match[1])] = true
	}
	used := 0
	for _, file := range append(dashboardFiles(t), "configs/prometheus/rules/kargo.yml") {
		for _, name := range regexp.MustCompile(`\bkargo_[a-z_]+`).FindAllString(string(readCatalogue(t, file)), -1) {
			used++
			if !known[strings.TrimSuffix(name, "_bucket")] {
				t.Errorf("%s: Kargo has no metric %s", file, name)
			}
		}
	}
	if used == 0 {
		t.Error("no file asks for any metric of Kargo")
	}
}

// TestRulesAreMounted finds rules and dashboards that lie in the catalogue and
// reach no container.
func TestRulesAreMounted(t *testing.T) {
	for service, folder := range map[string]string{
		"deploy/prometheus.yml": "configs/prometheus/rules/",
		"deploy/grafana.yml":    "configs/grafana/provisioning/",
	} {
		compose := string(readCatalogue(t, service))
		for _, file := range cataloguePaths(t) {
			if strings.HasPrefix(file, folder) && !strings.Contains(compose, "file: ./../"+file+"\n") {
				t.Errorf("%s does not mount %s", service, file)
			}
		}
	}
}

func dashboardFiles(t *testing.T) []string {
	t.Helper()
	return slices.DeleteFunc(cataloguePaths(t), func(file string) bool {
		return path.Dir(file) != "configs/grafana/provisioning/dashboards" || path.Ext(file) != ".json"
	})
}
