// Package ext is the place where Traefik's commercial edition adds fields to the configuration. Traefik's sources name it by a
// path beside them that its published module leaves out, so that the module alone does not build; here it is, empty.
package ext

// HTTP would be further fields of the HTTP configuration.
type HTTP struct{}

// Router would be further fields of a router.
type Router struct{}
