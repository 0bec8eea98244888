// Package http1 is HTTP/1.1 on the wire (RFC 9110, RFC 9112): it reads and writes heads and bodies, serves a client's
// connection, and keeps connections to one upstream target. One goroutine serves a connection, and the same goroutine writes
// to and reads from the upstream, so an ordinary exchange costs two reads, two writes and no allocation here.
//
// It is strict: a message that two readers could understand differently is refused and never put right, since whoever puts it
// right decides for the next reader. What it writes is framed by it alone: fields that frame a message are never copied from
// one message to the next.
//
// It must never know what a gateway is: no route, no policy, no configuration.
package http1
