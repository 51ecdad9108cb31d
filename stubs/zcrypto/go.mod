// A stub; see ARCHITECTURE.md.
module github.com/zmap/zcrypto

go 1.26
