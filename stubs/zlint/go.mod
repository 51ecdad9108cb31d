// A stub; see ARCHITECTURE.md.
module github.com/zmap/zlint/v3

go 1.26
