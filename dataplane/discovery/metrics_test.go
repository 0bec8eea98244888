package discovery_test

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"tidegate.dev/dataplane/discovery"
)

func TestMetricsShowHowSourcesFare(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir+"/a.yaml", "- address: 10.0.0.1:80\n- address: 10.0.0.2:80\n")
	write(t, dir+"/b.yaml", "")
	e := inFolder(dir)
	board := discovery.NewBoard()
	for _, path := range []string{"a.yaml", "b.yaml", "./b.yaml"} {
		r := runOn(t, board, fileConfig(path), e)
		if path == "a.yaml" {
			r.want(t, targets("10.0.0.1:80", "10.0.0.2:80")...)
		}
	}
	wait(t, "three statuses", func() bool {
		statuses := board.Statuses()
		return len(statuses) == 3 && statuses[0].Failures > 0 && statuses[2].Failures > 0
	})
	const want = `
# HELP tidegate_discovery_failing 1 while a source of targets has no good answer, so that the last targets stay; else 0.
# TYPE tidegate_discovery_failing gauge
tidegate_discovery_failing{kind="file",source="file ./b.yaml"} 1
tidegate_discovery_failing{kind="file",source="file a.yaml"} 0
tidegate_discovery_failing{kind="file",source="file b.yaml"} 1
# HELP tidegate_discovery_targets How many targets a source of targets found last.
# TYPE tidegate_discovery_targets gauge
tidegate_discovery_targets{kind="file",source="file ./b.yaml"} 0
tidegate_discovery_targets{kind="file",source="file a.yaml"} 2
tidegate_discovery_targets{kind="file",source="file b.yaml"} 0
`
	if err := testutil.CollectAndCompare(discovery.NewCollector(board), strings.NewReader(want),
		"tidegate_discovery_failing", "tidegate_discovery_targets"); err != nil {
		t.Error(err)
	}
}

func TestSourcesThatLookForTheSameAreOneInMetrics(t *testing.T) {
	t.Parallel()
	s := startNameServer(t)
	s.set(t, "orders.test. A", "orders.test. 60 IN A 10.0.0.1")
	s.set(t, "orders.test. AAAA")
	board := discovery.NewBoard()
	often := dnsConfig(s, "orders.test")
	seldom := often
	seldom.DNS.MaxRefresh *= 2
	runOn(t, board, often, environment()).want(t, targets("10.0.0.1:80")...)
	runOn(t, board, seldom, environment()).want(t, targets("10.0.0.1:80")...)
	if n := testutil.CollectAndCount(discovery.NewCollector(board), "tidegate_discovery_targets"); n != 1 {
		t.Errorf("there are %d of them", n)
	}
}
