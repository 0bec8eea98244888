package router

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"tidegate.dev/proto/pattern"
)

// shape is a way in which routes are many; both functions take the number of the route.
type shape struct {
	name    string
	pattern func(i int) string
	request func(i int) (host, path string)
}

var shapes = []shape{
	{
		"literal",
		func(i int) string { return fmt.Sprintf("/service-%06d/orders", i) },
		func(i int) (string, string) { return "api.example.com", fmt.Sprintf("/service-%06d/orders", i) },
	},
	{
		"params",
		func(i int) string { return fmt.Sprintf("/api/service-%06d/orders/{order}/lines/{line} GET", i) },
		func(i int) (string, string) {
			return "api.example.com", fmt.Sprintf("/api/service-%06d/orders/4711/lines/12", i)
		},
	},
	{
		"prefix",
		func(i int) string { return fmt.Sprintf("/api/v1/service-%06d/**", i) },
		func(i int) (string, string) {
			return "api.example.com", fmt.Sprintf("/api/v1/service-%06d/orders/4711", i)
		},
	},
	{
		"hosts",
		func(i int) string { return fmt.Sprintf("tenant-%06d.example.com /orders/{order}", i) },
		func(i int) (string, string) { return fmt.Sprintf("tenant-%06d.example.com", i), "/orders/4711" },
	},
}

func entries(tb testing.TB, s shape, count int) []Entry[string] {
	out := make([]Entry[string], count)
	for i := range out {
		out[i] = entryOf(tb, fmt.Sprintf("route-%06d", i), 0, s.pattern(i))
	}
	return out
}

// TestMatchDoesNotAllocate covers every shape, misses, and conditions.
func TestMatchDoesNotAllocate(t *testing.T) {
	condition, err := pattern.ParseQuery("q", pattern.MatchesRegex, "v[12]")
	if err != nil {
		t.Fatal(err)
	}
	var query pattern.Fields = fields{query: map[string]string{"q": "v1"}}
	for _, s := range shapes {
		list := entries(t, s, 1000)
		for i := range list {
			list[i].Rule.Query = []pattern.Condition{condition}
		}
		list = append(list, entryOf(t, "regex", 0, "~/regex/[0-9]+"), entryOf(t, "wildcard", 0, "*.example.org /**"))
		router := newRouter(t, list...)
		host, path := s.request(500)
		var params Params
		allocations := testing.AllocsPerRun(100, func() {
			if _, ok := router.Match(host, "GET", path, query, &params); !ok {
				t.Fatal("no match")
			}
			if _, ok := router.Match(host, "GET", "/nothing/at/all", query, &params); ok {
				t.Fatal("match")
			}
			if _, ok := router.Match("a", "GET", "/regex/12", query, &params); !ok {
				t.Fatal("no match")
			}
		})
		if allocations != 0 {
			t.Errorf("%s: %v allocations", s.name, allocations)
		}
	}
}

// BenchmarkMatch shows what the number of routes costs. Some asks for 64 of them, as most requests are for few routes; all
// asks for every one in random order, so that the processor's caches hold little of what is needed.
func BenchmarkMatch(b *testing.B) {
	for _, s := range shapes {
		for _, count := range []int{1, 1000, 100_000} {
			router := newRouter(b, entries(b, s, count)...)
			for _, asked := range []struct {
				name  string
				count int
			}{{"some", 64}, {"all", count}} {
				b.Run(fmt.Sprintf("%s/routes=%d/%s", s.name, count, asked.name), func(b *testing.B) {
					benchmarkMatch(b, router, s, count, asked.count)
				})
			}
		}
	}
}

func benchmarkMatch(b *testing.B, router *Router[string], s shape, count, asked int) {
	random := rand.New(rand.NewPCG(1, 1))
	type request struct{ host, path string }
	requests := make([]request, asked)
	for i, n := range random.Perm(count)[:min(asked, count)] {
		requests[i].host, requests[i].path = s.request(n)
	}
	for i := min(asked, count); i < asked; i++ {
		requests[i] = requests[i%count]
	}
	var params Params
	b.ReportAllocs()
	next := 0
	for b.Loop() {
		request := &requests[next]
		if next++; next == len(requests) {
			next = 0
		}
		if _, ok := router.Match(request.host, "GET", request.path, nil, &params); !ok {
			b.Fatal(request)
		}
	}
}

func BenchmarkMatchGitHub(b *testing.B) {
	operations := gitHub(b)
	router := gitHubRouter(b, operations)
	paths := make([]string, len(operations))
	for i, o := range operations {
		paths[i] = o.request()
	}
	for name, wanted := range map[string]*Params{"params": new(Params), "without": nil} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			next := 0
			for b.Loop() {
				if _, ok := router.Match("api.github.com", operations[next].method, paths[next], nil, wanted); !ok {
					b.Fatal(paths[next])
				}
				if next++; next == len(paths) {
					next = 0
				}
			}
		})
	}
}

// BenchmarkMiss is a request that no route takes, and the question after it which methods would have been right.
func BenchmarkMiss(b *testing.B) {
	router := newRouter(b, entries(b, shapes[1], 100_000)...)
	b.ReportAllocs()
	for b.Loop() {
		router.Match("api.example.com", "GET", "/api/service-000001/nothing", nil, nil)
		router.Allowed("api.example.com", "/api/service-000001/nothing", nil)
	}
}

// BenchmarkWith changes one route among many.
func BenchmarkWith(b *testing.B) {
	for _, s := range shapes {
		for _, count := range []int{10, 1000, 100_000} {
			list := entries(b, s, count)
			router := newRouter(b, list...)
			b.Run(fmt.Sprintf("%s/routes=%d", s.name, count), func(b *testing.B) {
				b.ReportAllocs()
				next := 0
				for b.Loop() {
					if _, err := router.With(list[next:next+1], nil); err != nil {
						b.Fatal(err)
					}
					next = (next + 7919) % count
				}
			})
		}
	}
}

func BenchmarkNew(b *testing.B) {
	for _, s := range shapes {
		list := entries(b, s, 100_000)
		b.Run(s.name+"/routes=100000", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := New(list); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
