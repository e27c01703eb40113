// Package metrics is what the server counts and measures, in Prometheus' form: a registry of its own, an observer for each
// model's controller, gauges read from the controllers' snapshots, and vLLM's names for those that mean the same. It knows
// neither requests nor routes: the server tells it.
package metrics
