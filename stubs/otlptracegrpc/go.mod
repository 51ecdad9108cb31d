// A stub; see ARCHITECTURE.md.
module go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc

go 1.26
