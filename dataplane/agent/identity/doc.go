// Package identity is who an agent is: its own private key, the certificate that the control plane gave it, the authorities
// that it trusts and the keys that desired state is signed with. It enrols with a join token, renews the certificate before
// it ends, and keeps everything in one file that is replaced in one step.
//
// The private key is made here and never leaves. The package knows nothing of configuration.
package identity
