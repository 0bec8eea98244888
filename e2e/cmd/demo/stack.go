package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// stack is a running `tidegate up`.
type stack struct {
	Admin       string `json:"admin"`
	TokenFile   string `json:"token_file"`
	ContextFile string `json:"context_file"`
	Agents      []struct {
		Name  string `json:"name"`
		Proxy string `json:"proxy"`
	} `json:"agents"`
	Demo *struct {
		Upstreams []string `json:"upstreams"`
		Key       string   `json:"key"`
	} `json:"demo"`
}

// proxies are the base URLs of the agents.
func (s *stack) proxies() []string {
	var urls []string
	for _, agent := range s.Agents {
		urls = append(urls, agent.Proxy)
	}
	return urls
}

// tidegate is the command line, beside this program.
func tidegate() (string, error) {
	program, err := os.Executable()
	if err == nil {
		program, err = filepath.EvalSymlinks(program)
	}
	if err != nil {
		return "", fmt.Errorf("finding the command line: %w", err)
	}
	return filepath.Join(filepath.Dir(program), "tidegate"), nil
}

// clone is the folder of the repository that this program was built in.
func clone() (string, error) {
	program, err := tidegate()
	return filepath.Dir(filepath.Dir(program)), err
}

// findStack is the stack that `tidegate up` runs, or one that is started for the occasion; stop ends only the latter.
func findStack(ctx context.Context) (s *stack, stop func(), err error) {
	program, err := tidegate()
	if err != nil {
		return nil, nil, err
	}
	if output, err := exec.CommandContext(ctx, program, "up", "--show", "-o", "json").Output(); err == nil {
		s, err := readStack(bytes.NewReader(output))
		return s, func() {}, err
	}
	fmt.Println("no stack runs; starting one for this, on free ports")
	return startStack(ctx, program)
}

func readStack(r io.Reader) (*stack, error) {
	s := &stack{}
	if err := json.NewDecoder(r).Decode(s); err != nil {
		return nil, fmt.Errorf("reading what 'tidegate up' prints: %w", err)
	}
	if s.Demo == nil || s.Demo.Key == "" || len(s.Agents) == 0 {
		return nil, errors.New("the stack runs without the demo, or its consumer is gone; start one with: tidegate up")
	}
	return s, nil
}

// stopTimeout bounds the end of a stack of our own.
const stopTimeout = time.Minute

func startStack(ctx context.Context, program string) (s *stack, stop func(), err error) {
	dir, err := os.MkdirTemp("", "tidegate-demo-*")
	if err == nil {
		err = os.Chmod(dir, 0o711) //nolint:gosec // Postgres's account must pass; what is secret inside has a mode of its own
	}
	if err != nil {
		return nil, nil, fmt.Errorf("making a folder for the stack: %w", err)
	}
	command := exec.Command(program, "up", "--ports", "auto", "--state-dir", filepath.Join(dir, "state"), "-o", "json") //nolint:noctx // stop ends it, gently
	command.Stderr = os.Stderr
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for us, who then stop it
	output, err := command.StdoutPipe()
	if err == nil {
		err = command.Start()
	}
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("starting a stack: %w", err), os.RemoveAll(dir))
	}
	stop = func() { stopStack(command, dir) }
	read := make(chan error, 1)
	go func() {
		var err error
		s, err = readStack(output)
		read <- err
	}()
	select {
	case err = <-read:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	if err != nil {
		stop()
		return nil, nil, err
	}
	return s, stop, nil
}

func stopStack(command *exec.Cmd, dir string) {
	_ = command.Process.Signal(syscall.SIGTERM) // it may have ended
	timer := time.AfterFunc(stopTimeout, func() { _ = command.Process.Kill() })
	defer timer.Stop()
	if err := command.Wait(); err != nil {
		fmt.Fprintln(os.Stderr, "stopping the stack:", err)
	}
	if err := os.RemoveAll(dir); err != nil {
		fmt.Fprintln(os.Stderr, "removing the stack's folder:", err)
	}
}
