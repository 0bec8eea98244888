package listener

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"sync"
	"time"
)

// Sessions are resumed by tickets (RFC 8446, section 2.2; RFC 5077). Every agent of a fleet derives the same keys from a secret
// that it shares with the others and from the time, so a ticket of one works with another, and after a restart, with nobody
// sending keys around. Without a secret crypto/tls makes keys of its own.
//
// A ticket is good for one server name under one policy for client certificates: what a client proved for one name says
// nothing about another.

// ticketPeriod is how long one key encrypts tickets. Keys of the periods before and after open them too, so a ticket works for
// 12 to 24 hours, and clocks may differ by hours.
const ticketPeriod = 12 * time.Hour

// tickets are the present keys.
type tickets struct {
	// keeper is only asked to encrypt and decrypt tickets.
	keeper *tls.Config

	// Guarded by mu.
	mu     sync.Mutex
	secret []byte
	period int64
}

// SetTicketSecret sets the secret that the fleet shares, at least 32 bytes; an empty one changes nothing. It may be called by
// any goroutine.
func (t *TLS) SetTicketSecret(secret []byte) error {
	if len(secret) == 0 {
		return nil
	}
	if len(secret) < sha256.Size {
		return fmt.Errorf("the secret of session tickets has %d bytes, less than %d", len(secret), sha256.Size)
	}
	k := &t.tickets
	k.mu.Lock()
	defer k.mu.Unlock()
	if bytes.Equal(secret, k.secret) {
		return nil
	}
	k.secret, k.period = bytes.Clone(secret), periodOf(time.Now())
	return k.derive()
}

// refresh derives the keys of the present period.
func (k *tickets) refresh(now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if period := periodOf(now); k.secret != nil && period != k.period {
		k.period = period
		_ = k.derive() // it succeeded before
	}
}

func (k *tickets) derive() error {
	var keys [][32]byte
	// The first encrypts.
	for _, period := range []int64{k.period, k.period - 1, k.period + 1} {
		key, err := ticketKey(k.secret, period)
		if err != nil {
			return err
		}
		keys = append(keys, key)
	}
	k.keeper.SetSessionTicketKeys(keys)
	return nil
}

// ticketKey derives the key of a period (RFC 5869).
func ticketKey(secret []byte, period int64) (key [32]byte, err error) {
	info := binary.BigEndian.AppendUint64([]byte("tidegate session tickets\x00"), uint64(period))
	derived, err := hkdf.Key(sha256.New, secret, nil, string(info), len(key))
	if err != nil {
		return key, fmt.Errorf("deriving a key of session tickets: %w", err)
	}
	return [32]byte(derived), nil
}

func periodOf(now time.Time) int64 { return now.Unix() / int64(ticketPeriod/time.Second) }

// bindTickets makes the tickets of a configuration good for the server name and the policy they were made under.
func (t *TLS) bindTickets(config *tls.Config, auth *ClientAuth) {
	config.WrapSession = func(state tls.ConnectionState, session *tls.SessionState) ([]byte, error) {
		t.tickets.refresh(time.Now())
		session.Extra = append(session.Extra, bindingOf(state.ServerName, auth))
		return t.tickets.keeper.EncryptTicket(state, session)
	}
	config.UnwrapSession = func(ticket []byte, state tls.ConnectionState) (*tls.SessionState, error) {
		t.tickets.refresh(time.Now())
		session, err := t.tickets.keeper.DecryptTicket(ticket, state)
		if err != nil || session == nil {
			return nil, nil //nolint:nilerr,nilnil // the way of crypto/tls to say: do a whole handshake
		}
		binding := bindingOf(state.ServerName, auth)
		for _, extra := range session.Extra {
			if bytes.Equal(extra, binding) {
				return session, nil
			}
		}
		return nil, nil //nolint:nilnil // as above
	}
}

func bindingOf(serverName string, auth *ClientAuth) []byte {
	digest := sha256.New()
	if auth != nil {
		_, _ = digest.Write(auth.Fingerprint[:])
	}
	_, _ = digest.Write([]byte("\x00" + nameOf(serverName)))
	return digest.Sum([]byte("tidegate\x00"))
}
