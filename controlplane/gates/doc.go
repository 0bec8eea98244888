// Package gates asks the external gates of rollouts, Prometheus servers and webhooks, while a candidate is served, and writes what
// they say into the store, where the rollout's decisions read it. Every replica runs it; the store sees to it that one asks.
//
// It knows how to ask, and nothing of what an answer leads to.
package gates
