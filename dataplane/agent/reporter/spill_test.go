package reporter

import (
	"os"
	"path/filepath"
	"testing"

	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
)

func report(sequence int64) *agentv1.ReportTelemetryRequest {
	return &agentv1.ReportTelemetryRequest{BootId: "boot", Sequence: sequence}
}

func waitingIn(q *queue) (sequences []int64) {
	for i := 0; ; i++ {
		one, there := q.at(i)
		if !there {
			return sequences
		}
		sequences = append(sequences, one.GetSequence())
	}
}

func TestProcessesOfOneAgentHaveTheirOwnFilesAndLeaveThemToTheNext(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "telemetry.spill")
	open := func() *queue {
		q, err := openQueue(path, 1<<20, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		return q
	}
	first := open()
	second := open()
	if first.path == second.path {
		t.Fatal("two processes write one file")
	}
	for i, q := range []*queue{first, second, second} {
		if err := q.push(report(int64(i + 1))); err != nil {
			t.Fatal(err)
		}
	}
	for _, q := range []*queue{second, first} {
		if err := q.close(); err != nil {
			t.Fatal(err)
		}
	}
	third := open()
	if got := waitingIn(third); len(got) != 3 || got[0] != 1 || got[1] != 2 || got[2] != 3 {
		t.Errorf("the next process has %v", got)
	}
	if _, err := os.Stat(second.path); !os.IsNotExist(err) {
		t.Error("the file that was taken over is still there")
	}
	if err := third.close(); err != nil {
		t.Error(err)
	}
}

func TestWhatIsTornInALeftFileIsGivenUp(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "telemetry.spill")
	if err := os.WriteFile(filePath(path, 2), []byte("rubbish"), 0o600); err != nil {
		t.Fatal(err)
	}
	q, err := openQueue(path, 1<<20, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if !q.empty() {
		t.Error("rubbish waits to be sent")
	}
	if err := q.close(); err != nil {
		t.Error(err)
	}
}
