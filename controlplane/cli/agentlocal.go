package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// localTimeout bounds one command to an agent of this machine, upgradeTimeout one that starts another.
const (
	localTimeout   = 30 * time.Second
	upgradeTimeout = 5 * time.Minute
)

// localStatus is what an agent of this machine says of itself over its socket.
type localStatus struct {
	AgentID           string `json:"agent_id"`
	Fleet             string `json:"fleet"`
	Connected         bool   `json:"connected"`
	Draining          bool   `json:"draining"`
	Pinned            bool   `json:"pinned"`
	StableRevision    int64  `json:"stable_revision"`
	CandidateRevision int64  `json:"candidate_revision,omitempty"`
	CandidateSharePPM uint32 `json:"candidate_share_ppm,omitempty"`
	LaneSequence      int64  `json:"lane_sequence"`
	Refused           string `json:"refused,omitempty"`
	PID               int    `json:"pid,omitempty"`
	Version           string `json:"version,omitempty"`
}

// agentLocalCommand is for when there is no control plane: it speaks to an agent of this machine over the socket in its state
// folder, which only the agent's own user can open.
func (a *app) agentLocalCommand() *cobra.Command {
	var folder string
	verb := func(use, short, method string) *cobra.Command {
		return &cobra.Command{
			Use: use, Short: short,
			Example: "  tidegate agent local " + use + " --state-dir /var/lib/tidegate-agent",
			Args:    takes(0, 0, "no arguments"),
			RunE: func(command *cobra.Command, _ []string) error {
				status, err := askLocal(command.Context(), folder, method, use, localTimeout)
				if err != nil {
					return err
				}
				return a.printValue(status, func(w io.Writer) { drawLocal(w, status) })
			},
		}
	}
	command := group("local", "Break glass: steer an agent of this machine, with or without a control plane",
		verb("status", "Show what the agent serves", http.MethodGet),
		verb("pin", "Hold the agent to the stable revision that it serves, and end a candidate", http.MethodPost),
		verb("unpin", "Let the control plane decide again", http.MethodPost),
		verb("rollback", "Go back to the stable revision before, and hold the agent to it", http.MethodPost),
		a.agentUpgradeCommand(&folder))
	command.PersistentFlags().StringVar(&folder, "state-dir", "/var/lib/tidegate-agent", "state folder of the agent")
	return command
}

// agentUpgradeCommand has the agent start its successor.
func (a *app) agentUpgradeCommand(folder *string) *cobra.Command {
	var program string
	command := &cobra.Command{
		Use: "upgrade", Short: "Start the agent anew, from the program as it is now, without losing a request",
		Long: `The agent starts its successor with its own arguments and hands its ports over. When the successor serves, the agent takes nothing new,
lets what it has begun end, and ends. If the successor does not serve in time, the agent goes on as before.`,
		Example: "  tidegate agent local upgrade --state-dir /var/lib/tidegate-agent\n" +
			"  tidegate agent local upgrade --program /opt/tidegate-1.4/tidegate-agent",
		Args: takes(0, 0, "no arguments"),
		RunE: func(command *cobra.Command, _ []string) error {
			path := "upgrade"
			if program != "" {
				absolute, err := filepath.Abs(program)
				if err != nil {
					return fmt.Errorf("finding %s: %w", program, err)
				}
				path += "?program=" + url.QueryEscape(absolute)
			}
			status, err := askLocal(command.Context(), *folder, http.MethodPost, path, upgradeTimeout)
			if err != nil {
				return err
			}
			return a.printValue(status, func(w io.Writer) { fmt.Fprintf(w, "process %d serves now\n", status.PID) })
		},
	}
	command.Flags().StringVar(&program, "program", "", "program of the successor (default: the path of the one that runs)")
	return command
}

func askLocal(ctx context.Context, folder, method, path string, limit time.Duration) (localStatus, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	socket := filepath.Join(folder, "local.sock")
	var dialer net.Dialer
	local := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", socket)
		},
	}}
	request, err := http.NewRequestWithContext(ctx, method, "http://agent/"+path, nil)
	if err != nil {
		return localStatus{}, fmt.Errorf("making the request: %w", err)
	}
	response, err := local.Do(request)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return localStatus{}, fmt.Errorf("no agent runs with the state folder %s: %s is missing; name its folder with --state-dir", folder, socket)
	case errors.Is(err, fs.ErrPermission):
		return localStatus{}, fmt.Errorf("%s can be opened by the agent's own user only: become that user", socket)
	case err != nil:
		return localStatus{}, fmt.Errorf("asking the agent at %s: %w", socket, err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return localStatus{}, fmt.Errorf("reading the agent's answer: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return localStatus{}, fmt.Errorf("the agent refused: %s", strings.TrimSpace(printable(string(body))))
	}
	var status localStatus
	if err := json.Unmarshal(body, &status); err != nil {
		return localStatus{}, fmt.Errorf("decoding the agent's answer: %w", err)
	}
	return status, nil
}

func drawLocal(w io.Writer, s localStatus) {
	fmt.Fprintf(w, "agent      %s of fleet %s\n", printable(s.AgentID), printable(s.Fleet))
	connection, pinned := "not connected to a control plane", "no"
	if s.Connected {
		connection = "connected to the control plane"
	}
	if s.Pinned {
		pinned = "yes: it stays on this revision until it is unpinned"
	}
	fmt.Fprintf(w, "connection %s\nstable     revision %d\n", connection, s.StableRevision)
	if s.CandidateRevision != 0 {
		fmt.Fprintf(w, "candidate  revision %d with %g %% of the traffic\n", s.CandidateRevision, float64(s.CandidateSharePPM)/10_000)
	}
	fmt.Fprintf(w, "pinned     %s\nfast lane  %d\n", pinned, s.LaneSequence)
	if s.Refused != "" {
		fmt.Fprintf(w, "refused    %s\n", printable(s.Refused))
	}
}
