// Package telemetry counts what the proxy did and writes it down: counters by revision, arm, route and outcome, the metrics
// that Prometheus reads, the access log, and which keys were used.
//
// On the request path it costs one atomic addition on a cell that was looked up without hashing a string. It knows neither
// the proxy nor the policies nor who collects what it counted.
package telemetry
