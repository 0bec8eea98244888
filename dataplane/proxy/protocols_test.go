package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"tidegate.dev/dataplane/telemetry"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// pair is what is spoken on the two sides of the proxy.
type pair struct {
	name   string
	client *http.Client
	url    string
	host   string // finds the route to the upstream
}

// eachPair runs a test for every protocol of clients with every one of upstreams. The upstream's protocol is in X-Protocol.
func eachPair(t *testing.T, handler http.HandlerFunc, test func(*testing.T, pair)) {
	t.Helper()
	clear := httptest.NewUnstartedServer(handler)
	clear.Config.Protocols = new(http.Protocols)
	clear.Config.Protocols.SetHTTP1(true)
	clear.Config.Protocols.SetUnencryptedHTTP2(true)
	clear.Start()
	secure := httptest.NewUnstartedServer(handler)
	secure.EnableHTTP2 = true
	secure.StartTLS()
	old := httptest.NewTLSServer(handler)
	for _, s := range []*httptest.Server{clear, secure, old} {
		t.Cleanup(s.Close)
	}
	r := newRig(t, nil)
	careless := &configv1.UpstreamTls{InsecureSkipVerify: true}
	upstreams := map[string]*configv1.Service{
		"http1": {Url: clear.URL}, "h2c": {Url: clear.URL, Protocol: "h2c"}, "h2": {Url: secure.URL, Tls: careless},
		"http1-tls": {Url: old.URL, Tls: careless},
	}
	list := resources{}
	for name, s := range upstreams {
		list["services/"+name] = s
		list["routes/"+name] = &configv1.Route{Service: name, Match: &configv1.Match{Hosts: []string{name + ".example"}, Paths: []string{"/**"}}}
	}
	r.serve(list)
	prior := new(http.Protocols)
	prior.SetUnencryptedHTTP2(true)
	careful := func() *tls.Config { return &tls.Config{InsecureSkipVerify: true} }
	for name, transport := range map[string]*http.Transport{
		"http1": {}, "h2c": {Protocols: prior}, "h2": {ForceAttemptHTTP2: true, TLSClientConfig: careful()}, "http1-tls": {TLSClientConfig: careful()},
	} {
		t.Cleanup(transport.CloseIdleConnections)
		url := r.url
		if transport.TLSClientConfig != nil {
			url = r.secure
		}
		for host := range upstreams {
			t.Run(name+" to "+host, func(t *testing.T) {
				t.Parallel()
				test(t, pair{name + " to " + host, &http.Client{Transport: transport}, url, host + ".example"})
			})
		}
	}
}

func (p pair) request(t *testing.T, method, path string, body io.Reader) *http.Request {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	request, err := http.NewRequestWithContext(ctx, method, p.url+path, body)
	if err != nil {
		t.Fatal(err)
	}
	request.Host = p.host
	return request
}

func (p pair) send(t *testing.T, request *http.Request) *http.Response {
	t.Helper()
	response, err := p.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	return response
}

func TestEveryProtocolMeetsEveryOther(t *testing.T) {
	t.Parallel()
	eachPair(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		header := w.Header()
		header.Set("Trailer", "X-Sum")
		header.Set("X-Te", r.Header.Get("Te"))
		header.Set("X-Hop", r.Header.Get("X-Hop")+r.Header.Get("Keep-Alive"))
		header.Add("X-Several", "one")
		header.Add("X-Several", "two")
		_, _ = fmt.Fprintf(w, "%s %s?%s %d bytes, X-Sent %s", r.Method, r.URL.EscapedPath(), r.URL.RawQuery, len(body), r.Trailer.Get("X-Sent"))
		header.Set("X-Sum", fmt.Sprint(len(body)))
		header.Set(http.TrailerPrefix+"X-Late", "yes")
	}, func(t *testing.T, p pair) {
		request := p.request(t, http.MethodPut, "/a%2Fb//c?q=%20&r", io.LimitReader(zeros{}, 300_000))
		request.Trailer = http.Header{"X-Sent": {"all"}}
		request.Header.Set("Te", "trailers")
		request.Header.Set("X-Hop", "hop")
		if !strings.HasPrefix(p.name, "h2") {
			request.Header.Set("Connection", "x-hop")
		} else {
			request.Header.Del("X-Hop")
		}
		response := p.send(t, request) //nolint:bodyclose // send closes it when the test ends
		body, err := io.ReadAll(response.Body)
		if want := "PUT /a%2Fb/c?q=%20&r 300000 bytes, X-Sent all"; string(body) != want || err != nil {
			t.Errorf("%d %q %v, want %q", response.StatusCode, body, err, want)
		}
		if response.Trailer.Get("X-Sum") != "300000" || response.Trailer.Get("X-Late") != "yes" {
			t.Error("trailers:", response.Trailer)
		}
		if response.Header.Get("X-Te") != "trailers" || response.Header.Get("X-Hop") != "" || strings.Join(response.Header["X-Several"], " ") != "one two" {
			t.Error("header:", response.Header)
		}
	})
}

func TestBothSidesTalkAtOnce(t *testing.T) {
	t.Parallel()
	eachPair(t, func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		_ = control.EnableFullDuplex()
		_ = control.Flush()
		in := bufio.NewReader(r.Body)
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			_, _ = io.WriteString(w, "heard "+line)
			_ = control.Flush()
		}
	}, func(t *testing.T, p pair) {
		out, in := io.Pipe()
		defer func() { _ = in.Close() }()
		response := p.send(t, p.request(t, http.MethodPost, "/talk", out)) //nolint:bodyclose // send closes it when the test ends
		lines := bufio.NewReader(response.Body)
		for i := range 5 {
			began := time.Now()
			_, _ = fmt.Fprintf(in, "%d\n", i)
			if line, err := lines.ReadString('\n'); err != nil || line != fmt.Sprintf("heard %d\n", i) {
				t.Fatal(line, err)
			}
			if took := time.Since(began); took > 5*time.Second {
				t.Error("a line took", took)
			}
		}
		_ = in.Close()
		if rest, err := io.ReadAll(lines); err != nil || len(rest) > 0 {
			t.Errorf("the end is %q, %v", rest, err)
		}
	})
}

func TestHeadsWithoutBodies(t *testing.T) {
	t.Parallel()
	eachPair(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/204":
			w.WriteHeader(http.StatusNoContent)
		case "/304":
			w.Header().Set("Etag", `"x"`)
			w.WriteHeader(http.StatusNotModified)
		case "/hints":
			w.Header().Set("Link", "</a>")
			w.WriteHeader(http.StatusEarlyHints)
			w.Header().Del("Link")
		default:
			w.Header().Set("Content-Length", "7")
		}
	}, func(t *testing.T, p pair) {
		for path, want := range map[string]int{"/": 200, "/204": 204, "/304": 304, "/hints": 200} {
			hints := ""
			request := p.request(t, http.MethodHead, path, nil)
			request = request.WithContext(httptrace.WithClientTrace(request.Context(), &httptrace.ClientTrace{
				Got1xxResponse: func(code int, header textproto.MIMEHeader) error {
					hints += fmt.Sprint(code, header.Get("Link"))
					return nil
				},
			}))
			response := p.send(t, request) //nolint:bodyclose // send closes it when the test ends
			body, err := io.ReadAll(response.Body)
			if response.StatusCode != want || len(body) > 0 || err != nil {
				t.Errorf("%s: %d %q %v", path, response.StatusCode, body, err)
			}
			if path == "/" && response.ContentLength != 7 {
				t.Error("the length is", response.ContentLength)
			}
			if (path == "/hints") != (hints == "103</a>") || response.Header.Get("Link") != "" {
				t.Errorf("%s: hints %q, header %v", path, hints, response.Header)
			}
		}
	})
}

func TestAnAbortReachesEveryUpstream(t *testing.T) {
	t.Parallel()
	arrived, aborted := make(chan string, 64), make(chan string, 64)
	eachPair(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/body" {
			_, _ = io.WriteString(w, "first")
			_ = http.NewResponseController(w).Flush()
		}
		arrived <- r.URL.RawQuery
		<-r.Context().Done()
		aborted <- r.URL.RawQuery
	}, func(t *testing.T, p pair) {
		for _, path := range []string{"/head", "/body"} {
			ctx, cancel := context.WithCancel(t.Context())
			id := strings.ReplaceAll(p.name, " ", "-") + path
			request := p.request(t, http.MethodGet, path+"?"+id, nil).WithContext(ctx)
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				response, err := p.client.Do(request)
				if err == nil {
					_, _ = io.Copy(io.Discard, response.Body)
					_ = response.Body.Close()
				}
			}()
			await(t, arrived, id)
			at := time.Now()
			cancel()
			await(t, aborted, id)
			if took := time.Since(at); took > time.Second {
				t.Errorf("%s: it took %s", path, took)
			}
			<-ended
		}
	})
}

// await waits until somebody says the word; other words are for others.
func await(t *testing.T, words chan string, word string) {
	t.Helper()
	late := time.After(10 * time.Second)
	for {
		select {
		case got := <-words:
			if got == word {
				return
			}
			words <- got
		case <-late:
			t.Fatal("nobody said", word)
		}
	}
}

func TestAnUploadThatBreaksOffIsNoWholeRequest(t *testing.T) {
	t.Parallel()
	eachPair(t, func(_ http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err == nil {
			t.Error("the upstream takes it for whole")
		}
	}, func(t *testing.T, p pair) {
		out, in := io.Pipe()
		go func() {
			_, _ = in.Write(make([]byte, 100_000))
			_ = in.CloseWithError(errors.New("the client breaks off"))
		}()
		if response, err := p.client.Do(p.request(t, http.MethodPost, "/", out)); err == nil {
			_ = response.Body.Close()
			t.Error("an answer:", response.StatusCode)
		}
	})
}

// Peers that speak HTTP/1.0, or that end a response by ending the connection, are understood and told what they understand.
func TestOldPeers(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	answers := map[string]string{
		"/close":   "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nto the end",
		"/old":     "HTTP/1.0 200 OK\r\n\r\nto the end",
		"/chunked": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\nto the end\r\n0\r\n\r\n",
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			request, err := http.ReadRequest(bufio.NewReader(conn))
			if err == nil {
				_, _ = io.WriteString(conn, answers[request.URL.Path])
			}
			_ = conn.Close()
		}
	}()
	r := newRig(t, nil)
	r.serve(simple("http://" + listener.Addr().String()))
	for path := range answers {
		for version, length := range map[string]string{"1.0": "", "1.1": "chunked"} {
			conn := r.dial()
			_, _ = io.WriteString(conn, "GET "+path+" HTTP/"+version+"\r\nHost: a\r\n\r\n")
			response, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(response.Body)
			_ = response.Body.Close()
			if string(body) != "to the end" || err != nil || strings.Join(response.TransferEncoding, "") != length {
				t.Errorf("%s for HTTP/%s: %q, %v, %v", path, version, body, err, response.TransferEncoding)
			}
		}
	}
}

func TestAClientThatGoesAwayIsCounted(t *testing.T) {
	t.Parallel()
	arrived := make(chan struct{})
	up := server(t, func(_ http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
	})
	r := newRig(t, nil)
	r.serve(simple(up.URL))
	conn := r.dial()
	_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	<-arrived
	_ = conn.Close()
	eventually(t, "the record", func() bool {
		return r.counted(func(k telemetry.CellKey) bool { return k.Reason == "client_closed" && k.StatusClass == 0 }) == 1
	})
}
