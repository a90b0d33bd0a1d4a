// Package traces makes OpenTelemetry traces of what a pipeline does and sends them to an OTLP receiver. It is the only
// package that knows OpenTelemetry. Without a receiver none of it runs.
package traces
