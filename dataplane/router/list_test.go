package router

import (
	"fmt"
	"testing"
)

// TestListsBehindLongNames has places of the same candidates, whose names begin alike and are longer than a child keeps.
func TestListsBehindLongNames(t *testing.T) {
	t.Parallel()
	kinds := []string{"/items GET", "/items POST", "/items/{item} GET", "/**"}
	var list []Entry[string]
	for place := range 3 {
		for i, kind := range kinds {
			list = append(list, entryOf(t, fmt.Sprint(place, " ", i), 0, fmt.Sprintf("/a-name-that-is-long-%d%s", place, kind)))
		}
	}
	full := newRouter(t, list...)
	rest, err := full.With(nil, []string{"1 1"})
	if err != nil {
		t.Fatal(err)
	}
	for place := range 3 {
		path := fmt.Sprintf("/a-name-that-is-long-%d/items", place)
		posted := fmt.Sprint(place, " 1")
		if got, _ := full.Match("a", "POST", path, nil, nil); got != posted {
			t.Errorf("POST %s: %q", path, got)
		}
		if place == 1 {
			posted = "1 3"
		}
		for method, name := range map[string]string{"POST": posted, "GET": fmt.Sprint(place, " 0"), "PURGE": fmt.Sprint(place, " 3")} {
			if got, _ := rest.Match("a", method, path, nil, nil); got != name {
				t.Errorf("%s %s without POST of place 1: %q", method, path, got)
			}
		}
	}
	if _, ok := full.Match("a", "GET", "/a-name-that-is-long-3/items", nil, nil); ok {
		t.Error("a name that is not there")
	}
}
