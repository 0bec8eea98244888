// Package auth stands in for the library with which Traefik checks passwords: the fork that it uses is not on every module proxy.
// It lets nobody in; what is measured needs no password.
package auth

import "net/http"

// SecretProvider finds the stored password of a user.
type SecretProvider func(user, realm string) string

// BasicAuth refuses basic authentication.
type BasicAuth struct {
	Realm   string
	Secrets SecretProvider
}

// RequireAuth refuses.
func (*BasicAuth) RequireAuth(w http.ResponseWriter, r *http.Request) { refuse(w, r) }

// DigestAuth refuses digest authentication.
type DigestAuth struct{}

// NewDigestAuthenticator makes one.
func NewDigestAuthenticator(string, SecretProvider) *DigestAuth { return &DigestAuth{} }

// CheckAuth knows nobody.
func (*DigestAuth) CheckAuth(*http.Request) (user string, information *string) { return "", nil }

// RequireAuth refuses.
func (*DigestAuth) RequireAuth(w http.ResponseWriter, r *http.Request) { refuse(w, r) }

// RequireAuthStale refuses.
func (*DigestAuth) RequireAuthStale(w http.ResponseWriter, r *http.Request) { refuse(w, r) }

// DigestAuthParams reads nothing.
func DigestAuthParams(string) map[string]string { return nil }

// CheckSecret matches nothing.
func CheckSecret(string, string) bool { return false }

func refuse(w http.ResponseWriter, _ *http.Request) {
	http.Error(w, "built without passwords", http.StatusUnauthorized)
}
