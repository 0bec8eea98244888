//go:build !console

// Package adminui hands the built console to the control plane. It knows nothing of the API behind it.
package adminui

import (
	"io/fs"
	"testing/fstest"
)

// page stands in for the console, so that Go is built and tested without Node.
const page = `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Tidegate</title>
<p>The console is not built into this program. Run <code>make build</code> for one that has it; the API is here all the same.
</html>
`

// Files are a page that says how to get the console.
func Files() (fs.FS, error) {
	return fstest.MapFS{"index.html": &fstest.MapFile{Data: []byte(page), Mode: 0o444}}, nil
}
