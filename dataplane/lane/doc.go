// Package lane is what an agent holds of the fast lane: consumers, keys, blocks, certificates, secrets and
// challenges, in memory.
//
// Readers never wait: every lookup is a few atomic loads. One writer at a time applies the batches of the control plane, at a
// cost that follows the change and not what is held. A change is seen by the next request.
//
// The package knows nothing of requests, policies, listeners or disks.
package lane
