package http1

import (
	"net/textproto"
	"strings"
	"testing"
)

func TestIdentify(t *testing.T) {
	t.Parallel()
	for id := nameHost; id < nameCount; id++ {
		lower := knownNames[id]
		for _, spelt := range []string{lower, strings.ToUpper(lower), textproto.CanonicalMIMEHeaderKey(lower)} {
			if got := identify(spelt); got != id {
				t.Errorf("%q is %d, want %d", spelt, got, id)
			}
			if got := identify([]byte(spelt)); got != id {
				t.Errorf("the bytes %q are %d, want %d", spelt, got, id)
			}
		}
		for _, other := range []string{lower[1:], lower + "s", "x" + lower, strings.ReplaceAll(lower, "-", "_"), strings.ReplaceAll(lower, "-", "\r")} {
			if got := identify(other); got == id && other != lower {
				t.Errorf("%q is taken for %q", other, lower)
			}
		}
	}
	if identify("") != otherName || identify("\x00") != otherName {
		t.Error("what is no name is taken for one")
	}
}

func BenchmarkIdentify(b *testing.B) {
	for _, name := range []string{"X-Forwarded-For", "x-forwarded-for", "X-Unknown"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				identify(name)
			}
		})
	}
}
