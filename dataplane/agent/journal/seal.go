package journal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// sealKeySize is the size of the key that the journal is sealed with: AES-256.
const sealKeySize = 32

// sealKeyName is the file of the key, beside the journal's folder rather than in it, so that a copy of the journal alone
// tells nothing.
const sealKeyName = "journal.key"

// sealer encrypts payloads with AES-256-GCM. A payload is bound to its file and place, so that frames cannot be moved.
type sealer struct {
	aead cipher.AEAD
}

// openSealer reads the key, or makes one. fresh says that it was made: what is sealed already cannot be read with it.
func openSealer(stateDir string) (s *sealer, fresh bool, err error) {
	path := filepath.Join(stateDir, sealKeyName)
	key, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) || (err == nil && len(key) != sealKeySize) {
		fresh = true
		key = make([]byte, sealKeySize)
		rand.Read(key)
		err = WriteFile(path, key)
	}
	if err != nil {
		return nil, false, fmt.Errorf("opening the key of the journal: %w", err)
	}
	s, err = newSealer(key)
	return s, fresh, err
}

// readSealer reads the key, which must be there.
func readSealer(stateDir string) (*sealer, error) {
	key, err := os.ReadFile(filepath.Join(stateDir, sealKeyName))
	if err != nil {
		return nil, fmt.Errorf("opening the key of the journal: %w", err)
	}
	return newSealer(key)
}

func newSealer(key []byte) (*sealer, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("opening the key of the journal: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("opening the key of the journal: %w", err)
	}
	return &sealer{aead: aead}, nil
}

func (s *sealer) seal(plain []byte, header fileHeader, offset int64) []byte {
	return s.aead.Seal(nil, nil, plain, place(header, offset))
}

func (s *sealer) unseal(sealed []byte, header fileHeader, offset int64) ([]byte, error) {
	return s.aead.Open(nil, nil, sealed, place(header, offset))
}

func place(header fileHeader, offset int64) []byte {
	return binary.LittleEndian.AppendUint64(header.bytes(), uint64(offset))
}
