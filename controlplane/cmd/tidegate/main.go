// Command tidegate is the command line of Tidegate; `tidegate --help` says what it can do.
package main

import (
	"os"

	"tidegate.dev/controlplane/cli"
)

// version is set by the linker.
var version = "development"

func main() { os.Exit(cli.Main(version, os.Args[1:])) }
