// Package store keeps everything that the control plane must not lose in Postgres: one file an aggregate, every query typed
// by sqlc (folder queries), every change in a transaction.
//
// It knows tables, locks and notifications. It must never know who asks: no gRPC, no HTTP, no rules of the domain. The rooms
// above it ([tidegate.dev/controlplane/config] and its siblings) never import each other; they meet here.
//
// # How to use it
//
// All that can be read or written is a method of [Tx]. [Store.View] runs reads on one consistent snapshot, [Store.InTx] runs
// writes. Both join a transaction that their context already carries (see [Store.Once]), so rooms compose without knowing
// each other.
//
// # Order of locks
//
// heads, then lane_heads, then anything else. Whoever changes what agents should serve holds the fleet's heads row
// ([Tx.LockHead]) and raises its generation ([Tx.RaiseGeneration]).
//
// Times come from Postgres's clock, never from a replica's.
package store
