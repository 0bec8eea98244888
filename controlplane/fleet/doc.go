// Package fleet is the control plane's side of its agents: it gives them their identity, holds their streams, and brings each
// what it should serve: the fast lane, content as the smallest change from what the agent holds, and signed desired state.
// What agents answer goes to the store in batches, where other rooms find it.
//
// What an agent should serve is derived from the heads, the active rollout and its members; this package never decides it.
// It must never know how revisions are made or rollouts judged. Codes of gRPC appear in status.go alone.
//
// # How a change reaches an agent
//
// One feed a fleet and replica is woken by the store's watcher, reads what the fleet should serve once, and wakes the
// sessions. A session is one goroutine with one select that owns all that is known of one stream. Deltas and parts of the
// fast lane are read once and shared by all sessions that need the same.
package fleet
