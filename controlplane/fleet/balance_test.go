package fleet

import "testing"

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
		{"a small fleet", map[string]int{"a": 3, "b": 0}, 0},
		{"a small fleet of four", map[string]int{"a": 4, "b": 0}, 1},
		{"three replicas", map[string]int{"a": 600, "b": 300, "c": 0}, 30},
		{"not known itself", map[string]int{"b": 600, "c": 300}, 0},
	} {
		if got := surplus(c.agents, "a"); got != c.want {
			t.Errorf("%s: %d agents go, want %d", c.name, got, c.want)
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
