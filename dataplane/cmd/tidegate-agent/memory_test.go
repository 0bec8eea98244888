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

func TestControlGroups(t *testing.T) {
	for name, c := range map[string]struct {
		own        string
		files      map[string]string
		memory     int64
		processors float64
	}{
		"none":    {"", map[string]string{}, 0, 0},
		"nothing": {"0::/a/b\n", map[string]string{"a/b/memory.max": "max\n", "a/b/cpu.max": "max 100000\n"}, 0, 0},
		"version 2": {
			"0::/a/b\n", map[string]string{"a/b/memory.max": "1048576\n", "a/memory.max": "2097152\n", "a/cpu.max": "150000 100000\n"}, 1 << 20, 1.5,
		},
		"in a container": {"0::/far/away\n", map[string]string{"memory.max": "1048576\n", "cpu.max": "50000 100000\n"}, 1 << 20, 0.5},
		"version 1": {
			"4:memory:/a\n1:cpu,cpuacct:/a\n2:freezer:/\n", map[string]string{
				"memory/a/memory.limit_in_bytes": "1048576\n", "memory/memory.limit_in_bytes": "9223372036854771712\n",
				"cpu,cpuacct/a/cpu.cfs_quota_us": "20000\n", "cpu,cpuacct/a/cpu.cfs_period_us": "10000\n", "cpu,cpuacct/cpu.cfs_quota_us": "-1\n",
			}, 1 << 20, 2,
		},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			c.files["own"] = c.own
			for path, text := range c.files {
				path = filepath.Join(root, path)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // as in /sys
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			group := groupOf(filepath.Join(root, "own"), root)
			if memory, processors := group.memoryLimit(), group.processorLimit(); memory != c.memory || processors != c.processors {
				t.Errorf("%d bytes and %g processors, want %d and %g", memory, processors, c.memory, c.processors)
			}
		})
	}
	if _, err := applyMemoryLimit(1<<20, controlGroup{}); err == nil {
		t.Error("a MiB is enough for an agent")
	}
}
