package identity

import "testing"

func TestTheReplicaThatIsLeftIsTriedLast(t *testing.T) {
	t.Parallel()
	all, err := parseReplicas("a:1, b:1,c:1,a:2")
	if err != nil {
		t.Fatal(err)
	}
	first := map[string]bool{}
	for range 200 {
		order := all.without("a:1")
		if len(order) != 4 || order[3].Addr != "a:1" || order[3].ServerName != "a" {
			t.Fatalf("the order is %v", order)
		}
		first[order[0].Addr] = true
	}
	if len(first) != 3 {
		t.Errorf("of three others these come first: %v", first)
	}
	if order := all.without("unknown:1"); len(order) != 4 {
		t.Errorf("without one that is not there: %v", order)
	}
}
