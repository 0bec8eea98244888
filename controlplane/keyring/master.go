package keyring

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// masterKeyLimit bounds what is read as a master key file, in bytes. A keyset of a few keys has less than 2 KiB.
const masterKeyLimit = 64 << 10

// openMaster reads the master key, or makes it if it does not exist and create is set.
func openMaster(file string, create bool) (tink.AEAD, error) {
	if file == "" {
		return nil, errors.New("no master key file is named")
	}
	master, err := readMaster(file)
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return master, err
	}
	if !create {
		return nil, fmt.Errorf("reading the master key: %w; if it is lost, the keys in the database are lost with it", err)
	}
	if err := createMaster(file); err != nil {
		return nil, fmt.Errorf("making the master key %s: %w", file, err)
	}
	return readMaster(file)
}

// readMaster reads a keyset in clear text from a file that nobody but its owner may read.
func readMaster(file string) (tink.AEAD, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > masterKeyLimit {
		return nil, fmt.Errorf("master key %s is not a regular file of at most %d bytes", file, masterKeyLimit)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("master key %s has mode %04o: others may read it; it must be 0600", file, mode)
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the master key: %w", err)
	}
	handle, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(content)))
	if err != nil {
		// The cause is left out: it might quote the content.
		return nil, fmt.Errorf("master key %s is not a keyset", file)
	}
	master, err := aead.New(handle)
	if err != nil {
		return nil, fmt.Errorf("master key %s is not a keyset for authenticated encryption: %w", file, err)
	}
	return master, nil
}

// createMaster writes a new keyset. The file appears whole or not at all, and one that exists is left alone: of two
// replicas on one machine the second uses the first's.
func createMaster(file string) error {
	handle, err := keyset.NewHandle(aead.XChaCha20Poly1305KeyTemplate())
	if err != nil {
		return err
	}
	var content bytes.Buffer
	if err := insecurecleartextkeyset.Write(handle, keyset.NewJSONWriter(&content)); err != nil {
		return err
	}
	folder := filepath.Dir(file)
	temporary, err := os.CreateTemp(folder, ".master-key-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(temporary.Name()) }()
	if err := writeAndSync(temporary, content.Bytes()); err != nil {
		return err
	}
	if err := os.Link(temporary.Name(), file); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncFolder(folder)
}

func writeAndSync(file *os.File, content []byte) error {
	_, err := file.Write(content)
	return errors.Join(err, file.Sync(), file.Close())
}

// syncFolder makes the names in a folder durable.
func syncFolder(folder string) error {
	opened, err := os.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(opened.Sync(), opened.Close())
}
