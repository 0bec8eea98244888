package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// controlGroup is the control group of this process, and those above it: what bounds the processors and the memory that it may
// take.
type controlGroup struct {
	// memory and processors are the folders that may hold limits, by the version of control groups.
	memory, processors []string
}

// groupOf reads a file like /proc/self/cgroup, with the hierarchies mounted below root.
func groupOf(path, root string) (g controlGroup) {
	text, err := os.ReadFile(path)
	if err != nil {
		return g
	}
	for line := range strings.Lines(string(text)) {
		// "4:memory:/a/b" is of version 1, "0::/a/b" of version 2.
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		switch controllers := strings.Split(parts[1], ","); {
		case parts[1] == "":
			g.memory = append(g.memory, upwards(root, parts[2])...)
			g.processors = append(g.processors, upwards(root, parts[2])...)
		case controllers[0] == "memory":
			g.memory = append(g.memory, upwards(filepath.Join(root, "memory"), parts[2])...)
		case controllers[0] == "cpu" || controllers[len(controllers)-1] == "cpu":
			g.processors = append(g.processors, upwards(filepath.Join(root, parts[1]), parts[2])...)
		}
	}
	return g
}

// upwards are the folders from the group to the mount. Within a container the group's own path may not be there, and the mount
// is the group.
func upwards(mount, group string) (folders []string) {
	for {
		folders = append(folders, filepath.Join(mount, group))
		if group == "/" || group == "." || group == "" {
			return folders
		}
		group = filepath.Dir(group)
	}
}

// memoryLimit is how much memory there may be, in bytes; 0 is no limit.
func (g controlGroup) memoryLimit() (limit int64) {
	// Without a limit version 1 says a number that no machine has.
	const more = 1 << 50
	for _, folder := range g.memory {
		for _, name := range []string{"memory.max", "memory.limit_in_bytes"} {
			n, ok := readNumber(filepath.Join(folder, name))
			if ok && n < more && (limit == 0 || n < limit) {
				limit = n
			}
		}
	}
	return limit
}

// processorLimit is how many processors' time there may be; 0 is no limit.
func (g controlGroup) processorLimit() (limit float64) {
	lower := func(quota, period int64) {
		if share := float64(quota) / float64(period); quota > 0 && period > 0 && (limit == 0 || share < limit) {
			limit = share
		}
	}
	for _, folder := range g.processors {
		if text, err := os.ReadFile(filepath.Join(folder, "cpu.max")); err == nil {
			if fields := strings.Fields(string(text)); len(fields) == 2 {
				quota, _ := strconv.ParseInt(fields[0], 10, 64)
				period, _ := strconv.ParseInt(fields[1], 10, 64)
				lower(quota, period)
			}
		}
		quota, _ := readNumber(filepath.Join(folder, "cpu.cfs_quota_us"))
		period, _ := readNumber(filepath.Join(folder, "cpu.cfs_period_us"))
		lower(quota, period)
	}
	return limit
}

func readNumber(path string) (int64, bool) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	return n, err == nil
}
