package identity

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
)

// attemptTimeout bounds one attempt to enrol or to renew.
const attemptTimeout = 15 * time.Second

// Enrolment is how an agent asks to join.
type Enrolment struct {
	// ControlPlane is the address of its agent streams, host:port, or several that are separated by commas.
	ControlPlane string
	Token        JoinToken
	// Name is for people, unique in the fleet; Labels are for selectors.
	Name   string
	Labels map[string]string
}

// TemporaryError says that asking again may help.
type TemporaryError struct{ err error }

func (e *TemporaryError) Error() string { return e.err.Error() }

// Unwrap returns what went wrong.
func (e *TemporaryError) Unwrap() error { return e.err }

// Enroll trades the join token for an identity and keeps it. The private key is made for the purpose. An error that is no
// *TemporaryError needs a person: another token or another address.
func (s *Store) Enroll(ctx context.Context, e Enrolment) error {
	key, request, err := newKey()
	if err != nil {
		return err
	}
	found, err := parseReplicas(e.ControlPlane)
	if err != nil {
		return err
	}
	var impostor atomic.Pointer[error]
	conn, err := found.dial(func(host string) *tls.Config { return pinned(e.Token, host, &impostor) }, nil)
	if err != nil {
		return fmt.Errorf("enrolling: %w", err)
	}
	defer func() { _ = conn.Close() }()
	ctx, cancel := context.WithTimeoutCause(ctx, attemptTimeout, errors.New("the control plane did not answer in time"))
	defer cancel()
	answer, err := agentv1.NewEnrolmentServiceClient(conn).Enroll(ctx, &agentv1.EnrollRequest{
		JoinToken: e.Token.secret, CertificateSigningRequest: request, Name: e.Name, Labels: e.Labels,
	})
	if wrong := impostor.Load(); wrong != nil {
		return fmt.Errorf("enrolling with %s: %w", e.ControlPlane, *wrong)
	}
	if err != nil {
		return classify(fmt.Errorf("enrolling with %s: %w", e.ControlPlane, err), status.Code(err))
	}
	if !trusts(answer.GetCredentials(), e.Token) {
		return errors.New("enrolling: the control plane's authorities lack the one that the join token names")
	}
	return s.replace(answer.GetAgentId(), answer.GetFleet(), key, answer.GetCredentials())
}

func classify(err error, code codes.Code) error {
	switch code {
	case codes.Unavailable, codes.DeadlineExceeded, codes.ResourceExhausted, codes.Aborted, codes.Internal, codes.Unknown:
		return &TemporaryError{err}
	default:
		return err
	}
}

// pinned trusts the one authority that the token names, which the server has to show with its chain.
func pinned(token JoinToken, host string, impostor *atomic.Pointer[error]) *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS13,
		ServerName:         host,
		InsecureSkipVerify: true, // VerifyConnection checks against the pin
		VerifyConnection: func(state tls.ConnectionState) error {
			err := verifyPin(state, token, host)
			if err != nil {
				impostor.Store(&err)
			}
			return err
		},
	}
}

func verifyPin(state tls.ConnectionState, token JoinToken, host string) error {
	authorities := x509.NewCertPool()
	for _, certificate := range state.PeerCertificates {
		if sha256.Sum256(certificate.Raw) == token.pin {
			authorities.AddCert(certificate)
			return verifyServer(state, authorities, host)
		}
	}
	return errors.New("it does not show the authority that the join token names")
}

func trusts(c *agentv1.Credentials, token JoinToken) bool {
	for _, der := range c.GetAuthorities() {
		if sha256.Sum256(der) == token.pin {
			return true
		}
	}
	return false
}
