package config

import (
	"testing"
	"time"

	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

func TestFreezeWindows(t *testing.T) {
	t.Parallel()
	start, end := "2026-12-23T18:00:00Z", "2027-01-02T08:00:00Z"
	once := &configv1.FreezeWindow{Name: "holidays", Start: &start, End: &end}
	weekend := &configv1.FreezeWindow{Name: "weekend", Days: []string{"fri", "sat", "sun"}, From: "18:00", To: "08:00", TimeZone: "Europe/Berlin"}
	for _, each := range []struct {
		name   string
		window *configv1.FreezeWindow
		now    string
		until  string
	}{
		{"before", once, "2026-12-23T17:59:59Z", ""},
		{"at its begin", once, "2026-12-23T18:00:00Z", end},
		{"at its end", once, end, ""},
		{"friday noon", weekend, "2026-11-27T12:00:00Z", ""},
		{"friday evening in Berlin", weekend, "2026-11-27T17:00:00Z", "2026-11-28T07:00:00Z"},
		{"the morning after", weekend, "2026-11-30T06:59:00Z", "2026-11-30T07:00:00Z"},
		{"monday", weekend, "2026-11-30T07:00:00Z", ""},
		{"the night in which the clocks go forward", weekend, "2026-03-29T01:30:00Z", "2026-03-29T06:00:00Z"},
	} {
		now, err := time.Parse(time.RFC3339, each.now)
		if err != nil {
			t.Fatal(err)
		}
		found := frozen(&configv1.FleetPolicy{FreezeWindows: []*configv1.FreezeWindow{each.window}}, now)
		got := ""
		if found != nil {
			got = found.Until.UTC().Format(time.RFC3339)
		}
		if got != each.until {
			t.Errorf("%s: frozen until %q, want %q", each.name, got, each.until)
		}
	}
}
