// Package keyring keeps the secrets of the control plane. One master key lies in a file that all replicas share and never in
// the database; it wraps the keys in the table key_material: the authority that certifies agents, the key that signs what
// agents are told, and the key of the keyed hash of API keys. So a copy of the database shows no secret, and write access to
// it alone puts nothing on an agent.
//
// It knows nothing of sessions, revisions or requests, and nothing that it holds ever appears in a log or an error.
package keyring
