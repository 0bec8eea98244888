//go:build !go1.27

package proxy

import (
	"sync"
	_ "unsafe" // for go:linkname
)

// disableExtendedConnect is a variable of golang.org/x/net/http2, which keeps extended CONNECT (RFC 8441) off unless the environment of
// the process said otherwise when it was started (golang/go#71128). WebSockets over HTTP/2 need it.
//
//go:linkname disableExtendedConnect golang.org/x/net/http2.disableExtendedConnectProtocol
var disableExtendedConnect bool

// enableExtendedConnect is called before anything is served.
var enableExtendedConnect = sync.OnceFunc(func() { disableExtendedConnect = false })
