package pattern

import "fmt"

// Limits of what a pattern may be. They bound the work that one request can cause.
const (
	// MaxPathLength is the longest path pattern, as written and in its canonical form, in bytes.
	MaxPathLength = 1024
	// MaxSegments is the largest number of segments of a path pattern.
	MaxSegments = 64
	// MaxParams is the largest number of values that a path pattern captures, the rest under ** included.
	MaxParams = 16
	// MaxRegexInstructions bounds a compiled regular expression. RE2 takes time proportional to this times the text.
	MaxRegexInstructions = 2000
	// MaxRegexText is the longest text, in bytes, that a regular expression is tried on. What is longer does not match.
	MaxRegexText = 4096
)

// SyntaxError says what is wrong with a pattern, where, and what to write instead.
type SyntaxError struct {
	// Pattern is the text as it was given.
	Pattern string
	// Offset is the byte of Pattern, counted from 0, at which the problem begins.
	Offset int
	// Problem is what is wrong.
	Problem string
	// Fix is what to do about it.
	Fix string
}

// Error names the pattern, the position counted from 1 as editors do, the problem and the remedy.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("%q, character %d: %s; %s", e.Pattern, e.Offset+1, e.Problem, e.Fix)
}

func syntaxError(pattern string, offset int, problem, fix string) error {
	return &SyntaxError{Pattern: pattern, Offset: offset, Problem: problem, Fix: fix}
}
