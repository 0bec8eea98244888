package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// controlPlane is a control plane that runs.
type controlPlane struct {
	Replicas  []replica `json:"replicas"`
	TokenFile string    `json:"token_file"`
	// PIDs are the processes of a stack that was started here.
	PIDs map[string]int `json:"pids"`

	token string
}

// replica is one of its processes.
type replica struct {
	Name         string `json:"name"`
	Admin        string `json:"admin"`
	AgentAddress string `json:"agent_address"`
	Ops          string `json:"ops"`
}

func (c *controlPlane) readToken() error {
	text, err := os.ReadFile(c.TokenFile)
	if err != nil {
		return fmt.Errorf("reading the admin token: %w", err)
	}
	c.token = strings.TrimSpace(string(text))
	return nil
}

const (
	startTimeout = 3 * time.Minute
	stopTimeout  = time.Minute
	callTimeout  = 3 * time.Minute
	maxAnswer    = 64 << 20 // bytes
)

// startStack starts `tidegate up` in a folder of its own, with the binary beside this one.
func startStack(ctx context.Context, replicas int) (plane *controlPlane, stop func(), err error) {
	program, err := os.Executable()
	if err != nil {
		return nil, nil, fmt.Errorf("finding the command line: %w", err)
	}
	dir, err := os.MkdirTemp("", "tidegate-fleet-*")
	if err == nil {
		err = os.Chmod(dir, 0o711) //nolint:gosec // Postgres's account must pass; what is secret inside has a mode of its own
	}
	if err != nil {
		return nil, nil, fmt.Errorf("making a folder for the stack: %w", err)
	}
	command := exec.Command(filepath.Join(filepath.Dir(program), "tidegate"), //nolint:noctx // stop ends it, gently
		"up", "--ports", "0", "--no-demo", "--agents", "1", "--control-planes", strconv.Itoa(replicas),
		"--state-dir", filepath.Join(dir, "state"), "-o", "json")
	command.Env = append(os.Environ(), "HOME="+dir, "XDG_CONFIG_HOME="+dir)
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
	plane = &controlPlane{}
	read := make(chan error, 1)
	go func() { read <- json.NewDecoder(output).Decode(plane) }()
	timer := time.NewTimer(startTimeout)
	defer timer.Stop()
	select {
	case err = <-read:
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-timer.C:
		err = fmt.Errorf("the stack did not come up in %v", startTimeout)
	}
	if err == nil {
		err = plane.readToken()
	}
	if err != nil {
		stop()
		return nil, nil, err
	}
	return plane, stop, nil
}

// stopStack ends the stack as Ctrl-C does.
func stopStack(command *exec.Cmd, dir string) {
	_ = command.Process.Signal(os.Interrupt)
	timer := time.AfterFunc(stopTimeout, func() { _ = command.Process.Kill() })
	defer timer.Stop()
	_ = command.Wait()
	_ = os.RemoveAll(dir)
}

var client = &http.Client{Timeout: callTimeout}

// call asks the admin API of the first replica, and reads the answer into a message unless that is nil.
func (c *controlPlane) call(ctx context.Context, method, path string, body, into proto.Message) error {
	var encoded []byte
	if body != nil {
		var err error
		if encoded, err = (protojson.MarshalOptions{UseProtoNames: true}).Marshal(body); err != nil {
			return fmt.Errorf("encoding the request: %w", err)
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, c.Replicas[0].Admin+path, bytes.NewReader(encoded))
	if err != nil {
		return fmt.Errorf("making the request: %w", err)
	}
	request.Header.Set("Authorization", "Bearer "+c.token)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Idempotency-Key", rand.Text())
	content, err := answerOf(request)
	if err != nil || into == nil {
		return err
	}
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(content, into); err != nil {
		return fmt.Errorf("reading the control plane's answer: %w", err)
	}
	return nil
}

func answerOf(request *http.Request) ([]byte, error) {
	response, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("asking the control plane: %w", err)
	}
	content, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err = errors.Join(err, response.Body.Close()); err != nil {
		return nil, fmt.Errorf("reading the control plane's answer: %w", err)
	}
	if response.StatusCode/100 != 2 {
		return nil, fmt.Errorf("%s %s: %s: %s", request.Method, request.URL.Path, response.Status, bytes.TrimSpace(content))
	}
	return content, nil
}

// metric reads a number of a replica's metrics, summed over its labels; 0: it has none of that name.
func (r replica) metric(ctx context.Context, name string) (sum float64, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.Ops+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	content, err := answerOf(request)
	if err != nil {
		return 0, err
	}
	for _, found := range regexp.MustCompile(`(?m)^`+name+`(?:\{[^}]*\})? (\S+)$`).FindAllSubmatch(content, -1) {
		value, err := strconv.ParseFloat(string(found[1]), 64)
		if err != nil {
			return 0, fmt.Errorf("the metric %s of %s: %w", name, r.Name, err)
		}
		sum += value
	}
	return sum, nil
}

// sum adds up a metric over the replicas.
func (c *controlPlane) sum(ctx context.Context, name string) (sum float64, err error) {
	for _, replica := range c.Replicas {
		value, err := replica.metric(ctx, name)
		if err != nil {
			return 0, err
		}
		sum += value
	}
	return sum, nil
}

// processor is what the replicas and Postgres have used so far. Postgres's is known of a stack that was started here.
type processor struct{ Replicas, Postgres time.Duration }

func (c *controlPlane) processorTime(ctx context.Context) (processor, error) {
	seconds, err := c.sum(ctx, "process_cpu_seconds_total")
	if err != nil {
		return processor{}, err
	}
	postgres, err := familyTime(c.PIDs["postgres"])
	return processor{Replicas: time.Duration(seconds * float64(time.Second)), Postgres: postgres}, err
}

func (p processor) since(earlier processor) processor {
	return processor{Replicas: p.Replicas - earlier.Replicas, Postgres: p.Postgres - earlier.Postgres}
}

// spread is how many agents each replica holds.
func (c *controlPlane) spread(ctx context.Context) (map[string]int, error) {
	spread := map[string]int{}
	for _, replica := range c.Replicas {
		held, err := replica.metric(ctx, "tidegate_agents_connected")
		if err != nil {
			return nil, err
		}
		spread[replica.Name] = int(held)
	}
	return spread, nil
}
