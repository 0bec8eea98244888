// Package migrations holds the numbered SQL of the control plane's schema.
package migrations

import "embed"

// FS holds the migrations.
//
//go:embed *.sql
var FS embed.FS
