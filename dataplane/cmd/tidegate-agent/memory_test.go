package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestMemorySizes(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "1024": 1024, "10B": 10, "4KiB": 4096, "512MiB": 512 << 20, "2GiB": 2 << 30,
		"": -1, "x": -1, "-1": -1, "1.5GiB": -1, "9999999999GiB": -1, "512MB": -1,
	} {
		var got memorySize
		if err := got.UnmarshalText([]byte(text)); (err != nil) != (want < 0) || want >= 0 && int64(got) != want {
			t.Errorf("%q is %d, %v", text, got, err)
		}
	}
}

func TestMemoryOfTheControlGroup(t *testing.T) {
	path := filepath.Join(t.TempDir(), "memory.max")
	for text, want := range map[string]int64{"max\n": 0, "1048576\n": 1 << 20, "9223372036854771712\n": 0} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := cgroupMemory([]string{filepath.Join(t.TempDir(), "none"), path}); got != want {
			t.Errorf("%q is %d", text, got)
		}
	}
	if _, err := applyMemoryLimit(1 << 20); err == nil {
		t.Error("a MiB is enough for an agent")
	}
}
