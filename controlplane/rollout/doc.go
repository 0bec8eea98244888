// Package rollout takes a revision to traffic step by step, judges it against a simultaneous control group, and takes it back
// when it is worse.
//
// Its heart is [Decide]: what is known at a moment goes in, what to do comes out; no clock, no I/O. [State.Fold] turns the
// actions into one [Change], which a [Store] writes in one transaction, by compare-and-set and under the leader's lease.
// [Controller] is the only part that loops: one replica leads, loads, decides and writes, and whoever takes over goes on from
// what is in the store. So a crash at any moment loses nothing and takes no step twice.
//
// It must never know how agents are reached or where traffic flows: it sets two dials (which agents hold the candidate, and
// how much of their traffic it gets) and reads what agents acknowledged and counted.
package rollout
