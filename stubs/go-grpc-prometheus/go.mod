// A stub; see ARCHITECTURE.md.
module github.com/grpc-ecosystem/go-grpc-prometheus

go 1.26
