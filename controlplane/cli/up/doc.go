// Package up is `tidegate up`: everything on one machine, for development and for trying it out. It starts a private Postgres,
// the control plane, some agents and two demo upstreams as child processes, sets up the demo through the admin API like any
// client, and stops all of it when it is told to.
//
// Processes and Postgres are the room local's; here is which, in what order, and what they are told. It must never know SQL
// or the insides of what it starts.
package up
