// Package reporter tells the control plane what was counted: every second the difference since the second before, on a stream
// of its own, kept until it is acknowledged and numbered so that it is counted once.
//
// While there is no control plane reports wait in memory, then on the disk, both bounded; when both are full, seconds are put
// together, so that what is lost is resolution and not counts. The package knows nothing of configuration.
package reporter
