package e2e_test

import (
	"bytes"
	"compress/gzip"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"image/color"
	"image/png"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"kargo"
)

// catalogueWorkspace is what TestCatalogueSoftware deploys.
const catalogueWorkspace = "../bed/catalogue/workspace"

// startup is how long the slowest service may take to become healthy: MapServer
// is looked at every minute.
const startup = 4 * time.Minute

// TestCatalogueSoftware deploys services of the catalogue with real software,
// and checks what they do for each other. Their images are made by
// test/bed/catalogue from Debian and npm packages. `make catalogue` runs it.
//
// The default files run unchanged; the workspace names images, labels and
// passwords. Some of Debian's versions are older than the catalogue's
// (Prometheus 2.42, Alertmanager 0.25, PostGIS 3.3 on PostgreSQL 15, MariaDB
// 10.11, MapServer 8.0, Redis 7.0, registry 2.8). They read the same files.
//
// Traefik and FerretDB, which speaks MongoDB's protocol, are built from their
// Go modules. Kano and Weacast are stand-ins on the real feathers-distributed.
//
// Not available are cAdvisor, which therefore gets no task, Grafana, Loki, the
// exporter of MongoDB, THREDDS and the images of Kalisio.
func TestCatalogueSoftware(t *testing.T) {
	if os.Getenv("KARGO_TEST_CATALOGUE") == "" {
		t.Skip("`make catalogue` runs this: it wants images of real software")
	}
	b := newSoftwareBed(t)
	b.deploy()

	t.Run("healthy", b.checkHealth)
	t.Run("in sync", b.checkSync)
	t.Run("redis", b.checkRedis)
	t.Run("databases", b.checkDatabases)
	t.Run("map", b.checkMap)
	t.Run("tile", b.checkTile)
	t.Run("mongodb", b.checkMongoDB)
	t.Run("applications", b.checkApplications)
	t.Run("routes", b.checkRoutes)
	t.Run("monitoring", b.checkMonitoring)
	t.Run("registry", b.checkRegistry)
	t.Run("change", b.checkChange)
}

// softwareBed is the test bed with two nodes that have the images, and a
// controller on its git host.
type softwareBed struct {
	*scene
	t      *testing.T
	source []string // where the repository is, in the program's flags
}

func newSoftwareBed(t *testing.T) *softwareBed {
	t.Helper()
	s := onDocker(t)
	host := newGitHost(t)
	b := &softwareBed{scene: s, t: t}
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte(gitReaderPassword), 0o600); err != nil {
		t.Fatal(err)
	}
	b.source = []string{"--instance", s.prefix, "--repo", host.url("HTTP", "") + "/" + host.host(s.repo),
		"--git-username", gitReader, "--git-password-file", password}
	b.controller = newController(t, []string{"DOCKER_HOST=unix://" + s.docker.socket},
		append(b.source, "--interval", "1h", "--verify", "10s")...)
	return b
}

// deploy pushes the workspace and waits until everything has started.
func (b *softwareBed) deploy() {
	b.t.Helper()
	if err := os.CopyFS(b.repo.dir, os.DirFS(catalogueWorkspace)); err != nil {
		b.t.Fatal(err)
	}
	b.addTiles()
	b.repo.commitAll()
	b.repo.push()
	b.start()
	within(b.t, startup, "all services are healthy", func() bool {
		status := b.status()
		return len(status.Stacks) > 0 && !slices.ContainsFunc(status.Stacks, func(s kargo.StackStatus) bool {
			return s.Health != kargo.HealthHealthy
		})
	})
}

// addTiles makes the data that are no part of a workspace, and says where they are.
func (b *softwareBed) addTiles() {
	b.t.Helper()
	data := b.t.TempDir()
	if out, err := exec.Command("../bed/catalogue/mkmbtiles", filepath.Join(data, "world.mbtiles")).CombinedOutput(); err != nil {
		b.t.Fatalf("make tiles: %v\n%s", err, out)
	}
	env, err := os.OpenFile(filepath.Join(b.repo.dir, ".env"), os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = fmt.Fprintf(env, "\nTILESERVERGL_DATA_PATH=%s\nMAPSERVER_DATA_PATH=%s\n", data, data)
	}
	if err == nil {
		err = env.Close()
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

// checkHealth looks at every container, because Swarm says less about a task.
func (b *softwareBed) checkHealth(t *testing.T) {
	for _, node := range strings.Fields(testBed(t, "KARGO_TEST_NODES")) {
		ids := strings.Fields(dockerAt(t, node, "ps", "-q", "--filter", "label=com.docker.swarm.service.name"))
		if len(ids) == 0 {
			t.Errorf("nothing runs on %s", node)
			continue
		}
		format := "{{index .Config.Labels \"com.docker.swarm.service.name\"}} {{if .State.Health}}{{.State.Health.Status}}{{else}}unchecked{{end}}"
		for line := range strings.Lines(dockerAt(t, node, append([]string{"inspect", "-f", format}, ids...)...)) {
			name, state, _ := strings.Cut(strings.TrimSpace(line), " ")
			// These have no check in the catalogue.
			unchecked := strings.HasSuffix(name, "_adminer") || strings.HasSuffix(name, "_redis-commander")
			if state != "healthy" && !(unchecked && state == "unchecked") {
				t.Errorf("%s on %s is %s", name, node, state)
			}
		}
	}
}

// checkSync asks for the state of all stacks, and for a second plan.
func (b *softwareBed) checkSync(t *testing.T) {
	for _, stack := range b.status().Stacks {
		if !stack.InSync || stack.Health != kargo.HealthHealthy {
			t.Errorf("stack %s: in sync is %t, health is %s: %s", stack.Name, stack.InSync, stack.Health, stack.Message)
		}
	}
	b.awaitStatus("everything has settled", func(k kargo.Status) bool { return len(k.Pending.Changes)+len(k.Pending.Held) == 0 })
	got := run(t, b.data, []string{"DOCKER_HOST=unix://" + b.docker.socket}, append([]string{"plan", "--data", b.data}, b.source...)...)
	if got.stdout != "nothing to do\n" {
		t.Errorf("a second plan: %s", got)
	}
}

// checkRedis reads by Redis Commander what was written to Redis.
func (b *softwareBed) checkRedis(t *testing.T) {
	b.exec(t, "n1", "dbs_redis", "redis-cli", "set", "greeting", "hello")
	got := b.exec(t, "n1", "dbs_redis-commander", "wget", "-qO-", "http://127.0.0.1:8081/apiv1/key/R:redis:6379:0/greeting")
	if !strings.Contains(got, "hello") {
		t.Errorf("Redis Commander shows %q", got)
	}
}

// checkDatabases logs in to both by Adminer's page, from another node.
func (b *softwareBed) checkDatabases(t *testing.T) {
	for _, database := range []struct{ driver, server, user, password, name, shows string }{
		{"pgsql", "postgis", "postgres", "postgis-pw", "postgres", "spatial_ref_sys"},
		{"server", "mariadb", "root", "mariadb-pw", "mysql", "time_zone_leap_second"},
	} {
		form := fmt.Sprintf("auth[driver]=%s&auth[server]=%s&auth[username]=%s&auth[password]=%s&auth[db]=%s",
			database.driver, database.server, database.user, database.password, database.name)
		page := b.exec(t, "n2", "dbs_adminer", "wget", "-qO-", "--keep-session-cookies",
			"--save-cookies=/tmp/cookies", "--load-cookies=/tmp/cookies", "--post-data="+form, "http://127.0.0.1:8080/")
		if !strings.Contains(page, database.shows) {
			t.Errorf("Adminer does not show the table %s of %s:\n%s", database.shows, database.server, page)
		}
	}
}

// The map's colour, before and after the change.
var red, blue = color.RGBA{200, 60, 60, 255}, color.RGBA{60, 60, 200, 255}

const getMap = "SERVICE=WMS&VERSION=1.3.0&REQUEST=GetMap&LAYERS=rectangle&STYLES=&CRS=EPSG:4326&BBOX=-90,-180,90,180&WIDTH=64&HEIGHT=32&FORMAT=image/png"

// checkMap draws a map through the gateway: with the right password only, and
// by the name of the route, because `express-gateway` is that of its admin API.
func (b *softwareBed) checkMap(t *testing.T) {
	ask := func(password string) (string, error) {
		return dockerOutput("n2", "exec", b.container(t, "n2", "dbs_adminer"), "wget", "-SO-", "--auth-no-challenge",
			"--user=desktop", "--password="+password, "--header=Host: api.example.org", "http://express-gateway:8080/wms?"+getMap)
	}
	picture, err := ask("desktop-pw")
	if err != nil {
		t.Fatal(err)
	}
	if got := middle(t, picture); got != red {
		t.Errorf("the middle of the map is %v", got)
	}
	if _, err := ask("wrong"); err == nil || !strings.Contains(err.Error(), "401 Unauthorized") {
		t.Errorf("with a wrong password the gateway says %v", err)
	}

	// A token is good for what its program may ask for, and for nothing else.
	withToken := func(keyID string) (string, error) {
		return dockerOutput("n2", "exec", b.container(t, "n2", "dbs_adminer"), "wget", "-SO-",
			"--header=Authorization: Bearer "+webToken(keyID), "--header=Host: api.example.org", "http://express-gateway:8080/wms?"+getMap)
	}
	if picture, err = withToken("viewer-key"); err != nil || middle(t, picture) != red {
		t.Errorf("with a token the map is %d bytes, %v", len(picture), err)
	}
	if _, err := withToken("tiles-key"); err == nil || !strings.Contains(err.Error(), "401 Unauthorized") {
		t.Errorf("with a token for tiles only the gateway says %v", err)
	}
	metrics := b.exec(t, "n2", "dbs_adminer", "wget", "-qO-", "--header=Host: api.example.org", "http://express-gateway:8080/metrics")
	for _, line := range []string{`eg{type="SUCCESS",status_code="200",consumer="desktop",api_endpoint="wms"} 1`,
		`eg{type="FAILED",status_code="401",consumer="tiles",api_endpoint="wms"} 1`} {
		if !strings.Contains(metrics, line) {
			t.Errorf("the gateway's metrics lack %s:\n%s", line, metrics)
		}
	}
}

// webToken is a token as a web application makes them, for the gateway of the
// workspace.
func webToken(keyID string) string {
	part := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	signed := part(`{"alg":"HS256","typ":"JWT"}`) + "." + part(fmt.Sprintf(`{"aud":"example.org","sub":%q}`, keyID))
	mac := hmac.New(sha256.New, []byte("gateway-pw"))
	mac.Write([]byte(signed))
	return signed + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// checkTile gets the one tile there is.
func (b *softwareBed) checkTile(t *testing.T) {
	tile := b.exec(t, "n2", "dbs_adminer", "wget", "-qO-", "http://tileservergl/data/world/0/0/0.pbf")
	if reader, err := gzip.NewReader(strings.NewReader(tile)); err == nil {
		plain, err := io.ReadAll(reader)
		if err != nil {
			t.Fatal(err)
		}
		tile = string(plain)
	}
	if !strings.Contains(tile, "world") {
		t.Errorf("the tile is %q", tile)
	}
}

// checkMongoDB reads by Mongo Express's page what the shell of MongoDB wrote.
func (b *softwareBed) checkMongoDB(t *testing.T) {
	b.exec(t, "n1", "dbs_mongodb", "mongosh", "--quiet", "mongodb://localhost:27017/layers",
		"--eval", "db.catalog.insertOne({ name: 'relief' })")
	// The first page has Mongo Express look for databases again.
	b.exec(t, "n2", "dbs_mongo-express", "wget", "-qO-", "http://127.0.0.1:8081/")
	page := b.exec(t, "n2", "dbs_mongo-express", "wget", "-qO-", "http://127.0.0.1:8081/db/layers/catalog")
	if !strings.Contains(page, "relief") {
		t.Errorf("Mongo Express does not show the document:\n%s", page)
	}
}

// checkApplications calls a service of Weacast, on one node, by Kano, on the
// other. Kano knows of it only by Redis.
func (b *softwareBed) checkApplications(t *testing.T) {
	host := strings.TrimSpace(b.exec(t, "n1", "apps_weacast", "hostname"))
	want := fmt.Sprintf(`[{"application":"weacast","host":%q}]`, host)
	var got string
	within(t, startup, "Kano finds the service of Weacast", func() bool {
		var err error
		got, err = dockerOutput("n2", "exec", b.container(t, "n2", "apps_kano"), "curl", "-sf", "http://127.0.0.1:8081/weacast-instances")
		return err == nil
	})
	if got != want {
		t.Errorf("Weacast's service by Kano is %s, and should be %s", got, want)
	}
}

// checkRoutes fetches pages through Traefik, from the other node, by the
// labels of each kind that a workspace may have.
func (b *softwareBed) checkRoutes(t *testing.T) {
	for _, route := range []struct{ what, host, path, user, shows string }{
		{"labels of version 1.7", "old-labels", "/site/", "operator:operator-pw", "version=1"},
		{"a label of Traefik's Docker provider", "docker-label", "/", "", "version=1"},
		{"an extension of a service of the catalogue", "keys", "/", "operator:operator-pw", "Redis Commander"},
		{"the catalogue's labels", "mongo-express", "/", "operator:operator-pw", "Mongo Express"},
		{"the dashboard's API", "traefik", "/api/overview", "operator:operator-pw", `"routers"`},
		{"the gateway, which asks for credentials itself", "api", "/wms?" + getMap, "desktop:desktop-pw", "PNG"},
	} {
		var page string
		var err error
		within(t, time.Minute, "there is a route by "+route.what, func() bool {
			page, err = b.fetch(t, "https", route.host, route.path, route.user)
			return err == nil || !strings.Contains(err.Error(), "404")
		})
		if err != nil || !strings.Contains(page, route.shows) {
			t.Errorf("by %s: %.500s, %v", route.what, page, err)
		}
	}
	if _, err := b.fetch(t, "https", "old-labels", "/site/", ""); err == nil || !strings.Contains(err.Error(), "401 Unauthorized") {
		t.Errorf("without a password Traefik says %v", err)
	}
	if _, err := b.fetch(t, "http", "docker-label", "/", ""); err == nil || !strings.Contains(err.Error(), "Location: https://docker-label.example.org/") {
		t.Errorf("without TLS Traefik says %v", err)
	}
}

// fetch gets a page of the manager's Traefik from the worker.
func (b *softwareBed) fetch(t *testing.T, scheme, host, path, user string) (string, error) {
	command := []string{"exec", b.container(t, "n2", "dbs_adminer"), "wget", "-SO-", "--no-check-certificate", "--max-redirect=0",
		"--header=Host: " + host + ".example.org"}
	if name, password, given := strings.Cut(user, ":"); given {
		command = append(command, "--auth-no-challenge", "--user="+name, "--password="+password)
	}
	return dockerOutput("n2", append(command, scheme+"://"+strings.TrimSpace(labOf(t, "ip", "n1"))+path)...)
}

// checkMonitoring reads what Prometheus finds by name, and by labels through
// the socket proxy, and that it has the rules.
func (b *softwareBed) checkMonitoring(t *testing.T) {
	want := "express-gateway\nmonitoring alertmanager\nmonitoring pushgateway\nnode-exporter n1\nnode-exporter n2\nprometheus\ntraefik"
	var got string
	within(t, time.Minute, "Prometheus finds its targets", func() bool {
		got = b.targets(t)
		return got == want || strings.Count(got, "\n") > strings.Count(want, "\n")
	})
	if got != want {
		t.Errorf("targets that are up:\n%s\nand should be\n%s", got, want)
	}
	rules := b.exec(t, "n1", "monitoring_prometheus", "wget", "-qO-", "http://127.0.0.1:9090/api/v1/rules")
	files, err := filepath.Glob("../../defaults/configs/prometheus/rules/*.yml")
	if err != nil || len(files) == 0 {
		t.Fatalf("rules of the catalogue: %v, %v", files, err)
	}
	for _, file := range files {
		if !strings.Contains(rules, "/etc/prometheus/rules/"+filepath.Base(file)) {
			t.Errorf("Prometheus has no rules of %s:\n%s", filepath.Base(file), rules)
		}
	}
}

// targets returns the targets that are up, by job and by the label that
// identifies them.
func (b *softwareBed) targets(t *testing.T) string {
	var answer struct {
		Data struct {
			ActiveTargets []struct {
				Labels map[string]string
				Health string
			}
		}
	}
	text := b.exec(t, "n1", "monitoring_prometheus", "wget", "-qO-", "http://127.0.0.1:9090/api/v1/targets")
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		t.Fatalf("targets: %v\n%s", err, text)
	}
	var lines []string
	for _, target := range answer.Data.ActiveTargets {
		if target.Health != "up" {
			continue
		}
		line := target.Labels["job"] + " " + target.Labels["service"]
		if target.Labels["job"] == "node-exporter" {
			line += target.Labels["instance"]
		}
		lines = append(lines, strings.TrimSpace(line))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// checkRegistry pushes an image to the published port, and has the other node
// pull it.
func (b *softwareBed) checkRegistry(t *testing.T) {
	name := strings.TrimSpace(labOf(t, "ip", "n1")) + ":5000/testserver:1"
	dockerAt(t, "n1", "tag", testBed(t, "KARGO_TEST_IMAGE"), name)
	dockerAt(t, "n1", "push", "-q", name)
	dockerAt(t, "n2", "pull", "-q", name)
}

// checkChange gives the map another colour: nothing else moves.
func (b *softwareBed) checkChange(t *testing.T) {
	before := b.services()
	file := filepath.Join(b.repo.dir, "configs/mapserver/mapserver.map")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, bytes.ReplaceAll(text, []byte("COLOR 200 60 60"), []byte("COLOR 60 60 200")), 0o644); err != nil {
		t.Fatal(err)
	}
	b.repo.commitAll()
	b.repo.push()
	b.sync()
	within(t, startup, "the new map is drawn, and nothing but MapServer moved", func() bool {
		got := moved(before, b.services())
		if len(got) > 0 && !slices.Equal(got, []string{"kargo-maps_mapserver"}) {
			t.Fatalf("moved have %q", got)
		}
		id := b.container(t, "n1", "maps_mapserver")
		picture, err := dockerOutput("n1", "exec", id, "wget", "-qO-", "http://127.0.0.1/?"+getMap)
		return len(got) > 0 && err == nil && middle(t, picture) == blue
	})
}

// middle is the colour in the middle of a PNG.
func middle(t *testing.T, picture string) color.RGBA {
	t.Helper()
	image, err := png.Decode(strings.NewReader(picture))
	if err != nil {
		t.Fatalf("no PNG: %v\n%.500s", err, picture)
	}
	size := image.Bounds()
	return color.RGBAModel.Convert(image.At(size.Dx()/2, size.Dy()/2)).(color.RGBA)
}

// exec runs a command in the container of a service.
func (b *softwareBed) exec(t *testing.T, node, service string, command ...string) string {
	t.Helper()
	return dockerAt(t, node, append([]string{"exec", b.container(t, node, service)}, command...)...)
}

// container is the running one of a service, or "" while there is none.
func (b *softwareBed) container(t *testing.T, node, service string) string {
	t.Helper()
	return strings.TrimSpace(dockerAt(t, node, "ps", "-q", "--filter", "label=com.docker.swarm.service.name=kargo-"+service))
}

func dockerAt(t *testing.T, node string, args ...string) string {
	t.Helper()
	out, err := dockerOutput(node, args...)
	if err != nil {
		t.Fatalf("docker %s on %s: %v", strings.Join(args, " "), node, err)
	}
	return out
}

func dockerOutput(node string, args ...string) (string, error) {
	out, err := exec.Command("../bed/lab", append([]string{"docker", node}, args...)...).Output()
	if exit, failed := err.(*exec.ExitError); failed {
		err = fmt.Errorf("%w: %s", err, exit.Stderr)
	}
	return string(out), err
}

func labOf(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("../bed/lab", args...).Output()
	if err != nil {
		t.Fatalf("test/bed/lab %v: %v", args, err)
	}
	return string(out)
}
