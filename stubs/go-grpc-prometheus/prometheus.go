// Package grpc_prometheus stands for metrics of gRPC clients, which swarmkit's managers
// offer. Kargo runs no manager and connects to none by gRPC: it only asks swarmkit's
// validation, in memory.
package grpc_prometheus

import "google.golang.org/grpc"

// Without an interceptor, gRPC calls a server directly.
var (
	UnaryClientInterceptor  grpc.UnaryClientInterceptor
	StreamClientInterceptor grpc.StreamClientInterceptor
)
