// Package snapshot compiles the content of a revision into what the request path uses: an immutable [Snapshot] with its
// router, and for each route its policies, upstream and timeouts.
//
// It is the only room that knows both the configuration's messages and the running parts; protobuf stops here. Compilation
// follows the difference from the snapshot before, and keeps what did not change. It knows no proxy, no agent and no I/O.
package snapshot
