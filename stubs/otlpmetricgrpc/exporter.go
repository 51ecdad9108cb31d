// Package otlpmetricgrpc stands for an exporter of metrics. The docker command sends
// metrics of its own use with it, and Docker's converter of compose files imports the
// code of that command. Kargo sends nothing.
package otlpmetricgrpc

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/sdk/metric"
)

// Option is a setting of an exporter.
type Option struct{}

// WithEndpoint returns an Option that says nothing.
func WithEndpoint(string) Option { return Option{} }

// WithInsecure returns an Option that says nothing.
func WithInsecure() Option { return Option{} }

// New always returns an error.
func New(context.Context, ...Option) (metric.Exporter, error) {
	return nil, errors.New("Kargo exports no metrics of the docker command")
}
