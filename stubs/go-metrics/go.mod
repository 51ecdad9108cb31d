// A stub; see ARCHITECTURE.md.
module github.com/docker/go-metrics

go 1.26
