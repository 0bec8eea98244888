package main

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
)

func run(t *testing.T, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	if err := simulate(t.Context(), args, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestTheSameSeedPrintsTheSameTable(t *testing.T) {
	t.Parallel()
	one := run(t, "-runs", "20", "-seed", "7", "-only", "power", "-workers", "1")
	many := run(t, "-runs", "20", "-seed", "7", "-only", "power", "-workers", "3")
	if one != many {
		t.Errorf("with one goroutine\n%s\nwith three\n%s", one, many)
	}
	if other := run(t, "-runs", "20", "-seed", "8", "-only", "power"); other == one {
		t.Error("another seed prints the same table")
	}
	if !strings.Contains(one, "everything fails, 1 % share") || !strings.Contains(one, "20/20") {
		t.Errorf("the table is\n%s", one)
	}
}

func TestEveryTableIsPrinted(t *testing.T) {
	t.Parallel()
	out := run(t, "-runs", "10", "-quick")
	for _, want := range []string{
		"One comparison, 2,000 requests/s", "Harmless candidates taken back",
		"Fleets with a bad candidate", "shown to be within the tolerance", "its grid, here",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no table begins with %q in\n%s", want, out)
		}
	}
}

func TestInvalidFlagsAreRefused(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"-runs", "0"},
		{"-workers", "0"},
		{"-only", "nothing"},
		{"-multiples", "2,x"},
		{"-multiples", "0.5", "-runs", "1"},
		{"-tolerance", "0.5", "-runs", "1"},
	} {
		if err := simulate(t.Context(), args, io.Discard, io.Discard); err == nil {
			t.Errorf("%v: accepted", args)
		}
	}
}

func TestInterruptEndsTheCommand(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := simulate(ctx, nil, io.Discard, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "interrupted") {
		t.Errorf("error is %v", err)
	}
}
