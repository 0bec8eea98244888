package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/encoding/protojson"

	"tidegate.dev/controlplane/cli/client"
	adminv1 "tidegate.dev/proto/tidegate/admin/v1"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

func (a *app) fleetCommand() *cobra.Command {
	return group("fleet", "See and set what a fleet asks of those who change it, and open a new epoch", a.fleetPolicyCommand(), a.newEpochCommand())
}

func (a *app) newEpochCommand() *cobra.Command {
	var reason string
	command := &cobra.Command{
		Use: "new-epoch", Short: "After a restore of Postgres: let agents take what is older than what they hold",
		Long: `Agents never go to an older state than they hold, so that a control plane whose database was restored from a backup puts nothing old on
them: they refuse, and say so. A new epoch lets them take what the restored configuration says. Restart all replicas of the control plane
after the restore, look at what it would put on agents (tidegate get, tidegate revision list), and then open the epoch.`,
		Example: `  tidegate fleet new-epoch --reason "restored the backup of Monday"`,
		Args:    takes(0, 0, "no arguments"),
		RunE: func(command *cobra.Command, _ []string) error {
			if reason == "" {
				return usage("say why with --reason; it stands in the audit")
			}
			c, fleet, err := a.connect()
			if err != nil {
				return err
			}
			opened := new(adminv1.OpenEpochResponse)
			_, err = c.Do(command.Context(), client.Call{
				Method: http.MethodPost, Path: client.Path("fleets", fleet, ":openEpoch"), Body: &adminv1.OpenEpochRequest{Reason: reason},
			}, opened)
			if err != nil {
				return err
			}
			return a.print(opened, func(w io.Writer) { fmt.Fprintf(w, "epoch %d is open\n", opened.GetEpoch()) })
		},
	}
	command.Flags().StringVar(&reason, "reason", "", "why; it stands in the audit")
	return command
}

func (a *app) fleetPolicyCommand() *cobra.Command {
	var file string
	command := &cobra.Command{
		Use: "policy", Short: "Show a fleet's policy, or set it from a file",
		Long: `Show a fleet's policy, or set it from a file: how many others must approve a change, when nothing is published, and more.

  approvals: {medium: 1, high: 2}     # of people who did not edit the change set
  max_delete_percent: 30              # of the routes, before --allow-deletes must be given
  newer_revision: supersede           # or queue (default)
  rollback_window: 10                 # going back further takes the steps
  freeze_windows:
    - {name: weekend, days: [fri, sat, sun], from: "18:00", to: "08:00", time_zone: Europe/Berlin}
    - {name: holidays, start: "2026-12-23T18:00:00Z", end: "2027-01-02T08:00:00Z"}`,
		Example: "  tidegate fleet policy\n  tidegate fleet policy -f policy.yaml",
		Args:    takes(0, 0, "no arguments; name a file with -f"),
		RunE: func(command *cobra.Command, _ []string) error {
			c, fleet, err := a.connect()
			if err != nil {
				return err
			}
			found := new(adminv1.Fleet)
			if file == "" {
				err = c.Get(command.Context(), client.Path("fleets", fleet), nil, found)
			} else {
				err = a.setPolicy(command, c, fleet, file, found)
			}
			if err != nil {
				return err
			}
			return a.print(found.GetPolicy(), func(w io.Writer) { drawPolicy(w, found.GetPolicy()) })
		},
	}
	command.Flags().StringVarP(&file, "file", "f", "", `file to set it from, "-" for standard input`)
	_ = command.MarkFlagFilename("file", "yaml", "yml") // fails only for a flag that is not there
	return command
}

func (a *app) setPolicy(command *cobra.Command, c *client.Client, fleet, file string, set *adminv1.Fleet) error {
	content, err := a.read(file)
	if err != nil {
		return err
	}
	var value map[string]any
	err = yaml.Unmarshal(content, &value)
	var encoded []byte
	if err == nil {
		encoded, err = json.Marshal(value)
	}
	if err != nil {
		return &exit{code: ExitError, message: fmt.Sprintf("%s: %v", file, err)}
	}
	policy := new(configv1.FleetPolicy)
	if err := protojson.Unmarshal(encoded, policy); err != nil {
		return &exit{code: ExitError, message: fmt.Sprintf("%s: %v", file, err)}
	}
	_, err = c.Do(command.Context(), client.Call{Method: http.MethodPut, Path: client.Path("fleets", fleet, "policy"), Body: policy}, set)
	return err
}

// maxPolicy bounds the file of a policy.
const maxPolicy = 1 << 20

func (a *app) read(file string) ([]byte, error) {
	from := a.in
	if file != "-" {
		opened, err := os.Open(file)
		if err != nil {
			return nil, fmt.Errorf("opening the policy: %w", err)
		}
		defer opened.Close() //nolint:errcheck // it was only read
		from = opened
	}
	content, err := io.ReadAll(io.LimitReader(from, maxPolicy+1))
	if err == nil && len(content) > maxPolicy {
		err = fmt.Errorf("it is longer than %d bytes", maxPolicy)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the policy: %w", err)
	}
	return content, nil
}

func drawPolicy(w io.Writer, policy *configv1.FleetPolicy) {
	approvals := policy.GetApprovals()
	fmt.Fprintf(w, "approvals           low %d, medium %d, high %d\n", approvals.GetLow(), approvals.GetMedium(), approvals.GetHigh())
	fmt.Fprintf(w, "max delete          %d %%\n", or(policy.GetMaxDeletePercent(), 50))
	newer := policy.GetNewerRevision()
	if newer == "" {
		newer = "queue"
	}
	fmt.Fprintf(w, "newer revision      %s\n", newer)
	fmt.Fprintf(w, "rollback window     %d revisions\n", or(policy.GetRollbackWindow(), 10))
	for _, f := range policy.GetFreezeWindows() {
		if f.Start != nil {
			fmt.Fprintf(w, "freeze              %s: %s to %s\n", printable(f.GetName()), f.GetStart(), f.GetEnd())
			continue
		}
		zone := f.GetTimeZone()
		if zone == "" {
			zone = "UTC"
		}
		fmt.Fprintf(w, "freeze              %s: %v from %s to %s (%s)\n", printable(f.GetName()), f.GetDays(), f.GetFrom(), f.GetTo(), zone)
	}
}

func or(value, fallback uint32) uint32 {
	if value == 0 {
		return fallback
	}
	return value
}
