// Command tidegate-controlplane is the control plane: the admin API and the console, the streams of the agents, the rollout
// controller, and the intake of telemetry. Several replicas may share one Postgres and one master key file.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
)

// version is set by the linker.
var version = "development"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := dispatch(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "tidegate-controlplane:", err)
		os.Exit(1)
	}
}

// describeVersion is what `version` prints.
func describeVersion() string {
	text := "tidegate-controlplane " + version
	if build, ok := debug.ReadBuildInfo(); ok {
		text += " " + build.GoVersion
	}
	return text
}
