package reporter_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tidegate.dev/dataplane/agent/controlplanetest"
	"tidegate.dev/dataplane/agent/identity"
	"tidegate.dev/dataplane/agent/reporter"
	"tidegate.dev/dataplane/telemetry"
	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is what a reporter works with.
type rig struct {
	cp       *controlplanetest.ControlPlane
	counters *telemetry.Counters
	uses     *telemetry.KeyUses
	config   reporter.Config
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{
		cp: controlplanetest.Start(t), uses: telemetry.NewKeyUses(),
		counters: telemetry.NewCounters([]string{"", "no_route"}),
	}
	dir := t.TempDir()
	store, err := identity.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	token, err := identity.ParseJoinToken(r.cp.JoinToken())
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Enroll(t.Context(), identity.Enrolment{ControlPlane: r.cp.Address, Token: token, Name: "a"}); err != nil {
		t.Fatal(err)
	}
	conn, err := identity.Dial(r.cp.Address, store)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	})
	r.config = reporter.Config{
		StateDir: dir, BootID: "boot-1", Connection: conn, Counters: r.counters, Baseline: telemetry.NewBaseline(r.counters), KeyUses: r.uses,
		Log: slog.New(slog.DiscardHandler), Interval: 20 * time.Millisecond,
	}
	return r
}

func (r *rig) start(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- reporter.New(r.config).Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func (r *rig) open(share uint32) *telemetry.Arm {
	return r.counters.Open(telemetry.ArmKey{Revision: 7, Arm: 2, RolloutID: "3", SharePPM: share}, 10)
}

// requests adds up what was reported.
func (r *rig) requests() (sum uint64) {
	for _, report := range r.cp.Reports() {
		for _, cell := range report.GetCells() {
			sum += cell.GetRequests()
		}
	}
	return sum
}

func (r *rig) wantRequests(t *testing.T, want uint64) {
	t.Helper()
	r.cp.Wait(t, "all requests", func() bool { return r.requests() >= want })
	if got := r.requests(); got != want {
		t.Errorf("%d requests were reported, want %d", got, want)
	}
}

func record(arm *telemetry.Arm, n int) {
	for range n {
		arm.Record(1, "orders", 2, 0, time.Millisecond)
	}
}

func TestEachRequestIsReportedOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	arm := r.open(10_000)
	record(arm, 5)
	stop := r.start(t)
	r.wantRequests(t, 5)
	record(arm, 10)
	r.wantRequests(t, 15)
	arm.Record(0, "", 4, 1, 100*time.Microsecond)
	again := r.open(10_000) // the same arm, opened once more
	record(again, 3)
	var last atomic.Int64
	r.uses.Record("key-1", &last, time.Now())
	stop()
	if got := r.requests(); got != 19 {
		t.Errorf("at the end %d requests were reported, want 19", got)
	}
	var sequence int64
	var uses int
	for _, report := range r.cp.Reports() {
		sequence++
		if report.GetSequence() != sequence || report.GetBootId() != "boot-1" {
			t.Errorf("report %d of %s is numbered %d", sequence, report.GetBootId(), report.GetSequence())
		}
		uses += len(report.GetKeyUses())
		for _, cell := range report.GetCells() {
			checkCell(t, cell)
		}
	}
	if uses != 1 {
		t.Errorf("%d uses of keys were reported, want 1", uses)
	}
}

func checkCell(t *testing.T, cell *agentv1.Cell) {
	t.Helper()
	var counted uint64
	for _, n := range cell.GetBucketCounts() {
		counted += n
	}
	if counted != cell.GetRequests() || len(cell.GetBuckets()) != len(cell.GetBucketCounts()) {
		t.Errorf("the histogram of %v counts %d", cell, counted)
	}
	if cell.GetRevision() != 7 || cell.GetArm() != agentv1.Arm_ARM_CANDIDATE || cell.GetRolloutId() != "3" || cell.GetSharePpm() != 10_000 {
		t.Errorf("cell %v", cell)
	}
	if (cell.GetReason() == "no_route") != (cell.GetRoute() == "") {
		t.Errorf("cell %v", cell)
	}
}

func TestNothingIsLostWithoutAControlPlane(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ memory, disk int64 }{
		"in memory":                  {memory: 1 << 20, disk: 1},
		"on the disk":                {memory: 1, disk: 1 << 20},
		"put together, no room left": {memory: 1, disk: 1},
	}
	for name, limits := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.config.MemoryLimit, r.config.DiskLimit = limits.memory, limits.disk
			r.cp.Stop()
			arm := r.open(10_000)
			r.start(t)
			pace := time.NewTicker(r.config.Interval) // the reporter has its turn between, mostly
			defer pace.Stop()
			for range 30 {
				record(arm, 10)
				<-pace.C
			}
			r.cp.Restart(t)
			r.wantRequests(t, 300)
		})
	}
}

func TestReportsThatWereNotAcknowledgedAreSentAgainAndCountedOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.cp.Mute(true)
	arm := r.open(10_000)
	record(arm, 5)
	r.start(t)
	r.wantRequests(t, 5)
	r.cp.Stop()
	record(arm, 5)
	r.cp.Mute(false)
	r.cp.Restart(t)
	r.wantRequests(t, 10)
}

func TestWhatCouldNotBeSentIsSentByTheNextProcess(t *testing.T) {
	t.Parallel()
	for name, memory := range map[string]int64{"from memory": 1 << 20, "from the disk": 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.config.MemoryLimit, r.config.Farewell = memory, 10*time.Millisecond
			r.cp.Stop()
			arm := r.open(10_000)
			record(arm, 5)
			r.start(t)()
			r.cp.Restart(t)
			r.config.BootID = "boot-2"
			r.config.Counters = telemetry.NewCounters([]string{"", "no_route"})
			record(r.config.Counters.Open(telemetry.ArmKey{Revision: 7}, 10), 2)
			stop := r.start(t)
			r.wantRequests(t, 7)
			stop()
			if info, err := os.Stat(filepath.Join(r.config.StateDir, "telemetry.spill")); err != nil || info.Size() != 0 {
				t.Errorf("after everything was sent the file has %d bytes, %v", info.Size(), err)
			}
		})
	}
}

func TestADamagedFileOfReportsIsGivenUp(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	if err := os.WriteFile(filepath.Join(r.config.StateDir, "telemetry.spill"), []byte("rubbish"), 0o600); err != nil {
		t.Fatal(err)
	}
	record(r.open(10_000), 5)
	r.start(t)
	r.wantRequests(t, 5)
}
