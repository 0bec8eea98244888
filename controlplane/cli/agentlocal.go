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
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// localTimeout bounds one command to an agent of this machine.
const localTimeout = 30 * time.Second

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
				status, err := askLocal(command.Context(), folder, method, use)
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
		verb("rollback", "Go back to the stable revision before, and hold the agent to it", http.MethodPost))
	command.PersistentFlags().StringVar(&folder, "state-dir", "/var/lib/tidegate-agent", "state folder of the agent")
	return command
}

func askLocal(ctx context.Context, folder, method, path string) (localStatus, error) {
	ctx, cancel := context.WithTimeout(ctx, localTimeout)
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
