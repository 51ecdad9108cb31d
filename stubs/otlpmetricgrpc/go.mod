// A stub; see ARCHITECTURE.md.
module go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc

go 1.26
