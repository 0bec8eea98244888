package http1

import (
	"errors"
	"io"
	"testing"
)

func TestBodiesHaveABound(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		kind    bodyKind
		wire    string
		most    int64
		refused bool
	}{
		"known, as long as may be": {lengthBody, "0123456789", 10, false},
		"known, longer":            {lengthBody, "0123456789", 9, true},
		"chunked, as long":         {chunkedBody, "5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n", 10, false},
		"chunked, longer":          {chunkedBody, "5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n", 9, true},
	} {
		for _, whole := range []bool{true, false} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				b := bodyOf(c.kind, c.wire, 10)
				b.Keep(100)
				b.Limit(c.most)
				read := drain
				if whole {
					read = func(b *Body) ([]byte, error) { return io.ReadAll(b) }
				}
				content, err := read(b)
				if c.refused != errors.Is(err, ErrBodyTooLarge) || int64(len(content)) > c.most {
					t.Errorf("%q, %v", content, err)
				}
				if got, ok := b.Content(); ok == c.refused || ok && string(got) != "0123456789" {
					t.Errorf("the content is %q, %v", got, ok)
				}
			})
		}
	}
}

func TestContentOfABodyThatArrivedWhole(t *testing.T) {
	t.Parallel()
	b := bodyOf(lengthBody, "0123456789next", 10)
	b.stream.in = append([]byte(nil), "0123456789next"...)
	b.stream.w = len(b.stream.in)
	b.reset(b.stream, b.limits, lengthBody, 10)
	b.Keep(100)
	if _, ok := b.Content(); ok {
		t.Error("what was not read is whole")
	}
	if got, err := io.ReadAll(b); string(got) != "0123456789" || err != nil {
		t.Fatal(got, err)
	}
	if got, ok := b.Content(); !ok || string(got) != "0123456789" {
		t.Errorf("%q, %v", got, ok)
	}
	b.stream.lent.Store(true)
	if _, ok := b.Content(); ok {
		t.Error("what somebody else reads is whole")
	}
}

func bodyOf(kind bodyKind, wire string, length int64) *Body {
	limits := Limits{}.withDefaults()
	s := new(stream)
	s.open(&fromBytes{rest: []byte(wire), piece: 3}, &limits)
	b := new(Body)
	b.reset(s, &limits, kind, length)
	return b
}
