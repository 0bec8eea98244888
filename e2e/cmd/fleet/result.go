package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// result is everything that was measured.
type result struct {
	Agents      int            `json:"agents"`
	Routes      int            `json:"routes"`
	Replicas    int            `json:"replicas"`
	ReportsOf   int            `json:"reported_routes"`
	Machine     string         `json:"machine"`
	Start       *start         `json:"start"`
	Quiet       *quiet         `json:"quiet"`
	Changes     *changes       `json:"changes"`
	Revocations *revocations   `json:"revocations"`
	Storms      *storms        `json:"storms"`
	Spread      map[string]int `json:"agents_by_replica"`
}

type start struct {
	All       time.Duration `json:"all_ns"`
	Processor processor     `json:"processor_ns"`
	BytesEach int64         `json:"bytes_each"`
	Refusals  int64         `json:"refusals"`
}

type quiet struct {
	ProcessorShare     float64 `json:"processor_share"`
	PostgresShare      float64 `json:"postgres_share"`
	BytesEachSecond    float64 `json:"bytes_each_second"`
	ReportsStoredShare float64 `json:"reports_stored_share"`
}

type changes struct {
	Count             int     `json:"count"`
	Publish           timings `json:"publish"`
	Acknowledged      timings `json:"acknowledged"`
	AcknowledgedByAll timings `json:"acknowledged_by_all"`
	Stable            timings `json:"stable"`
	Processor         timings `json:"processor"`
	Postgres          timings `json:"postgres"`
	BytesEach         int64   `json:"bytes_each"`
	ChunksEach        float64 `json:"chunks_each"`
}

type revocations struct {
	Count          int     `json:"count"`
	Delivered      timings `json:"delivered"`
	DeliveredToAll timings `json:"delivered_to_all"`
	BytesEach      int64   `json:"bytes_each"`
}

type storms struct {
	Count     int     `json:"count"`
	AllBack   timings `json:"all_back"`
	Processor timings `json:"processor"`
	Postgres  timings `json:"postgres"`
	Refusals  int64   `json:"refusals"`
	Chunks    int64   `json:"chunks"`
}

// row is a line of the table.
type row struct{ what, value string }

func (r *result) rows() []row {
	rows := []row{
		{"agents, routes, replicas, routes that an agent reports", fmt.Sprintf("%d, %d, %d, %d", r.Agents, r.Routes, r.Replicas, r.ReportsOf)},
		{"machine", r.Machine},
		{"start: all agents with nothing serve after", fmt.Sprint(rounded(r.Start.All))},
		{"start: bytes to an agent; refused", fmt.Sprintf("%d; %d", r.Start.BytesEach, r.Start.Refusals)},
		{"start: processor of the control plane; of Postgres", fmt.Sprintf("%v; %v", rounded(r.Start.Processor.Replicas), rounded(r.Start.Processor.Postgres))},
		{"quiet: processors of the control plane; of Postgres", fmt.Sprintf("%.2f; %.2f", r.Quiet.ProcessorShare, r.Quiet.PostgresShare)},
		{"quiet: bytes to an agent, a second; reports stored, an agent and second", fmt.Sprintf("%.0f; %.2f", r.Quiet.BytesEachSecond, r.Quiet.ReportsStoredShare)},
	}
	if c := r.Changes; c.Count > 0 {
		rows = append(rows,
			row{"change of one route: answered (p50 / p99 / longest)", c.Publish.String()},
			row{"change: from before its publish to an agent's acknowledgement", c.Acknowledged.String()},
			row{"change: to the last acknowledgement", c.AcknowledgedByAll.String()},
			row{"change: to stable", c.Stable.String()},
			row{"change: bytes to an agent, with all else; chunks", fmt.Sprintf("%d; %.1f", c.BytesEach, c.ChunksEach)},
			row{"change: processor of the control plane", c.Processor.String()},
			row{"change: processor of Postgres", c.Postgres.String()})
	}
	if v := r.Revocations; v.Count > 0 {
		rows = append(rows,
			row{"revoked key: to an agent (p50 / p99 / longest)", v.Delivered.String()},
			row{"revoked key: to the last agent", v.DeliveredToAll.String()},
			row{"revoked key: bytes to an agent, with all else", fmt.Sprint(v.BytesEach)})
	}
	if s := r.Storms; s.Count > 0 {
		rows = append(rows,
			row{"all connections cut: all back after (p50 / p99 / longest)", s.AllBack.String()},
			row{"all connections cut: processor of the control plane", s.Processor.String()},
			row{"all connections cut: processor of Postgres", s.Postgres.String()},
			row{"all connections cut: refused; chunks of content sent again", fmt.Sprintf("%d; %d", s.Refusals, s.Chunks)})
	}
	var spread []string
	for _, name := range slices.Sorted(maps.Keys(r.Spread)) {
		spread = append(spread, fmt.Sprintf("%s %d", name, r.Spread[name]))
	}
	return append(rows, row{"agents by replica, at the end", strings.Join(spread, ", ")})
}

func (r *result) print(out io.Writer, form string) error {
	switch form {
	case "json":
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(r)
	case "markdown":
		fmt.Fprint(out, "| measured | |\n|---|---|\n")
		for _, row := range r.rows() {
			fmt.Fprintf(out, "| %s | %s |\n", row.what, row.value)
		}
		return nil
	default:
		table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		for _, row := range r.rows() {
			fmt.Fprintf(table, "%s\t%s\n", row.what, row.value)
		}
		return table.Flush()
	}
}

// machine says what it was measured on, and how busy that was before.
func machine() string {
	text := fmt.Sprintf("%d processors", runtime.NumCPU())
	if load, err := os.ReadFile("/proc/loadavg"); err == nil {
		text += ", load " + strings.Fields(string(load))[0]
	}
	return text
}
