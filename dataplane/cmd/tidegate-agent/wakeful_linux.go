package main

import (
	"os"
	"strings"
	"syscall"
)

// neverTraced is a period of 24 days, the longest that can be said, in milliseconds.
const neverTraced = "schedtrace=2147483647"

// stayWakeful starts the program anew, in the same process and before it has done anything, with a setting that Go reads from the
// environment alone. Go's monitor thread goes to sleep whenever no goroutine can run, and is woken whenever one can again. Below
// saturation that is once for each message that arrives: two system calls and two changes of thread for nothing, a tenth of what a
// request costs. With the trace of the scheduler switched on it takes a look every 10 ms instead. The trace itself is one line on
// standard error every 24 days.
func stayWakeful() {
	settings := os.Getenv("GODEBUG")
	if strings.Contains(settings, "schedtrace=") {
		return
	}
	program, err := os.Executable()
	if err != nil {
		return
	}
	if settings != "" {
		settings += ","
	}
	if os.Setenv("GODEBUG", settings+neverTraced) != nil {
		return
	}
	// If it fails, nothing is lost but that tenth.
	_ = syscall.Exec(program, os.Args, os.Environ()) //nolint:gosec // it is this program itself
}
