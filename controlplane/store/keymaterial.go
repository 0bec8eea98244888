package store

import (
	"context"
	"fmt"

	"tidegate.dev/controlplane/store/queries"
)

// KeyMaterial is a key of the control plane as the database holds it: its name, its public half, and the rest sealed under
// the master key.
type KeyMaterial struct {
	Name   string
	Public []byte
	Sealed []byte
}

// KeyMaterial returns all keys, by name.
func (tx *Tx) KeyMaterial(ctx context.Context) ([]KeyMaterial, error) {
	rows, err := tx.queries.ListKeyMaterial(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading key material: %w", translate(err))
	}
	keys := make([]KeyMaterial, 0, len(rows))
	for _, row := range rows {
		keys = append(keys, KeyMaterial{Name: row.Name, Public: row.Public, Sealed: row.Sealed})
	}
	return keys, nil
}

// AddKeyMaterial stores a key unless one of its name exists; then it waits for the transaction that made that one and does
// nothing. Read afterwards, with [Tx.KeyMaterial], which one it is.
func (tx *Tx) AddKeyMaterial(ctx context.Context, key KeyMaterial) error {
	err := tx.queries.AddKeyMaterial(ctx, queries.AddKeyMaterialParams{Name: key.Name, Public: key.Public, Sealed: key.Sealed})
	if err != nil {
		return fmt.Errorf("adding key material %q: %w", key.Name, translate(err))
	}
	return nil
}
