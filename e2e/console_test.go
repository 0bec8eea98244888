package e2e_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"tidegate.dev/e2e/harness"
)

// The console's journeys are told in e2e/console, in the language of the browser; here they get a running system.
func TestTheConsoleInABrowser(t *testing.T) {
	t.Parallel()
	browser := chromium()
	if browser == "" {
		t.Skip("no Chromium here; set TIDEGATE_CHROMIUM to its path")
	}
	s := harness.Start(t, harness.Options{})
	useQuickStrategy(t, s)
	upstream := harness.NewUpstream(t, "orders")
	s.Apply(ordersAt(upstream.URL))
	load := harness.StartLoad(t, 100, s.Proxies("/orders/7"))
	defer load.Stop()

	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "npx", "--no-install", "playwright", "test", "--reporter=line")
	cmd.Dir = "console"
	cmd.Env = append(os.Environ(), "CI=true", "TIDEGATE_CHROMIUM="+browser, "TIDEGATE_CONSOLE_URL="+s.Ready.Admin,
		"TIDEGATE_TOKEN_FILE="+s.Ready.TokenFile, "TIDEGATE_UPSTREAM_URL="+harness.NewUpstream(t, "changed").URL)
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Errorf("the browser's journeys: %v (screenshots in %s)", err, filepath.Join("e2e", "console", "test-results"))
	}
}

func chromium() string {
	for _, candidate := range []string{os.Getenv("TIDEGATE_CHROMIUM"), "chromium", "chromium-browser", "google-chrome"} {
		if candidate == "" {
			continue
		}
		if path, err := exec.LookPath(candidate); err == nil {
			return path
		}
	}
	return ""
}
