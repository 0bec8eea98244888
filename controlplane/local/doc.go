// Package local runs a development system on one machine: it finds and runs a private Postgres, and starts, watches
// and stops the other processes by path. `tidegate up` and the tests that need a database use it.
//
// It knows files, ports, signals and process groups. It must never know what the processes do: nothing here speaks
// SQL or the admin API, and the package imports the standard library only. It runs on Linux and macOS.
//
// Nothing it starts outlives its owner. A small guard process (see guard.go) ends what is left when the owner is
// killed without a chance to clean up.
package local
