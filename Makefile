# `make` without a target lists the targets.

VERSION    ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
GOLANGCI    = github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
GOVULNCHECK = golang.org/x/vuln/cmd/govulncheck@v1.9.0
CYCLONEDX   = github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0

# Leaves out a transport of Google's storage client that the program never uses: docs/performance.md.
TAGS        = disable_grpc_modules

# All bash scripts, found by their first line.
SCRIPTS = $(shell grep -rlE '^#(!| shellcheck shell=).*bash$$' .ci setup examples test defaults)
# Packages that start goroutines. The pure packages start none, and test/e2e runs another program.
RACY    = $(shell go list ./... | grep -vE 'kargo/(test/e2e|merge|render|plan)$$')
# Scripts of commands that start no controller. With the race detector they take minutes, and find little.
ALONE   = $(shell grep -L 'kargo serve' cmd/kargo/testdata/script/*.txtar | sed 's|.*/||; s|\.txtar$$||' | paste -sd '|')

.PHONY: help build demo test engines chaos soak catalogue bare check lint race scripts bench bench-compare vuln sbom provenance

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## bin/kargo, and bin/kargo-secrets, which opens encrypted files for it
	CGO_ENABLED=0 go build -tags $(TAGS) -trimpath -buildvcs=false -ldflags "-s -w -X main.version=$(VERSION)" -o bin/ ./cmd/kargo ./cmd/kargo-secrets

demo: build ## a tour on a temporary Swarm; DEMO=once ends by itself (root, Debian)
	@examples/demo/tour

test: ## all tests, on real engines and a real browser; installs what is missing (root, Debian)
	test/bed/install
	$(MAKE) scripts
	cd charts/test && go test -count=1 ./...
	$(MAKE) race
	$(MAKE) demo DEMO=once
	test/bed/run --git --registry --vip -- go test -timeout 30m ./...
	test/bed/run --engine newest -- go test -run '^TestContractOnDocker$$' ./swarm
	KARGO_TEST_CHAOS=quick test/bed/run -- go test -run '^TestChaosOnDocker$$' ./test/e2e

# It takes about a quarter of an hour for each engine. Some tests count calls, which others' objects
# on the same engine would add to, so one package runs after the other.
engines: ## all tests of Docker, on each engine that Kargo is tested with, or on ENGINES="28.5 29" (root, Debian)
	test/bed/install
	for version in $(or $(ENGINES),$$(test/bed/engine all)); do \
		echo "engine $$version"; \
		test/bed/run --engine $$version --git --registry --vip -- go test -p 1 -count=1 -timeout 30m ./swarm ./test/e2e || exit 1; \
	done

# On real engines it takes about a quarter of an hour.
chaos: ## the tables of faults, in memory and on one and three real managers; writes docs/reliability.md (root, Debian)
	KARGO_WRITE_CHAOS=true go test -count=1 -run '^TestChaos$$' ./controller
	go test -run '^TestChaos$$' -count=$(or $(RUNS),20) ./controller
	for managers in 1 3; do \
		KARGO_TEST_CHAOS=all KARGO_WRITE_CHAOS=true test/bed/run -n $$managers -m --registry -- \
			go test -count=1 -timeout 60m -run '^TestChaosOnDocker$$' ./test/e2e || exit 1; \
	done

# The first half runs the loop alone in virtual time, the second one the built program.
# Without SEED each turn has another one. A failure prints the command that plays it again.
soak: ## random commits and faults in memory for MINUTES (30); memory, goroutines and files stay flat; SEED=n plays one again
	@go test -c -o bin/soak.test ./controller
	@end=$$(($$(date +%s) + 30 * $(or $(MINUTES),30))); \
	while seed=$(or $(SEED),$$(date +%N | sed 's/^0*//')); \
		(cd controller && ../bin/soak.test -test.short -test.run '^(TestWhatever|TestPreviewIs)' -rapid.checks=300 -rapid.nofailfile -rapid.seed=$$seed) || \
			{ echo "again: make soak SEED=$$seed"; exit 1; }; \
		[ -z "$(SEED)" ] && [ "$$(date +%s)" -lt $$end ]; do :; done
	KARGO_TEST_SOAK=$$((30 * $(or $(MINUTES),30)))s SEED=$(SEED) go test -count=1 -v -timeout 24h -run '^TestSoak$$' ./test/e2e

catalogue: ## tests of the catalogue with real software, on an engine; makes the images once (root, Debian, node)
	test/bed/install engine git images
	test/bed/run --git --vip -- test/bed/catalogue/run go test -count=1 -v -timeout 15m -run TestFirstWorkspaces ./test/e2e
	test/bed/run -n 2 --git --vip -- test/bed/catalogue/run go test -count=1 -v -timeout 15m -run TestCatalogueSoftware ./test/e2e

bare: ## README's first command on bare Debians, without make, Go and Docker (root, Debian; takes long)
	test/bed/install images
	for release in bookworm trixie; do test/bed/bare $$release ./setup make demo DEMO=once || exit 1; done

check: ## format, vet, linters, quick tests; needs only Go
	@unformatted=$$(gofmt -l .); [ -z "$$unformatted" ] || { echo "run gofmt -w on:" $$unformatted; exit 1; }
	go vet ./...
	$(MAKE) lint
	go test -short ./...
	@if command -v shellcheck >/dev/null; then $(MAKE) scripts; else echo "shellcheck is not installed: scripts were not checked"; fi

# The first run builds golangci-lint, which takes one to two minutes on two cores.
lint: ## the linters of .golangci.yml
	@[ -n "$$(find bin/golangci-lint -newer Makefile 2>/dev/null)" ] || GOBIN=$(CURDIR)/bin go install $(GOLANGCI)
	bin/golangci-lint run ./...

# The scripts of terminals print what other scripts do, and take long with the detector.
race: ## quick tests with the race detector, if there is a C compiler
	@if command -v gcc >/dev/null; then CGO_ENABLED=1 go test -short -race -skip '^TestScripts$$/^(terminal.*|$(ALONE))$$' $(RACY); else echo "gcc is not installed: the race detector did not run"; fi

scripts: ## shellcheck of all scripts
	shellcheck $(SCRIPTS)

# The first deployment is measured on a real engine, too, where one can be started: for
# that, root and the engine of this machine (test/bed/install) are needed.
bench: ## benchmarks, also of the built program (table in docs/performance.md, and bin/bench.json) and of a large repository
	@mkdir -p bin
	go test -short -run '^$$' -bench . -benchmem $(shell go list ./... | grep -v '/test/e2e$$') >bin/bench.txt; status=$$?; cat bin/bench.txt; exit $$status
	if [ "$$(id -u)" = 0 ] && command -v dockerd >/dev/null; then bed='test/bed/run --'; else echo 'no real engine: that needs root and dockerd'; fi; \
	KARGO_BENCH_JSON=$(CURDIR)/bin/bench.json KARGO_BENCH_PAGE=$(CURDIR)/docs/performance.md KARGO_BENCH_PACKAGES=$(CURDIR)/bin/bench.txt \
		$$bed go test -run '^$$' -bench '^BenchmarkEndToEnd$$' -benchtime 1x -timeout 60m ./test/e2e
	KARGO_TEST_LARGE=true go test -run '^TestLargeRepository$$' -v ./gitsync

bench-compare: ## benchmarks of this tree and of REV, in turn, side by side (REV=main PKG=./plan)
	test/bench/compare "$(or $(REV),HEAD~1)" $(or $(PKG),./merge ./render ./compile ./plan ./history)

vuln: ## known vulnerabilities in what the program calls; needs only the module proxy
	@test/vulndb/check $(GOVULNCHECK) $(TAGS)

# It is made of the built program and not of go.mod, so it lists what was linked, and the
# version of Go. It has no time and no random number: equal programs have equal lists.
sbom: $(if $(PROGRAM),,build) ## what both programs, or PROGRAM, are made of (CycloneDX, *.cdx.json); needs only the module proxy
	@GOBIN=$(CURDIR)/bin go install $(CYCLONEDX)
	for program in $(or $(PROGRAM),bin/kargo bin/kargo-secrets); do \
		bin/cyclonedx-gomod bin -json -std -noserial -notimestamp -version $(VERSION) -output $$program.cdx.json $$program || exit 1; done

provenance: build ## the commit, Go and modules that both programs were built of (in-toto, SLSA; *.intoto.json)
	@[ -z "$$(git status --porcelain)" ] || { echo "provenance: commit first: the files differ from those of the commit" >&2; exit 1; }
	for program in bin/kargo bin/kargo-secrets; do \
		go run ./test/provenance $$program "$$(git rev-parse HEAD)" $(VERSION) >$$program.intoto.json || exit 1; done
