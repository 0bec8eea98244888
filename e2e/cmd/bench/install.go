package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"
)

// packages names the Debian package of each program that comes from there.
func packages() map[string]string {
	return map[string]string{
		"nginx": "nginx", "haproxy": "haproxy", "wrk": "wrk", "h2load": "nghttp2-client", "gcc": "gcc", "taskset": "util-linux", "chrt": "util-linux",
	}
}

func howToInstall(name string) string {
	if p := packages()[name]; p != "" {
		return "install it, on Debian with: apt-get install " + p
	}
	return "build it with: make .bin/" + name
}

const installTimeout = 5 * time.Minute

// install sees to it that programs are there: with apt-get if we may, else by saying what to do.
func install(ctx context.Context, programs []string) error {
	var missing []string
	var errs []error
	for _, name := range programs {
		if name == "tidegate" {
			continue // the stack looks for its own
		}
		if _, err := findProgram(name); err != nil {
			missing, errs = append(missing, name), append(errs, err)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	_, err := exec.LookPath("apt-get")
	if err != nil || os.Geteuid() != 0 {
		return errors.Join(errs...)
	}
	arguments := []string{"install", "--yes", "--no-install-recommends"}
	for _, name := range missing {
		if packages()[name] == "" {
			return errors.Join(errs...)
		}
		arguments = append(arguments, packages()[name])
	}
	fmt.Fprintln(os.Stderr, "installing with apt-get:", arguments[3:])
	ctx, cancel := context.WithTimeout(ctx, installTimeout)
	defer cancel()
	// In run level 1 Debian's packages start none of their services.
	quiet := []string{"DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1"}
	if _, err := runTool(ctx, "", quiet, "", "apt-get", "update", "--quiet"); err != nil {
		return err
	}
	_, err = runTool(ctx, "", quiet, "", "apt-get", arguments...)
	return err
}
