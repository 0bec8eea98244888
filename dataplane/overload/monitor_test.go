package overload

import (
	"context"
	"testing"
	"time"
)

func TestNoMonitorSeesNothing(t *testing.T) {
	t.Parallel()
	var m *Monitor
	if !m.Admit(Sheddable) || m.Memory() != MemoryFree {
		t.Error("it refuses")
	}
}

func TestLagRefusesWhatMattersLeastFirst(t *testing.T) {
	t.Parallel()
	m := NewMonitor(MonitorConfig{})
	shed := func(sheddable, usual, critical float64) {
		t.Helper()
		if s, d, c := m.Shed(Sheddable), m.Shed(Default), m.Shed(Critical); s != sheddable || d != usual || c != critical {
			t.Errorf("%.2f of sheddable, %.2f of the usual and %.2f of critical are refused, want %.2f, %.2f, %.2f", s, d, c, sheddable, usual, critical)
		}
	}
	looks := func(n int, lag time.Duration) {
		for range n {
			m.note(reading{lag: lag, busy: 0.9})
		}
	}
	looks(1, 49*time.Millisecond)
	shed(0, 0, 0)
	looks(1, 51*time.Millisecond)
	shed(0, 0, 0)
	looks(5, 51*time.Millisecond)
	shed(0.5, 0, 0)
	looks(10, 51*time.Millisecond)
	shed(1, 0.5, 0)
	if m.Admit(Sheddable) || !m.Admit(Critical) {
		t.Error("what is sheddable is admitted, or what is critical is not")
	}
	admitted := 0
	for range 10_000 {
		if m.Admit(Default) {
			admitted++
		}
	}
	if admitted < 4500 || admitted > 5500 {
		t.Errorf("%d of 10000 are admitted, want half", admitted)
	}
	looks(1000, time.Second)
	shed(1, 0.9, 0.5)
	looks(1000, 0)
	shed(0, 0, 0)
	for range 10 {
		m.note(reading{lag: time.Second, busy: 0.4})
	}
	shed(0, 0, 0)
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
		if admits := m.Admit(Default); admits != (step.want < MemoryExhausted) || !m.Admit(Critical) {
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
		if !m.Admit(Default) {
			b.Fatal("refused")
		}
	}
}

func BenchmarkGauge(b *testing.B) {
	var g gauge
	g.begin()
	b.ReportAllocs()
	for b.Loop() {
		g.read()
	}
}
