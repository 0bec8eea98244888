// Package acme obtains certificates from ACME authorities (RFC 8555) and renews them before they expire.
//
// What is to be obtained stands in Postgres, written with the certificate resource. Every replica looks for what is due, and
// claims one certificate at a time for the length of a lease, so that none is ordered twice at once; an attempt is counted
// before it begins, so that a process that dies in the middle does not order in a loop. What was obtained goes into the fast
// lane, sealed, and so do the answers to the authority's challenges: any agent may be asked, so the authority is told to look
// only when every connected agent has acknowledged them.
//
// The package knows the store, the keyring and the schema. It must never know how agents are connected, nor who edits
// configuration.
package acme
