package discovery

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
)

func TestLists(t *testing.T) {
	t.Parallel()
	for content, want := range map[string]string{
		"[]":                        "[]",
		"- address: '[FD00::1]:80'": "[{[fd00::1]:80 1 }]",
		"- {address: A.example:80, weight: 0, zone: a}":   "[{a.example:80 1 a}]",
		"[\n\t{\"address\": \"a:1\", \"weight\": 7}\n]\n": "[{a:1 7 }]",
		"- address: a:80\n- address: A:80\n":              "line 2: a:80 stands in line 1, too",
		"- address: a:80\n  weight: -1\n":                 `line 2: the weight "-1" is no number`,
		"- address: a:80\n  weight: 1000001\n":            `line 2: the weight "1000001" is no number`,
		"- address: a:80\n  weight: [1]\n":                `line 2: the value of "weight"`,
		"- address: a:80\n  address: b:80\n":              `line 2: "address" stands there twice`,
		"- address: a\n":                                  `line 1: the address "a" is not host:port`,
		"- address: a:0\n":                                "line 1: the address",
		"- address: a:65536\n":                            "line 1: the address",
		"- address: 'a b:80'\n":                           "line 1: the address",
		"- address: 0.0.0.0:80\n":                         "line 1: the address",
		"- address:\n":                                    `line 1: the value of "address"`,
		"- zone: x\n":                                     "line 1: the address is missing",
		"- a:80\n":                                        "line 1: this is no {address",
		"address: a:80\n":                                 "line 1: this is no list",
		"- &x {address: a:80}\n- *x\n":                    "line 2: this is no {address",
		"- address: a:80\n---\n- address: b:80\n":         "there is more after the list",
		"- address: \"a:80\n":                             "yaml: ",
		"# nothing\n":                                     "the file is empty",
		"null\n":                                          "line 1: this is no list",
		"- address: a:80\n  zone: " + strings.Repeat("z", 129) + "\n": "line 2: the zone is longer",
		strings.Repeat("- address: a:80\n", MaxTargets+1):             "line 1: 1025 targets",
	} {
		targets, err := parseList(content)
		got := fmt.Sprint(targets)
		if err != nil {
			got = err.Error()
		}
		if !strings.HasPrefix(got, want) {
			t.Errorf("%.80q gives %q, want %q", content, got, want)
		}
	}
}

func FuzzList(f *testing.F) {
	f.Add("- {address: '10.0.0.2:80', weight: 3, zone: east}\n- address: a.example:80\n")
	f.Add(`[{"address": "[fd00::1]:80", "weight": 1}]`)
	f.Add("- &a {address: a:1}\n- *a\n- <<: *a\n")
	f.Add("---\n...\n---\n- !!str x\n")
	f.Fuzz(func(t *testing.T, content string) {
		targets, err := parseList(content)
		if err != nil {
			return
		}
		arranged, cut := arrange(targets)
		if cut > 0 || len(arranged) != len(targets) {
			t.Errorf("%d targets are arranged to %d", len(targets), len(arranged))
		}
		for _, target := range arranged {
			host, port, err := net.SplitHostPort(target.Address)
			if err != nil || host == "" || port == "" || target.Weight < 1 || target.Weight > MaxWeight || len(target.Zone) > longestZone {
				t.Errorf("found %+v, %v", target, err)
			}
		}
		// What was read can be written and read again.
		var text strings.Builder
		text.WriteString("[")
		for _, target := range targets {
			fmt.Fprintf(&text, "{address: %q, weight: %d},\n", target.Address, target.Weight)
		}
		text.WriteString("]")
		again, err := parseList(text.String())
		if err != nil || !slices.EqualFunc(again, targets, func(a, b Target) bool { return a.Address == b.Address && a.Weight == b.Weight }) {
			t.Errorf("%v was read again as %v, %v", targets, again, err)
		}
	})
}
