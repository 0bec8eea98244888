// Package config is the domain of configuration: change sets, what is valid together, publish, diff and rollback, and the
// fast lane of consumers, keys, certificates and secrets.
//
// Every write ends the same way, in one transaction that holds the fleet's head: the edits become a draft ([Service.Apply], a
// change set, or a single write, which is a change set of one), the draft is checked against what it touches and refers to,
// and then its staged part becomes a revision and a queued rollout, and its fast part versions of the lane. What is refused
// is refused with everything that is wrong, named ([Violations], [Conflict], [Referenced], [Precondition], [Closed]).
//
// The package knows the store, the keyring, and the meaning of resources. It must never know who serves it (no gRPC, no HTTP),
// nor how a rollout proceeds or how agents are told.
package config
