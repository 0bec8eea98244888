// Package router finds the route that takes a request. It compiles the rules of package pattern into trees, one for each host
// pattern, and gives the same answer as pattern's slow matcher, which it is fuzzed against.
//
// # Cost
//
// Matching follows the segments of the path from the root of a tree, so it costs what the path is long, not what the routes
// are many, and allocates nothing. It grows with the number of rules only where they share host and canonical path and differ
// in methods or conditions, and with the regular expressions that share their leading segments: these are tried one by one.
// Where a literal and a parameter stand side by side, both ways are searched if the first leads nowhere.
//
// # Change
//
// A [Router] never changes. [Router.With] makes a new one that shares everything with the old but the way from the root to what
// changed, so one route among 100,000 costs about as much as one among ten. Both serve as long as somebody uses them.
//
// The package must not know servers, policies or upstreams: what a route leads to is a value of any type.
package router
