package listener

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if role := os.Getenv(successorVariable); role != "" {
		if err := playSuccessor(role); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// rig is a listener whose connections say who they are: "1 192.0.2.1:1234\n", and then send back what they get.
type rig struct {
	t        *testing.T
	listener *Listener
	gate     *Gate
	address  string
	secure   *TLS
	served   chan net.Conn
}

func loopback() Prefixes { return Prefixes{netip.MustParsePrefix("127.0.0.0/8")} }

func newRig(t *testing.T, limits Limits, change func(*Config)) *rig {
	t.Helper()
	port, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, gate: NewGate(limits), address: port.Addr().String(), served: make(chan net.Conn, 100)}
	serve := func(protocol string) func(net.Conn) {
		return func(conn net.Conn) {
			defer func() { _ = conn.Close() }()
			r.served <- conn
			_, _ = io.WriteString(conn, protocol+" "+conn.RemoteAddr().String()+"\n")
			_, _ = io.Copy(conn, conn)
		}
	}
	config := Config{Name: "test", Socket: port, Gate: r.gate, HTTP1: serve("1"), HTTP2: serve("2")}
	if change != nil {
		change(&config)
	}
	r.listener, r.secure = New(config), config.TLS
	ended := make(chan error, 1)
	go func() { ended <- r.listener.Run(t.Context()) }()
	t.Cleanup(func() {
		r.listener.Close()
		if err := <-ended; err != nil {
			t.Error("the listener ended with", err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := r.listener.Wait(ctx); err != nil {
			t.Error("connections do not end:", err)
		}
		if open := r.gate.Counts().Open; open != 0 {
			t.Error(open, "connections are counted that are not there")
		}
	})
	return r
}

func (r *rig) dial() net.Conn {
	r.t.Helper()
	conn, err := net.Dial("tcp", r.address)
	if err != nil {
		r.t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	r.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// refuses tells whether a connection is closed at once, which a client may see when it connects already.
func (r *rig) refuses() bool {
	conn, err := net.Dial("tcp", r.address)
	if err != nil {
		return true
	}
	defer func() { _ = conn.Close() }()
	return line(conn) == ""
}

// line reads a line; empty if the connection ends.
func line(conn net.Conn) string {
	var text []byte
	for one := make([]byte, 1); ; {
		if _, err := io.ReadFull(conn, one); err != nil || one[0] == '\n' {
			return string(text)
		}
		text = append(text, one[0])
	}
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(10 * time.Second); !condition(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatal("not in time:", what)
		}
	}
}

// authority signs certificates.
type authority struct {
	t           *testing.T
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, name string) *authority {
	a := &authority{t: t}
	_, a.certificate, a.key = a.make(&x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	})
	return a
}

func (a *authority) make(template *x509.Certificate) (tls.Certificate, *x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := a.certificate, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: parsed}, parsed, key
}

func (a *authority) server(names ...string) *tls.Certificate {
	certificate, _, _ := a.make(&x509.Certificate{DNSNames: names, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	return &certificate
}

func (a *authority) client(name string) tls.Certificate {
	certificate, _, _ := a.make(&x509.Certificate{
		Subject: pkix.Name{CommonName: name}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	return certificate
}

func (a *authority) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.certificate.Raw})
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.certificate)
	return pool
}
