package proxy

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"tidegate.dev/dataplane/snapshot"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// asker sends requests over HTTP/2, all alike, and takes what comes, without allocating.
type asker struct {
	conn   net.Conn
	out    []byte
	in     []byte
	n      int
	stream uint32
	block  []byte
	taken  uint32 // of content, since the window was last opened
}

const (
	frameHeadSize = 9
	askerWindow   = 1 << 30
	askerStreams  = 8
)

func newAsker(conn net.Conn) (*asker, error) {
	a := &asker{conn: conn, in: make([]byte, 64<<10), stream: 1}
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	encoder.SetMaxDynamicTableSize(0)
	for _, field := range [...][2]string{
		{":method", "GET"},
		{":scheme", "https"},
		{":authority", "localhost"},
		{":path", "/x"},
		{"user-agent", "bench"},
		{"accept", "*/*"},
		{"x-api-key", goodKey},
	} {
		if err := encoder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]}); err != nil {
			return nil, err
		}
	}
	a.block = block.Bytes()
	var greeting bytes.Buffer
	greeting.WriteString(http2.ClientPreface)
	framer := http2.NewFramer(&greeting, nil)
	err := errors.Join(
		framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: askerWindow}),
		framer.WriteSettingsAck(), framer.WriteWindowUpdate(0, askerWindow))
	if err != nil {
		return nil, err
	}
	_, err = conn.Write(greeting.Bytes())
	return a, err
}

// ask sends so many requests with one write, and reads their answers.
func (a *asker) ask(streams int) error {
	a.out = a.out[:0]
	if a.taken > askerWindow/2 {
		a.out = appendFrameHead(a.out, 4, http2.FrameWindowUpdate, 0, 0)
		a.out = binary.BigEndian.AppendUint32(a.out, a.taken)
		a.taken = 0
	}
	for range streams {
		a.out = appendFrameHead(a.out, len(a.block), http2.FrameHeaders, http2.FlagHeadersEndHeaders|http2.FlagHeadersEndStream, a.stream)
		a.out = append(a.out, a.block...)
		a.stream += 2
	}
	if len(a.out) == 0 {
		return nil
	}
	if _, err := a.conn.Write(a.out); err != nil {
		return err
	}
	for streams > 0 {
		ended, err := a.take()
		if err != nil {
			return err
		}
		streams -= ended
	}
	return nil
}

func appendFrameHead(out []byte, length int, kind http2.FrameType, flags http2.Flags, stream uint32) []byte {
	out = append(out, byte(length>>16), byte(length>>8), byte(length), byte(kind), byte(flags))
	return binary.BigEndian.AppendUint32(out, stream)
}

// take reads, and tells how many answers ended.
func (a *asker) take() (ended int, err error) {
	n, err := a.conn.Read(a.in[a.n:])
	if err != nil {
		return 0, err
	}
	a.n += n
	frames := a.in[:a.n]
	for len(frames) >= frameHeadSize {
		length := int(frames[0])<<16 | int(frames[1])<<8 | int(frames[2])
		if len(frames) < frameHeadSize+length {
			break
		}
		switch kind := http2.FrameType(frames[3]); {
		case kind == http2.FrameRSTStream || kind == http2.FrameGoAway:
			return 0, fmt.Errorf("the gateway sends %v", kind)
		case kind == http2.FrameHeaders && frames[frameHeadSize] != 0x88: // :status 200 in the static table
			return 0, errors.New("the answer is not 200")
		case kind == http2.FrameData:
			a.taken += uint32(length)
			ended += int(frames[4] & byte(http2.FlagDataEndStream))
		}
		frames = frames[frameHeadSize+length:]
	}
	a.n = copy(a.in, frames)
	return ended, nil
}

// BenchmarkExchangeHTTP2 is a whole exchange over loopback with a client of HTTP/2 that asks on eight streams at a time.
func BenchmarkExchangeHTTP2(b *testing.B) {
	url := fixedUpstream(b)
	limited := resources{
		"services/up": service(url), "routes/all": route("up", "/**"),
		"plugins/auth":  &configv1.Plugin{Type: "key-auth"},
		"plugins/limit": &configv1.Plugin{Type: "rate-limit", Config: settings(b, map[string]any{"requests": 1e9, "per": "1s"})},
	}
	r := newRig(b, func(c *Config) { c.AccessLog = nil })
	r.serve(limited)
	r.apply(consumerEntry("acme", ""), keyEntry("k1", "acme", goodKey))
	plain := func() (net.Conn, error) { return net.Dial("tcp", r.proxy.Address().String()) }
	secure := func() (net.Conn, error) {
		return tls.Dial("tcp", r.proxy.TLSAddress().String(), &tls.Config{
			ServerName: "localhost", NextProtos: []string{"h2"}, InsecureSkipVerify: true, //nolint:gosec // there is nothing to trust
		})
	}
	for _, c := range []struct {
		name string
		dial func() (net.Conn, error)
	}{{"clear text", plain}, {"TLS", secure}} {
		b.Run(c.name, func(b *testing.B) { askOverHTTP2(b, c.dial) })
	}
	r.proxy.Install(snapshot.Installation{})
}

func askOverHTTP2(b *testing.B, dial func() (net.Conn, error)) {
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		conn, err := dial()
		if err != nil {
			b.Error(err)
			return
		}
		defer func() { _ = conn.Close() }()
		a, err := newAsker(conn)
		for more := true; more && err == nil; {
			streams := 0
			for streams < askerStreams && more {
				if more = pb.Next(); more {
					streams++
				}
			}
			err = a.ask(streams)
		}
		if err != nil {
			b.Error(err)
		}
	})
}
