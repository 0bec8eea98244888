package overload

import (
	"context"
	"testing"
	"time"
)

func TestNoMonitorSeesNothing(t *testing.T) {
	t.Parallel()
	var m *Monitor
	if m.Admit(Sheddable) != RefusedNot || m.Memory() != MemoryFree {
		t.Error("it refuses")
	}
}

func TestLagRefusesWhatIsSheddable(t *testing.T) {
	t.Parallel()
	m := NewMonitor(MonitorConfig{})
	looks := func(n int, lag time.Duration, busy, want float64) {
		t.Helper()
		for range n {
			m.note(reading{lag: lag, busy: busy})
		}
		if got := m.Shed(); got != want {
			t.Errorf("%.2f are refused, want %.2f", got, want)
		}
	}
	looks(10, 49*time.Millisecond, 0.9, 0)
	// One look alone may be chance, and who is not busy waits because of others.
	looks(1, 51*time.Millisecond, 0.9, 0)
	looks(1, 0, 0.9, 0)
	looks(10, time.Second, 0.4, 0)
	looks(6, 51*time.Millisecond, 0.9, 0.5)
	admitted := 0
	for range 10_000 {
		if m.Admit(Sheddable) == RefusedNot {
			admitted++
		}
		if m.Admit(Default) != RefusedNot || m.Admit(Critical) != RefusedNot {
			t.Fatal("what is not sheddable is refused")
		}
	}
	if admitted < 4500 || admitted > 5500 {
		t.Errorf("%d of 10000 are admitted, want half", admitted)
	}
	looks(1000, time.Second, 0.9, 1)
	looks(1000, 0, 0.9, 0)
	if n := m.Refused(Sheddable); n != uint64(10_000-admitted) {
		t.Errorf("%d refusals were counted", n)
	}
}

func TestMemoryStatesDoNotFlutter(t *testing.T) {
	t.Parallel()
	m := NewMonitor(MonitorConfig{MemoryLimit: 1000})
	for _, step := range []struct {
		used int64
		want Memory
	}{
		{700, MemoryFree},
		{799, MemoryFree},
		{800, MemoryTight},
		{760, MemoryTight},
		{749, MemoryFree},
		{949, MemoryTight},
		{950, MemoryExhausted},
		{910, MemoryExhausted},
		{890, MemoryTight},
		{100, MemoryFree},
	} {
		m.note(reading{used: step.used})
		if got := m.Memory(); got != step.want {
			t.Errorf("at %d: %v, want %v", step.used, got, step.want)
		}
		if admits := m.Admit(Default) != RefusedForMemory; admits != (step.want < MemoryExhausted) || m.Admit(Critical) != RefusedNot {
			t.Errorf("at %d the usual is admitted: %v", step.used, admits)
		}
	}
	boundless := NewMonitor(MonitorConfig{})
	boundless.note(reading{used: 1 << 40})
	if boundless.Memory() != MemoryFree {
		t.Error("without a limit memory is short")
	}
}

func TestTheGaugeReadsThisProcess(t *testing.T) {
	t.Parallel()
	m := NewMonitor(MonitorConfig{MemoryLimit: 1})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- m.Run(ctx) }()
	deadline := time.NewTimer(10 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for m.Memory() != MemoryExhausted {
		select {
		case <-deadline.C:
			t.Fatal("a process that uses more than a byte is not noticed")
		case <-tick.C:
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if used := m.Used(); used < 1<<18 || used > 1<<34 {
		t.Errorf("it uses %d bytes", used)
	}
}

func BenchmarkAdmit(b *testing.B) {
	m := NewMonitor(MonitorConfig{})
	b.ReportAllocs()
	for b.Loop() {
		if m.Admit(Default) != RefusedNot {
			b.Fatal("refused")
		}
	}
}

func BenchmarkGauge(b *testing.B) {
	var g gauge
	g.begin(0)
	b.ReportAllocs()
	for b.Loop() {
		g.read()
	}
}
