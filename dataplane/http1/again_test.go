package http1

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

// TestBodiesAreReadAgain shows when what was read of a body can be read once more.
func TestBodiesAreReadAgain(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 40_000)
	cases := map[string]struct {
		head, body string
		// late comes when the rest has been read.
		late  string
		keep  int
		again bool
	}{
		"that came with the head":            {"Content-Length: 5", "hello", "", 0, true},
		"chunks that came with the head":     {"Transfer-Encoding: chunked", chunks("hello", " world"), "", 100, true},
		"that came later":                    {"Content-Length: 10", "hello", "world", 10, true},
		"that came later, and nobody kept":   {"Content-Length: 10", "hello", "world", 0, false},
		"that is longer than what is kept":   {"Content-Length: 40000", "", long, 39_999, false},
		"that is as long as what is kept":    {"Content-Length: 40000", "", long, 40_000, true},
		"chunks that are longer than that":   {"Transfer-Encoding: chunked", "", chunks("hello", long), 1000, false},
		"chunks with a trailer section":      {"Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\nX: y\r\n\r\n", "", 100, true},
		"none":                               {"X: y", "", "", 10, true},
		"that broke off":                     {"Transfer-Encoding: chunked", "zzz\r\n", "", 100, false},
		"whose beginning was in another way": {"Transfer-Encoding: chunked", "5\r\nhel", "lo\r\n1\r\n!\r\n0\r\n\r\n", 6, true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reading := make(chan struct{})
			p := serving(t, Config{}, func(x *Exchange) {
				x.Body.Keep(c.keep)
				close(reading)
				first, err := io.ReadAll(&x.Body)
				if again := x.Body.Rewind(); again != c.again {
					t.Errorf("read again: %v", again)
				}
				if !c.again {
					answer(x, 200, "")
					return
				}
				if err != nil {
					t.Error(err)
				}
				// Piece by piece, as a pool reads.
				var second []byte
				for err == nil {
					var piece []byte
					piece, err = x.Body.next(true)
					second = append(second, piece...)
				}
				if string(first) != string(second) || !errors.Is(err, io.EOF) || !x.Body.Done() {
					t.Errorf("%d bytes, then %d bytes, %v", len(first), len(second), err)
				}
				answer(x, 200, "")
			})
			p.send("POST / HTTP/1.1\r\nHost: a\r\n" + c.head + "\r\n\r\n" + c.body)
			<-reading
			p.send(c.late)
			contains(t, p.head(), "HTTP/1.1 200 ")
		})
	}
}

// TestALoanIsTakenBack shows that a body that another goroutine waits for can be taken from it, and read on.
func TestALoanIsTakenBack(t *testing.T) {
	t.Parallel()
	reading := make(chan struct{})
	p := serving(t, Config{}, func(x *Exchange) {
		loan := x.Body.Lend()
		ended := make(chan error, 1)
		go func() {
			buffer := make([]byte, 10)
			n, err := io.ReadFull(loan, buffer[:5])
			if string(buffer[:n]) != "hello" || err != nil {
				t.Errorf("%q, %v", buffer[:n], err)
			}
			close(reading)
			_, err = loan.Read(buffer)
			ended <- err
		}()
		<-reading
		if x.Alive() != nil {
			t.Error("the client is taken for gone while somebody reads")
		}
		if err := loan.Reclaim(); err != nil {
			t.Error(err)
		}
		if err := <-ended; err == nil {
			t.Error("the reader was not woken")
		}
		if _, err := loan.Read(make([]byte, 1)); err == nil {
			t.Error("a loan that was taken back can be read")
		}
		_, _ = x.connection.conn.Write([]byte("HTTP/1.1 102 Processing\r\n\r\n"))
		rest, err := io.ReadAll(&x.Body)
		if string(rest) != "world" || err != nil {
			t.Errorf("%q, %v", rest, err)
		}
		answer(x, 200, "")
	})
	p.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello")
	contains(t, p.head(), "102")
	p.send("world")
	contains(t, p.head(), "HTTP/1.1 200 ")
}

// TestValuesSetAsBytes shows that such a value is like any other, and costs nothing.
func TestValuesSetAsBytes(t *testing.T) {
	var h Header
	value := []byte("one")
	h.Add("X-A", "before")
	h.SetBytes("x-a", value)
	copy(value, "two")
	h.SetBytes("X-Empty", nil)
	if out, err := h.appendTo(nil, 0); string(out) != "x-a: one\r\nX-Empty: \r\n" || err != nil {
		t.Errorf("%q, %v", out, err)
	}
	if h.Get("X-A") != "one" || len(h.Values("X-A")) != 1 || h.Get("X-Empty") != "" || !h.Has("X-Empty") {
		t.Error(h.Values("X-A"))
	}
	h.SetBytes("X-B", []byte("a\nb"))
	if _, err := h.appendTo(nil, 0); !errors.Is(err, ErrInvalidField) {
		t.Error(err)
	}
	value = append(value, "many"...)
	if n := testing.AllocsPerRun(100, func() { h.Reset(); h.SetBytes("X-A", value); h.SetBytes("X-Request-Id", value) }); n > 0 {
		t.Error(n, "allocations")
	}
}

// TestTheTimeForAHeadDoesNotCountTheClient shows that an upload may take as long as it goes on, and that the wait for the head of
// the response begins with its end.
func TestTheTimeForAHeadDoesNotCountTheClient(t *testing.T) {
	t.Parallel()
	r := newRig(t, Limits{})
	r.forwarder.timeout = 300 * time.Millisecond
	c := r.client()
	c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n")
	up := r.accept()
	up.head()
	tick := time.NewTicker(150 * time.Millisecond)
	defer tick.Stop()
	for _, piece := range "hello" {
		<-tick.C
		c.send(string(piece))
	}
	up.expect("hello")
	began := time.Now()
	contains(t, c.head(), "HTTP/1.1 504 ")
	if took := time.Since(began); took > 5*time.Second {
		t.Error("it took", took)
	}
}

// TestTrailersAreAskedFor shows that TE goes to the next hop, and is not for the one behind it.
func TestTrailersAreAskedFor(t *testing.T) {
	t.Parallel()
	call := direct()
	call.Trailers = true
	c := &carrier{}
	if _, failure := c.compose(call); failure != nil {
		t.Fatal(failure)
	}
	contains(t, string(c.out), "\r\nConnection: TE\r\nTE: trailers\r\n")
	call.Upgrade = "lines"
	_, _ = c.compose(call)
	contains(t, string(c.out), "\r\nConnection: Upgrade, TE\r\nUpgrade: lines\r\nTE: trailers\r\n")
}

// TestSeveringAfterTheEnd shows that what may end an exchange does nothing to the one that follows.
func TestSeveringAfterTheEnd(t *testing.T) {
	t.Parallel()
	var sever func(error)
	p := serving(t, Config{}, func(x *Exchange) {
		if sever != nil {
			sever(errors.New("too late"))
			if err := x.Alive(); err != nil {
				t.Error(err)
			}
		}
		sever = x.Severer()
		answer(x, 200, "ok")
	})
	for range 3 {
		p.send(get)
		contains(t, p.head(), "HTTP/1.1 200 ")
		p.expect("ok")
	}
}
