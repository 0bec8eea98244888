package cli

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	adminv1 "tidegate.dev/proto/tidegate/admin/v1"
)

var update = flag.Bool("update", false, "write what frames look like now as what is expected")

// TestFramesLookAsExpected draws the rollouts of testdata/frames: JSON, a line of dashes, the frame.
func TestFramesLookAsExpected(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/frames/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no frames: %v", err)
	}
	now := time.Date(2026, 11, 23, 15, 0, 9, 0, time.UTC)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			input, want, _ := strings.Cut(string(content), "\n----------\n")
			var rollout adminv1.Rollout
			if err := protojson.Unmarshal([]byte(input), &rollout); err != nil {
				t.Fatal(err)
			}
			got := strings.Join(append(frame(&rollout, now, 110, style{}), closing(&rollout, style{})), "\n") + "\n"
			if *update {
				if err := os.WriteFile(file, []byte(input+"\n----------\n"+got), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != want {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

func TestShortenLeavesColoursWhole(t *testing.T) {
	t.Parallel()
	cases := []struct {
		line  string
		width int
		want  string
	}{
		{"short", 10, "short"},
		{"exactly ten", 11, "exactly ten"},
		{"a longer line", 6, "a lon…"},
		{"\x1b[31ma red line\x1b[0m", 20, "\x1b[31ma red line\x1b[0m"},
		{"\x1b[31ma red line\x1b[0m", 5, "\x1b[31ma re…\x1b[0m"},
		{"ééééé", 3, "éé…"},
	}
	for _, c := range cases {
		if got := shorten(c.line, c.width); got != c.want {
			t.Errorf("%q in %d columns is %q, want %q", c.line, c.width, got, c.want)
		}
	}
}
