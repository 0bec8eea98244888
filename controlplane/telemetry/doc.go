// Package telemetry takes in what agents count, each batch once, and answers questions about it. Batches of many agents are
// merged and written in one transaction together with the cursors that say what was counted and with the evidence of rollouts,
// and acknowledged only after its commit.
//
// It knows nothing of sessions, desired state or verdicts: it adds up. Postgres's clock decides to which moment a count
// belongs.
package telemetry
