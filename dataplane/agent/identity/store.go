package identity

import (
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"

	"google.golang.org/protobuf/encoding/protojson"

	"tidegate.dev/dataplane/agent/journal"
	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
)

// fileName is the identity's file in the agent's folder; it holds the private key and is readable by the agent alone.
const fileName = "identity.json"

// Store keeps the identity, on disk and for everyone in the process. It is safe for concurrent use.
type Store struct {
	path    string
	current atomic.Pointer[Identity]
}

// file is what is on the disk.
type file struct {
	AgentID     string          `json:"agent_id"`
	Fleet       string          `json:"fleet"`
	PrivateKey  []byte          `json:"private_key"` // PKCS #8
	Credentials json.RawMessage `json:"credentials"` // agent.v1.Credentials
}

// Open reads the identity from the agent's folder, if there is one.
func Open(stateDir string) (*Store, error) {
	s := &Store{path: filepath.Join(stateDir, fileName)}
	content, err := os.ReadFile(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the agent's identity: %w", err)
	}
	identity, err := parse(content)
	if err != nil {
		return nil, fmt.Errorf("reading the agent's identity from %s: %w", s.path, err)
	}
	s.current.Store(identity)
	return s, nil
}

func parse(content []byte) (*Identity, error) {
	var f file
	if err := json.Unmarshal(content, &f); err != nil {
		return nil, errors.New("the file is damaged")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(f.PrivateKey)
	if err != nil {
		return nil, errors.New("the private key is damaged")
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok {
		return nil, errors.New("the private key is not an elliptic-curve key")
	}
	credentials := new(agentv1.Credentials)
	if err := protojson.Unmarshal(f.Credentials, credentials); err != nil {
		return nil, errors.New("the credentials are damaged")
	}
	return newIdentity(f.AgentID, f.Fleet, key, credentials)
}

// Current is the identity, or nil before the agent has enrolled.
func (s *Store) Current() *Identity { return s.current.Load() }

// replace checks an identity, writes it in one step and makes it the current one.
func (s *Store) replace(agentID, fleet string, key *ecdsa.PrivateKey, credentials *agentv1.Credentials) error {
	identity, err := newIdentity(agentID, fleet, key, credentials)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("encoding the agent's key: %w", err)
	}
	encoded, err := protojson.Marshal(credentials)
	if err != nil {
		return fmt.Errorf("encoding the credentials: %w", err)
	}
	content, err := json.Marshal(file{AgentID: agentID, Fleet: fleet, PrivateKey: der, Credentials: encoded})
	if err != nil {
		return fmt.Errorf("encoding the identity: %w", err)
	}
	if err := journal.WriteFile(s.path, content); err != nil {
		return fmt.Errorf("keeping the identity: %w", err)
	}
	s.current.Store(identity)
	return nil
}

// TLS is the configuration of connections to the control plane at the host. Each handshake takes the identity of its
// moment, so a renewal needs no restart.
func (s *Store) TLS(host string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		ServerName: host,
		// The authorities may change while the process runs, so VerifyConnection does what is skipped here.
		InsecureSkipVerify: true,
		VerifyConnection: func(state tls.ConnectionState) error {
			identity := s.Current()
			if identity == nil {
				return errors.New("the agent has not enrolled")
			}
			return verifyServer(state, identity.authorities, host)
		},
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			identity := s.Current()
			if identity == nil {
				return nil, errors.New("the agent has not enrolled")
			}
			return identity.certificate, nil
		},
	}
}

// verifyServer is what crypto/tls does by itself when it is given the authorities.
func verifyServer(state tls.ConnectionState, authorities *x509.CertPool, host string) error {
	if len(state.PeerCertificates) == 0 {
		return errors.New("the control plane showed no certificate")
	}
	intermediates := x509.NewCertPool()
	for _, certificate := range state.PeerCertificates[1:] {
		intermediates.AddCert(certificate)
	}
	_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{
		Roots: authorities, Intermediates: intermediates, DNSName: host,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	if err != nil {
		return fmt.Errorf("checking the control plane's certificate: %w", err)
	}
	return nil
}
