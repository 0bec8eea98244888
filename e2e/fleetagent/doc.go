// Package fleetagent is an agent that speaks the whole agent protocol and serves nothing: it enrols with a join token, holds
// the configuration stream and the telemetry stream over mutual TLS, checks signatures and roots as the protocol asks, says
// what it holds and serves, and reports counts each second. It is small, so that one process runs thousands; and what it
// answers, when, and over which network is up to its owner, so that tests can have agents that misbehave.
//
// It knows the schema and the pure packages beside it, and nothing of either plane.
package fleetagent
