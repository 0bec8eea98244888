package listener

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"syscall"
	"time"
)

// failure is why a handshake failed.
type failure uint8

const (
	failureTimeout     failure = iota // it took too long
	failureGone                       // the client went away
	failureNotTLS                     // what arrived is not TLS
	failureCertificate                // the client's certificate is missing or not trusted
	failureAlert                      // the client refused, most often because it does not trust the certificate
	failureProtocol                   // no version, suite or protocol in common, or a message that is malformed
	failures
)

var failureNames = [failures]string{"timeout", "client_gone", "not_tls", "client_certificate", "client_alert", "protocol"}

// noClientCertificate is what crypto/tls says, which has no type for it.
const noClientCertificate = "tls: client didn't provide a certificate"

var errTooManyHandshakes = errors.New("too many handshakes wait")

// handshake encrypts a connection, unless serving ends. When it fails the caller closes it.
func (g *Gate) handshake(serving context.Context, conn *Conn, config *tls.Config) (*tls.Conn, error) {
	defer g.handshaking.Add(-1)
	if g.handshaking.Add(1) > int64(g.limits.Handshakes+g.limits.HandshakeQueue) {
		g.refused[RefusedHandshakes].Add(1)
		return nil, errTooManyHandshakes
	}
	ctx, cancel := context.WithTimeout(serving, g.limits.Handshake)
	defer cancel()
	select {
	case g.turns <- struct{}{}:
		defer func() { <-g.turns }()
	case <-ctx.Done():
		g.failures[failureTimeout].Add(1)
		return nil, context.Cause(ctx)
	}
	// A deadline costs less than the goroutine that HandshakeContext would need, and ends the same waits.
	deadline, _ := ctx.Deadline()
	_ = conn.SetDeadline(deadline)
	defer context.AfterFunc(serving, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	secure := tls.Server(conn, config)
	if err := secure.HandshakeContext(context.WithoutCancel(ctx)); err != nil {
		g.failures[failureOf(err)].Add(1)
		return nil, err
	}
	_ = conn.SetDeadline(time.Time{})
	g.handshakes.Add(1)
	if secure.ConnectionState().DidResume {
		g.resumed.Add(1)
	}
	return secure, nil
}

func failureOf(err error) failure {
	var (
		timeout     net.Error
		record      tls.RecordHeaderError
		certificate *tls.CertificateVerificationError
		unknown     x509.UnknownAuthorityError
		remote      *net.OpError
	)
	switch {
	case errors.As(err, &timeout) && timeout.Timeout():
		return failureTimeout
	case errors.As(err, &record):
		return failureNotTLS
	case errors.As(err, &certificate), errors.As(err, &unknown), err.Error() == noClientCertificate:
		return failureCertificate
	case errors.As(err, &remote) && remote.Op == "remote error":
		return failureAlert
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed),
		errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return failureGone
	}
	return failureProtocol
}
