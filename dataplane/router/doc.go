// Package router finds the route that takes a request. It compiles the rules of package pattern into trees, one for each host
// pattern, and gives the same answer as pattern's slow matcher, which it is fuzzed against.
//
// # Cost
//
// Matching follows the segments of the path from the root of a tree, so it costs what the path is long, not what the routes
// are many, and allocates nothing. What a search reads is laid out for the processor's caches, since with many routes asked for in
// no order the time goes into waiting for memory: the children of a place are found by tags, forty in a line, that stay in the
// caches; a child is one cache line, with a candidate and a short name in it; where there are but a few candidates below a place,
// what they look like is shared by all such places, and so are equal remainders of templates. So most matches wait once.
//
// The cost grows with the number of rules only where they share host and canonical path and differ in methods or conditions, and
// with the regular expressions that share their leading segments: these are tried one by one.
//
// # What a request cannot do
//
// Where a literal and a parameter stand side by side, both ways are searched if the first leads nowhere. In how many ways at most
// is a property of the rules, [Router.Ways]; a router with more than [MaxWays] is not made. A search visits at most so many places
// for each segment of the path, and at the end of each way compares at most 16 templates. Names are hashed with a random
// seed, and compared after that, so nobody can make them collide; a host is looked up with at most as many suffixes as a DNS
// name has labels.
//
// # Change
//
// A [Router] never changes. [Router.With] makes a new one that shares everything with the old but the way from the root to what
// changed, so one route among 100,000 costs about as much as one among a thousand. Both serve as long as somebody uses them.
//
// The package must not know servers, policies or upstreams: what a route leads to is a value of any type.
package router
