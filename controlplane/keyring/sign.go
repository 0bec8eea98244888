package keyring

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
)

// signer signs with Ed25519 (RFC 8032).
type signer struct {
	id      string
	public  ed25519.PublicKey
	private ed25519.PrivateKey
}

func newSigningMaterial() (public, private []byte, err error) {
	publicKey, privateKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	return publicKey, privateKey.Seed(), nil
}

func openSigner(public, seed []byte) (*signer, error) {
	if err := checkLength(seed, ed25519.SeedSize); err != nil {
		return nil, err
	}
	private := ed25519.NewKeyFromSeed(seed)
	derived, _ := private.Public().(ed25519.PublicKey)
	if !derived.Equal(ed25519.PublicKey(public)) {
		return nil, errors.New("its halves do not belong together")
	}
	digest := sha256.Sum256(public)
	return &signer{id: hex.EncodeToString(digest[:8]), public: derived, private: private}, nil
}

// Sign encodes the message and signs it under its full name, so that a signature of one kind of message is none of another.
func (k *Keyring) Sign(message proto.Message) (*agentv1.Signed, error) {
	payload, err := proto.Marshal(message)
	if err != nil {
		return nil, fmt.Errorf("encoding a message to sign: %w", err)
	}
	name := message.ProtoReflect().Descriptor().FullName()
	return &agentv1.Signed{
		Payload:   payload,
		Signature: ed25519.Sign(k.signer.private, agentv1.SignedBytes(name, payload)),
		KeyId:     k.signer.id,
	}, nil
}
