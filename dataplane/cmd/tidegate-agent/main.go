// Command tidegate-agent is the data plane: it holds the stream to the control plane and runs the proxy. With no control
// plane it serves what it has on its disk.
package main

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"
)

// version is set by the linker.
var version = "development"

func main() {
	stayWakeful()
	ctx, stop := untilSignal(context.Background())
	err := dispatch(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "tidegate-agent:", err)
		os.Exit(1)
	}
}

// describeVersion is what `version` prints.
func describeVersion() string {
	text := "tidegate-agent " + version
	if build, ok := debug.ReadBuildInfo(); ok {
		text += " " + build.GoVersion
	}
	return text
}
