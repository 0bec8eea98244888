package router

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"tidegate.dev/proto/pattern"
)

// TestRandomRulesAgainstOracle is the fuzz target's check over many long random inputs, so that every run of the tests has it.
func TestRandomRulesAgainstOracle(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	matched, missed := 0, 0
	for range 300 {
		data := make([]byte, 1500)
		for i := range data {
			data[i] = byte(random.Uint32())
		}
		c := &choices{data}
		router, err := New[int](nil)
		if err != nil {
			t.Fatal(err)
		}
		var want catalog
		for range 6 {
			router = step(t, c, router, &want)
			for range 12 {
				if agree(t, router, want, c.request()) {
					matched++
				} else {
					missed++
				}
			}
		}
	}
	if matched < 1000 || missed < 1000 {
		t.Errorf("%d requests matched and %d did not: the test has become easy", matched, missed)
	}
}

// TestManyRoutesAgainstOracle has enough routes for tables of several segments, changed in small steps.
func TestManyRoutesAgainstOracle(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	router, err := New[int](nil)
	if err != nil {
		t.Fatal(err)
	}
	var want catalog
	path := func(parameter string) string {
		text := ""
		for i := range 1 + random.IntN(3) {
			switch random.IntN(4) {
			case 0:
				text += fmt.Sprintf("/"+parameter, i)
			default:
				text += fmt.Sprintf("/%d", random.IntN(3000))
			}
		}
		return text
	}
	for i := range 40 {
		var upserts []Entry[int]
		for range 100 {
			rule := entryOf(t, fmt.Sprint("route-", random.IntN(3000)), int32(random.IntN(3)), path("{p%d}")).Rule
			if slices.ContainsFunc(upserts, func(e Entry[int]) bool { return e.Rule.Name == rule.Name }) {
				continue
			}
			upserts = append(upserts, Entry[int]{rule, i})
			want.put(upserts[len(upserts)-1])
		}
		var deletes []string
		if old := len(want.rules) - len(upserts); old > 0 {
			deletes = []string{want.rules[random.IntN(old)].Name}
			want.remove(deletes[0])
		}
		if router, err = router.With(upserts, deletes); err != nil {
			t.Fatal(err)
		}
		for range 10 {
			agree(t, router, want, pattern.Request{Method: "GET", Host: "a.com", Path: path("q%d")})
		}
	}
	agreeAll(t, router, want)
}

// agreeAll asks for what each rule is for.
func agreeAll(t *testing.T, router *Router[int], want catalog) {
	t.Helper()
	for i := 0; i < len(want.rules); i += 10 {
		path := parameter.ReplaceAllString(want.rules[i].Paths[0].Source(), "q")
		agree(t, router, want, pattern.Request{Method: "GET", Host: "a.com", Path: path})
	}
}
