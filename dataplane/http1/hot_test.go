package http1

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// heat makes a connection one that is read without looking first: by two exchanges.
func heat(c *peer, r *rig) (upstream *peer) {
	c.tb.Helper()
	for i := range 2 {
		c.send(get)
		if i == 0 {
			upstream = r.accept()
		}
		upstream.head()
		upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		c.status()
		c.expect("ok")
	}
	return upstream
}

// TestHotConnection has one of each kind of exchange on one connection, one right after the other.
func TestHotConnection(t *testing.T) {
	t.Parallel()
	r := newRig(t, Limits{})
	c := r.client()
	u := heat(c, r)
	const response = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
	for range 3 {
		for _, e := range []struct{ first, second, arrives string }{
			{get, "", ""},
			{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", "", "abc"},
			{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na", "bc", "abc"},
			{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n", "abc", "abc"},
			{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks("abc"), "", chunks("abc")},
			{"GET /x HTTP/1.1\r\nHo", "st: a\r\n\r\n", ""},
			{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 20000\r\n\r\n" + strings.Repeat("x", 20000), "", strings.Repeat("x", 20000)},
			{"GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("x", 20000) + "\r\n\r\n", "", ""},
		} {
			c.send(e.first)
			if e.second != "" && strings.Contains(e.first, "\r\n\r\n") {
				u.head()
				c.send(e.second)
			} else {
				c.send(e.second)
				u.head()
			}
			u.expect(e.arrives)
			u.send(response)
			if s := c.status(); s != "HTTP/1.1 200 OK" {
				t.Fatalf("%.60q: %s", e.first, s)
			}
			c.expect("ok")
			eventually(t, "the connection is kept", func() bool { idle, _ := r.pool.Size(); return idle == 1 })
		}
	}
	c.send(get + get)
	for range 2 {
		u.head()
		u.send(response)
		c.status()
		c.expect("ok")
	}
	c.send("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
	contains(t, c.head(), "HTTP/1.1 400 ")
}

// TestHotEnds shows that no end of a connection is overlooked, although nobody looks for a while.
func TestHotEnds(t *testing.T) {
	t.Parallel()
	const response = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n"
	for name, leave := range map[string]func(c *peer){
		"with the request": func(c *peer) { c.send(get); c.closeWrite() },
		"while it waits":   func(c *peer) { c.send(get); c.closeWrite(); c.status() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, Limits{})
			c := r.client()
			u := heat(c, r)
			leave(c)
			u.head()
			u.send(response + "0\r\n\r\n")
			if s := c.status(); strings.Contains(s, "102") {
				c.status()
			}
			c.expect("2\r\nok\r\n0\r\n\r\n")
			began := time.Now()
			c.end()
			if took := time.Since(began); took > time.Second {
				t.Errorf("the end took %v", took)
			}
		})
	}
	t.Run("aborted while it waits", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, Limits{})
		c := r.client()
		u := heat(c, r)
		c.send(get)
		u.head()
		_ = c.Close()
		began := time.Now()
		u.end()
		if took := time.Since(began); took > time.Second {
			t.Errorf("the abort took %v", took)
		}
	})
	t.Run("idle", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, Limits{})
		c := r.client()
		heat(c, r)
		_ = c.Close()
		eventually(t, "the connection is gone", func() bool { return r.server.Connections() == 0 })
	})
}

// TestSlowHotExchange shows that an exchange may take longer than any deadline that was set before it.
func TestSlowHotExchange(t *testing.T) {
	t.Parallel()
	r := newRig(t, Limits{Tick: 20 * time.Millisecond})
	c := r.client()
	u := heat(c, r)
	for range 2 {
		c.send(get)
		u.head()
		<-time.After(3 * hotWait)
		u.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		c.status()
		c.expect("ok")
	}
}

// hotWait is longer than a wait that began without looking.
const hotWait = 300 * time.Millisecond

// portableVariable makes the tests leave the sockets to net.Conn.
const portableVariable = "HTTP1_TEST_PORTABLE"

// TestPortable runs the tests of exchanges again with net.Conn alone.
func TestPortable(t *testing.T) {
	t.Parallel()
	if os.Getenv(portableVariable) != "" {
		t.Skip("this is the run with net.Conn alone")
	}
	command := exec.CommandContext(t.Context(), os.Args[0], "-test.timeout=60s")
	command.Env = append(os.Environ(), portableVariable+"=yes")
	if out, err := command.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
