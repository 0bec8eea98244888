package identity

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"tidegate.dev/controlplane/store"
)

// BootstrapName is the name of the token that Bootstrap makes.
const BootstrapName = "bootstrap"

// Bootstrap makes the first admin token of an installation and writes it to path (0600, whole or not at all). If any token was
// ever made it does nothing, so that a second replica or a restart changes nothing; made says which it was.
//
// The file is written before the transaction commits: a crash in between leaves a file that opens nothing, and the next start
// replaces it, where the other order could lose the only token.
func (s *Service) Bootstrap(ctx context.Context, path string) (made bool, err error) {
	err = s.store.InTx(ctx, func(tx *store.Tx) error {
		exists, err := tx.HasTokens(ctx)
		if err != nil || exists {
			return err
		}
		token := tokenPrefix + newSecret()
		if _, err := tx.CreateToken(ctx, BootstrapName, Admin.String(), hash(token), maxTokenLifetime); err != nil {
			return err
		}
		if err := writeSecretFile(path, token+"\n"); err != nil {
			return fmt.Errorf("writing the bootstrap token: %w", err)
		}
		made = true
		return nil
	})
	return made && err == nil, err
}

// writeSecretFile replaces path by a file that only we can read, in one step.
func writeSecretFile(path, content string) (err error) {
	// CreateTemp makes the file 0600.
	temporary, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer func() {
		if removeErr := os.Remove(temporary.Name()); err == nil && !errors.Is(removeErr, fs.ErrNotExist) {
			err = removeErr
		}
	}()
	_, err = temporary.WriteString(content)
	err = errors.Join(err, temporary.Sync(), temporary.Close())
	if err != nil {
		return err
	}
	return os.Rename(temporary.Name(), path)
}
