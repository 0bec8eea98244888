//go:build !linux || !(amd64 || arm64)

package http1

import "time"

// rawReader reads from the socket itself where that is known to work.
type rawReader struct{}

// sendAndFill leaves all to the usual way.
func (c *carrier) sendAndFill(time.Time) (done bool, err error) { return false, nil }

// serveHot leaves all to the usual way.
func (c *connection) serveHot() {}

// writeDirect leaves all to the usual way.
func (s *stream) writeDirect(p []byte) (rest []byte) { return p }
