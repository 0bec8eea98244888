// Package pattern is the meaning of a route's match: host and path patterns, further conditions, and the order in which
// routes go before one another. Control plane and data plane both compute with it, so that what is promised at publish is
// what happens to a request.
//
// It also holds the slow, obvious matcher ([Winner], [Allowed], [Explain]): brute force over all rules. It is the oracle that
// a compiled router is tested against, so it prefers being plainly right over being quick.
//
// Everything is a pure function of its arguments. The package knows no I/O, no clock, no goroutines, no messages and no
// HTTP server.
//
// # Order
//
// Of all rules that match a request, the first by this order wins:
//
//  1. the higher priority;
//  2. the host: exact, then the wildcard with the longer suffix, then any;
//  3. the path, segment by segment: literal, then {parameter}, then **; every such template before every regular expression;
//     of two regular expressions the one with the longer literal prefix, then the longer text, then the smaller text;
//  4. the number of further conditions: one for a list of methods, one for each header and each query condition;
//  5. the smaller name. Two rules that need this tie; publishing them is refused (see [Ties]), it is here so that every agent
//     decides alike whatever happens.
//
// A rule whose methods or conditions do not fit does not match at all, so the next rule in the order gets the request.
//
// # Request paths
//
// [NormalizePath] is applied once to what the client sent; its result is matched and forwarded. For matching alone,
// [MatchForm] makes spellings equal which RFC 3986 calls different but most servers treat alike (%3A and the colon), so that
// nobody steps around a route by spelling a character differently.
package pattern
