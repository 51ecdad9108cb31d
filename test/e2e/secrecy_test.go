package e2e_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	dockerswarm "github.com/docker/docker/api/types/swarm"

	"kargo"
)

// planted are the secrets of the rich run below, by what they are.
var planted = map[string]string{
	"git password":            gitReaderPassword,
	"wrong git password":      "planted-wrong-password",
	"webhook secret":          webhookSecret,
	"API token":               "planted-api-token",
	"notification secret":     "planted-notify-secret",
	"variable":                "planted-db-password",
	"variable, renewed":       "planted-renewed-password",
	"variable, set by hand":   "planted-by-hand",
	"content of a config":     "planted-config-content",
	"content of a secret":     "planted-secret-content",
	"content of a bad config": "planted-bad-content",
}

// outputs collects everything that anybody gets to see, by where.
type outputs map[string]string

// collect collects every output of a running controller.
func (o outputs) collect(s *scene, when string) {
	s.t.Helper()
	for _, args := range [][]string{{"status"}, {"status", "-o", "json"}, {"history"}, {"history", "-o", "json"}, {"history", "1"}, {"history", "2"}} {
		got := s.cli(args...)
		o[when+": kargo "+strings.Join(args, " ")] = got.String()
	}
	plan := []string{"plan", "--workspace", s.repo.dir, "--data", s.data, "--instance", s.prefix}
	o[when+": kargo plan"] = run(s.t, "/", s.env, plan...).String()
	o[when+": kargo plan -o json"] = run(s.t, "/", s.env, append(plan, "-o", "json")...).String()
	o[when+": kargo check"] = run(s.t, "/", nil, "check", "--workspace", s.repo.dir).String()
	for _, path := range []string{"/", "/deployments/1", "/deployments/2", "/metrics", "/healthz", "/readyz", "/api/v1/status", "/api/v1/deployments", "/api/v1/deployments/1", "/deployments", "/nothing"} {
		o[when+": page "+path] = s.page(path)
	}
	o[when+": labels"] = s.labels()
}

// page is what the server says to somebody with the token.
func (s *scene) page(path string) string {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.address()+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+planted["API token"])
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return fmt.Sprint(response.Status, response.Header, string(body))
}

// labels are those of everything that runs: anybody on the Swarm reads them.
func (s *scene) labels() string {
	s.t.Helper()
	live := s.live()
	var all []any
	for _, service := range live.Services {
		all = append(all, service.Name, service.Spec.Labels, service.Spec.TaskTemplate.ContainerSpec.Labels)
	}
	for _, network := range live.Networks {
		all = append(all, network.Name, network.Labels)
	}
	for _, config := range live.Configs {
		all = append(all, config.Name, config.Labels)
	}
	return asJSON(s.t, all)
}

// TestS14_S17_S19_SecretsAreNowhereToBeSeen plants secrets wherever one can be, lets
// everything happen that can, failures above all, and searches all that was
// said.
func TestS14_S17_S19_SecretsAreNowhereToBeSeen(t *testing.T) {
	t.Parallel()
	s, _ := onGitHost(t, webhookSecretFile(t)...)
	notified := notificationSink(t)
	s.args = append(s.args, "--notify-url", notified.url)
	s.env = append(s.env, "KARGO_API_TOKEN="+planted["API token"], "KARGO_NOTIFY_SECRET="+planted["notification secret"])
	seen := outputs{}

	w := s.workspace().stack("web", "site", "db").set("DB_PASSWORD", planted["variable"]).
		service("site", environment("DB_PASSWORD=${DB_PASSWORD}", "DB_URL=postgres://app:${DB_PASSWORD}@db/app"), command("serve --password ${DB_PASSWORD}"),
			config("/app.conf", "configs/app.conf")).
		service("db", secret("db", "configs/db.txt")).
		file("configs/app.conf.tpl", planted["content of a config"]+" $DB_PASSWORD\n").
		file("configs/db.txt", planted["content of a secret"]+"\n")
	push := func() string {
		commit := s.repo.commit(w)
		s.repo.push()
		return commit
	}

	// A first deployment, after Docker refused it in words that quote it.
	push()
	s.docker.meddle(quoting)
	s.start()
	s.awaitStatus("Docker's words are in the status", func(k kargo.Status) bool { return strings.Contains(k.Message, "invalid spec") })
	seen.collect(s, "refused by Docker")
	s.docker.meddle(nil)
	// What Docker refused is not tried again before it changes.
	w.file("configs/app.conf.tpl", planted["content of a config"]+" $DB_PASSWORD again\n")
	push()
	s.sync()
	until(t, "the services run", func() bool { return len(s.services()) == 2 })
	seen.collect(s, "deployed")

	// The password is renewed, then somebody changes it by hand.
	w.set("DB_PASSWORD", planted["variable, renewed"])
	commit := push()
	s.sync()
	s.awaitDeployment(commit)
	seen.collect(s, "renewed")
	before := s.history()[0].Number
	s.change(s.service("web", "site"), func(spec *dockerswarm.ServiceSpec) {
		spec.TaskTemplate.ContainerSpec.Env = []string{"DB_PASSWORD=" + planted["variable, set by hand"],
			"DB_URL=postgres://app:" + planted["variable, set by hand"] + "@db/app"}
	})
	s.awaitCorrection(before)
	seen.collect(s, "changed by hand")

	// Revisions that are refused.
	for _, content := range []string{"services: [" + planted["content of a bad config"], "services:\n  site: {image: x, nonsense: \"${DB_PASSWORD}\"}\n"} {
		bad := w.clone().file("deploy/site.yml", content)
		commit = s.repo.commit(bad)
		s.repo.push()
		s.sync()
		s.awaitStatus("the head is refused", func(k kargo.Status) bool { return k.Head.Commit == commit && k.Fault == "invalid" })
		seen.collect(s, "refused")
	}

	// Webhooks and requests with wrong secrets; git with a wrong password.
	s.deliver("{}", "wrong")
	s.deliver("{}", webhookSecret)
	writeFile(t, filepath.Join(s.data, "git-password"), planted["wrong git password"])
	s.sync()
	s.awaitFault("unavailable", "refuses the user name or the password")
	seen.collect(s, "git refuses")

	s.stop()
	seen["log"] = s.log()
	seen["notifications"] = notified.text()
	seen.search(t, planted)
}

// search looks for every planted secret, plain and in base64.
func (o outputs) search(t *testing.T, planted map[string]string) {
	t.Helper()
	for where, text := range o {
		if text == "" {
			t.Errorf("%s is empty", where)
		}
		for what, secret := range planted {
			for _, form := range []string{secret, base64.StdEncoding.EncodeToString([]byte(secret))} {
				if i := strings.Index(text, form); i >= 0 {
					t.Errorf("%s shows the %s: …%s…", where, what, text[max(0, i-100):i+len(form)])
				}
			}
		}
	}
}

// quoting refuses services in words that quote their environment, as a daemon
// may.
func quoting(w http.ResponseWriter, r *http.Request, swarm http.Handler) {
	if !isWrite(describe(r)) || !strings.Contains(r.URL.Path, "/services/") {
		swarm.ServeHTTP(w, r)
		return
	}
	var spec dockerswarm.ServiceSpec
	err := json.NewDecoder(r.Body).Decode(&spec)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusBadRequest)
	_ = json.NewEncoder(w).Encode(map[string]string{
		"message": fmt.Sprintf("rpc error: code = InvalidArgument desc = invalid spec: %v %v %v", spec.TaskTemplate.ContainerSpec.Env, spec.TaskTemplate.ContainerSpec.Args, err),
	})
}
