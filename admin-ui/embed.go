//go:build console

// Package adminui hands the built console to the control plane. It knows nothing of the API behind it.
package adminui

import (
	"embed"
	"io/fs"
)

//go:embed all:dist
var dist embed.FS

// Files are the built console: index.html and what it loads.
func Files() (fs.FS, error) { return fs.Sub(dist, "dist") }
