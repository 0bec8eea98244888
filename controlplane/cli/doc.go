// Package cli is the command line: the verbs, what they print and how they exit. It is a client of the admin API like any
// other and speaks it over REST (folder client); files are read by declarative, descriptions by openapi, and `tidegate up`
// lives in the folder up.
//
// It must never know the store or the rules of the domain: a command line with a back door would be a second API.
package cli
