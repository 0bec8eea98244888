// Package listener takes connections: everything from an open port until it is known which protocol a connection speaks. It
// bounds how many there are, reads the PROXY protocol, does TLS with its handshakes, certificates, client certificates and
// session tickets, keeps HTTP/2 connections within the RFC, and passes open ports on to the process that comes after.
//
// It knows nothing of requests, routes or configuration: certificates come in as a function, connections go out as one.
package listener
