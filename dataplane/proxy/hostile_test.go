package proxy

import (
	"bytes"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// eavesdropper is an upstream of HTTP/1.1 that keeps every byte that it gets, and answers each request.
type eavesdropper struct {
	url string
	mu  sync.Mutex
	all bytes.Buffer
}

func eavesdrop(t *testing.T) *eavesdropper {
	t.Helper()
	port, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e := &eavesdropper{url: "http://" + port.Addr().String()}
	var serving sync.WaitGroup
	t.Cleanup(func() {
		_ = port.Close()
		serving.Wait()
	})
	serving.Go(func() {
		for {
			conn, err := port.Accept()
			if err != nil {
				return
			}
			_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
			t.Cleanup(func() { _ = conn.Close() })
			serving.Go(func() { e.listen(conn) })
		}
	})
	return e
}

func (e *eavesdropper) listen(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	buffer, request := make([]byte, 4096), []byte(nil)
	for {
		n, err := conn.Read(buffer)
		if err != nil {
			return
		}
		e.mu.Lock()
		e.all.Write(buffer[:n])
		e.mu.Unlock()
		request = append(request, buffer[:n]...)
		_, body, whole := bytes.Cut(request, []byte("\r\n\r\n"))
		if bytes.Contains(request, []byte("Transfer-Encoding: chunked")) {
			whole = bytes.Contains(body, []byte("0\r\n")) && bytes.HasSuffix(body, []byte("\r\n\r\n"))
		}
		if whole {
			request = nil
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
	}
}

func (e *eavesdropper) heard() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.all.String()
}

// hostile is a client of HTTP/2 that sends what it likes.
type hostile struct {
	*http2.Framer
	block   bytes.Buffer
	encoder *hpack.Encoder
}

func (r *rig) hostile() *hostile {
	conn := r.dial()
	_, _ = io.WriteString(conn, http2.ClientPreface)
	h := &hostile{Framer: http2.NewFramer(conn, conn)}
	h.AllowIllegalWrites = true
	h.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	h.encoder = hpack.NewEncoder(&h.block)
	_ = h.WriteSettings()
	return h
}

func (h *hostile) encode(fields []string) {
	h.block.Reset()
	for i := 0; i+1 < len(fields); i += 2 {
		_ = h.encoder.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
}

func (h *hostile) send(fields []string, end bool) {
	h.encode(fields)
	_ = h.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: h.block.Bytes(), EndHeaders: true, EndStream: end})
}

// outcome is the status and the reason of the final answer, or how the stream or the connection ended.
func (h *hostile) outcome() string {
	for {
		frame, err := h.ReadFrame()
		if err != nil {
			return err.Error()
		}
		switch f := frame.(type) {
		case *http2.RSTStreamFrame:
			return "reset " + f.ErrCode.String()
		case *http2.GoAwayFrame:
			return "goaway " + f.ErrCode.String()
		case *http2.MetaHeadersFrame:
			if status := f.PseudoValue("status"); status[0] > '1' {
				at := slices.IndexFunc(f.Fields, func(field hpack.HeaderField) bool { return field.Name == "x-tidegate-reason" })
				if at < 0 {
					return status
				}
				return status + " " + f.Fields[at].Value
			}
		}
	}
}

// post are the fields of a request, some of them replaced ("-" leaves one out), and more of them.
func post(replaced string, value string, more ...string) (fields []string) {
	for _, field := range [][2]string{{":method", "POST"}, {":scheme", "http"}, {":authority", "a"}, {":path", "/"}} {
		switch {
		case field[0] != replaced:
			fields = append(fields, field[0], field[1])
		case value != "-":
			fields = append(fields, field[0], value)
		}
	}
	return append(fields, more...)
}

// What is no valid request of HTTP/2, or would be none of HTTP/1.1, is refused before an upstream hears of it (RFC 9113, sections 8.2,
// 8.3 and 10.3).
func TestHostileRequestsOfHTTP2(t *testing.T) {
	t.Parallel()
	const malformed, refused = "reset PROTOCOL_ERROR", "400 bad_request"
	cases := map[string]struct {
		fields []string
		want   string
	}{
		"another host":                 {post("", "", "host", "b"), malformed},
		"two hosts, no authority":      {post(":authority", "-", "host", "b", "host", "c"), malformed},
		"no authority":                 {post(":authority", "-"), refused},
		"an empty authority":           {post(":authority", ""), refused},
		"an authority with a user":     {post(":authority", "u@a"), malformed},
		"an authority with a path":     {post(":authority", "a/b"), malformed},
		"an authority with a line":     {post(":authority", "a\r\nX: y"), malformed},
		"an authority with a bad port": {post(":authority", "a:99999"), refused},
		"no path":                      {post(":path", "-"), malformed},
		"an empty path":                {post(":path", ""), malformed},
		"a path without a slash":       {post(":path", "x"), malformed},
		"an absolute path":             {post(":path", "http://b/"), malformed},
		"an asterisk":                  {post(":path", "*"), refused},
		"a path with a line":           {post(":path", "/ HTTP/1.1\r\nX: y"), malformed},
		"a path with a space":          {post(":path", "/a b"), refused},
		"a path with a fragment":       {post(":path", "/a#b"), refused},
		"a query with a space":         {post(":path", "/a?b HTTP/1.1"), refused},
		"a query with a fragment":      {post(":path", "/a?b#c"), refused},
		"a query beyond ASCII":         {post(":path", "/a?\xff"), refused},
		"a query with a line":          {post(":path", "/a?b\nc"), malformed},
		"two paths":                    {post("", "", ":path", "/b"), malformed},
		"an empty method":              {post(":method", ""), malformed},
		"a method with a space":        {post(":method", "GET /b"), refused},
		"a method with a line":         {post(":method", "GET / HTTP/1.1\r\nX: y"), malformed},
		"an endless method":            {post(":method", strings.Repeat("G", 200)), refused},
		"CONNECT":                      {[]string{":method", "CONNECT", ":authority", "a:443"}, "501 unsupported"},
		"another scheme":               {post(":scheme", "ftp"), malformed},
		"no scheme":                    {post(":scheme", "-"), malformed},
		"a status":                     {post("", "", ":status", "200"), malformed},
		"a pseudo-field that is none":  {post("", "", ":x", "y"), malformed},
		"a pseudo-field behind others": {append([]string{"x", "y"}, post("", "")...), malformed},
		"capitals":                     {post("", "", "X-Y", "z"), malformed},
		"a name with a space":          {post("", "", "x y", "z"), malformed},
		"a name with a colon":          {post("", "", "x:y", "z"), malformed},
		"no name":                      {post("", "", "", "z"), malformed},
		"a value with a line":          {post("", "", "x", "y\r\nContent-Length: 5"), malformed},
		"a value with LF":              {post("", "", "x", "y\nz"), malformed},
		"a value with CR":              {post("", "", "x", "y\rz"), malformed},
		"a value with NUL":             {post("", "", "x", "y\x00z"), malformed},
		"a value with white space":     {post("", "", "x", " y"), refused},
		"Connection":                   {post("", "", "connection", "close"), malformed},
		"Keep-Alive":                   {post("", "", "keep-alive", "1"), malformed},
		"Proxy-Connection":             {post("", "", "proxy-connection", "close"), malformed},
		"Transfer-Encoding":            {post("", "", "transfer-encoding", "chunked"), malformed},
		"Transfer_Encoding":            {post("", "", "transfer_encoding", "chunked"), refused},
		"Upgrade":                      {post("", "", "upgrade", "h2c"), malformed},
		"TE":                           {post("", "", "te", "gzip"), malformed},
		"a length without a body":      {post("", "", "content-length", "3"), refused},
		"a length with a sign":         {post("", "", "content-length", "+0"), refused},
		"an empty length":              {post("", "", "content-length", ""), refused},
		"two lengths":                  {post("", "", "content-length", "0", "content-length", "3"), refused},
		"two equal lengths":            {post("", "", "content-length", "0", "content-length", "0"), refused},
		"a list of lengths":            {post("", "", "content-length", "0, 0"), refused},
		"Content_Length":               {post("", "", "content_length", "3"), refused},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			up := eavesdrop(t)
			r := newRig(t, nil)
			r.serve(simple(up.url))
			client := r.hostile()
			client.send(c.fields, true)
			if got := client.outcome(); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if heard := up.heard(); heard != "" {
				t.Errorf("the upstream heard %q", heard)
			}
		})
	}
}

// A header of 10 KiB that HPACK makes 40 MiB of is refused before it has that size.
func TestAHeaderThatGrowsWhenItIsDecoded(t *testing.T) {
	t.Parallel()
	up := eavesdrop(t)
	r := newRig(t, nil)
	r.serve(simple(up.url))
	client := r.hostile()
	client.encode(post("", "", "x", strings.Repeat("y", 4000)))
	// The newest entry of the dynamic table, again and again (RFC 7541, section 2.3.3).
	client.block.Write(bytes.Repeat([]byte{0x80 | 62}, 10_000))
	_ = client.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: client.block.Bytes(), EndHeaders: true, EndStream: true})
	if got := client.outcome(); got != "431" {
		t.Errorf("got %q", got)
	}
	if heard := up.heard(); heard != "" {
		t.Errorf("the upstream heard %.100q", heard)
	}
}

// A body of HTTP/2 that is not as long as was announced never ends well at an upstream of HTTP/1.1.
func TestBodiesOfAnotherLengthThanAnnounced(t *testing.T) {
	t.Parallel()
	for name, length := range map[string]string{"longer": "2", "shorter": "10", "a sign": "+3", "a list": "3, 3", "two": "3"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			up := eavesdrop(t)
			r := newRig(t, nil)
			r.serve(simple(up.url))
			fields := post("", "", "content-length", length)
			if name == "two" {
				fields = append(fields, "content-length", "4")
			}
			client := r.hostile()
			client.send(fields, false)
			_ = client.WriteData(1, true, []byte("abc"))
			// The eavesdropper answers heads, so that what counts is what it heard.
			_ = client.outcome()
			if err := r.stop(); err != nil {
				t.Fatal(err)
			}
			head, body, _ := strings.Cut(up.heard(), "\r\n\r\n")
			switch {
			case head == "":
			case name != "longer" && name != "shorter":
				t.Errorf("the upstream heard %q", head)
			case !strings.Contains(head, "Content-Length: "+length+"\r\n") || len(body) >= len("abc")+len(length) || name == "longer" && len(body) >= 2:
				t.Errorf("the upstream got %q and %q", head, body)
			}
		})
	}
}

// Fields that say who asks, through whom, or how a message is read cannot come behind the body, where no policy sees them.
func TestTrailersSayNothingThatPoliciesAreAskedAbout(t *testing.T) {
	t.Parallel()
	hidden := []string{
		"x-tidegate-consumer", "x_tidegate_consumer", "x-forwarded-for", "x-forwarded-client-cert", "x-real-ip", "forwarded", "cookie",
		"x-api-key", "x-request-id", "traceparent", "content_length", "transfer_encoding",
	}
	check := func(t *testing.T, up *eavesdropper) {
		t.Helper()
		_, body, _ := strings.Cut(up.heard(), "\r\n\r\n")
		if body != "3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n" {
			t.Errorf("the upstream got the body %q", body)
		}
	}
	t.Run("HTTP/1.1", func(t *testing.T) {
		t.Parallel()
		up := eavesdrop(t)
		r := newRig(t, nil)
		r.serve(simple(up.url))
		trailers := strings.Join(hidden, ": x\r\n") + ": x\r\nAuthorization: x\r\nX-Sum: 1\r\n\r\n"
		got, _ := raw(t, r.proxy.Address().String(), "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n"+trailers, 1)
		if len(got) != 1 || got[0] != "200 " {
			t.Errorf("got %q", got)
		}
		check(t, up)
	})
	t.Run("HTTP/2", func(t *testing.T) {
		t.Parallel()
		up := eavesdrop(t)
		r := newRig(t, nil)
		r.serve(simple(up.url))
		client := r.hostile()
		client.send(post("", "", "trailer", "x-sum, "+strings.Join(hidden, ", ")), false)
		_ = client.WriteData(1, false, []byte("abc"))
		trailers := []string{"x-sum", "1"}
		for _, name := range hidden {
			trailers = append(trailers, name, "x")
		}
		client.send(trailers, true)
		if got := client.outcome(); got != "200" {
			t.Errorf("got %q", got)
		}
		check(t, up)
	})
}

// Fields that frame a message for servers which make variables of fields are no way around the rules of framing.
func TestFramingInDisguise(t *testing.T) {
	t.Parallel()
	up := eavesdrop(t)
	r := newRig(t, nil)
	r.serve(simple(up.url))
	for _, head := range []string{"Transfer_Encoding: chunked\r\n", "Content_Length: 5\r\nContent-Length: 5\r\n", "CONTENT_LENGTH: 5\r\n"} {
		got, closed := raw(t, r.proxy.Address().String(), "POST / HTTP/1.1\r\nHost: a\r\n"+head+"\r\n0\r\n\r\n", 2)
		if len(got) != 1 || got[0] != "400 bad_request" || !closed {
			t.Errorf("%q: %q, closed %v", head, got, closed)
		}
	}
	if heard := up.heard(); heard != "" {
		t.Errorf("the upstream heard %q", heard)
	}
}
