package fleet

import (
	"testing"
	"time"
)

func TestWhatAReplicaPartsWith(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		agents map[string]int
		want   int
	}{
		{"alone", map[string]int{"a": 1000}, 0},
		{"nobody there", map[string]int{"a": 0, "b": 0}, 0},
		{"even", map[string]int{"a": 500, "b": 500}, 0},
		{"nearly even", map[string]int{"a": 520, "b": 480}, 0},
		{"fewer", map[string]int{"a": 100, "b": 900}, 0},
		{"another came back", map[string]int{"a": 1000, "b": 0}, 50},
		{"near the end", map[string]int{"a": 540, "b": 460}, 27},
		{"a small fleet", map[string]int{"a": 3, "b": 0}, 1},
		{"a small fleet at rest", map[string]int{"a": 2, "b": 1}, 0},
		{"a small fleet of four", map[string]int{"a": 4, "b": 0}, 1},
		{"three replicas", map[string]int{"a": 600, "b": 300, "c": 0}, 30},
		{"not known itself", map[string]int{"b": 600, "c": 300}, 0},
	} {
		if got := surplus(c.agents, "a"); got != c.want {
			t.Errorf("%s: %d agents go, want %d", c.name, got, c.want)
		}
	}
}

// Whoever was asked counts as gone for a while, so that a slow one is not answered by asking more; one that stays is left alone.
func TestAgentsAreAskedOnce(t *testing.T) {
	t.Parallel()
	s := newStreams(10)
	for _, agent := range []string{"1", "2", "3", "4"} {
		_, stream, err := s.begin(t.Context(), agent)
		if err != nil {
			t.Fatal(err)
		}
		s.adopt(stream, 1)
	}
	now := time.Now()
	for _, c := range []struct {
		after       time.Duration
		count, want int
	}{
		{0, 1, 1},
		{time.Second, 1, 0},                // it is on its way
		{2 * time.Second, 3, 2},            // two more
		{moveTime + 3*time.Second, 1, 1},   // they stayed: the last one
		{2 * moveTime, 1, 0},               // it is on its way
		{3 * moveTime, 4, 0},               // nobody is left to ask
		{2*askAgainAfter + moveTime, 2, 2}, // after a long time, again
	} {
		if got := s.askToMove(c.count, now.Add(c.after)); got != c.want {
			t.Errorf("after %v, with %d to go, %d were asked, want %d", c.after, c.count, got, c.want)
		}
	}
}

// However agents lie, the replicas come to a rest, near to even, in a bounded number of looks.
func TestBalancingComesToARest(t *testing.T) {
	t.Parallel()
	for _, agents := range []map[string]int{
		{"a": 1000, "b": 0}, {"a": 7, "b": 0, "c": 0}, {"a": 5000, "b": 4000, "c": 1}, {"a": 0, "b": 1, "c": 999, "d": 0},
	} {
		total, rounds := 0, 0
		for _, count := range agents {
			total += count
		}
		for moved := true; moved; rounds++ {
			moved = false
			for name := range agents {
				going := surplus(agents, name)
				for ; going > 0; going-- { // each goes to the one with the fewest
					fewest := name
					for other, count := range agents {
						if count < agents[fewest] {
							fewest = other
						}
					}
					agents[name]--
					agents[fewest]++
					moved = true
				}
			}
			if rounds > 500 {
				t.Fatalf("after %d looks agents still move: %v", rounds, agents)
			}
		}
		share := total / len(agents)
		for name, count := range agents {
			if count > share+share/20+2 {
				t.Errorf("%s keeps %d agents of %d: %v", name, count, total, agents)
			}
		}
	}
}
