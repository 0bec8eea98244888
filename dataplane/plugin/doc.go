// Package plugin is what policies are made of: what a policy sees of an exchange ([Exchange]), what it may answer
// ([Verdict], with a [Reason]), the small interfaces by which it takes part in the phases of an exchange, the order in which
// policies run ([Chain]), and the live state that outlives configuration ([State]).
//
// It knows no policy, no HTTP engine, no configuration message and no upstream.
package plugin
