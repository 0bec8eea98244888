package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// Marks in a document: what stands between them is a run's results.
const (
	beginMark = "<!-- results: begin -->"
	endMark   = "<!-- results: end -->"
)

// paste writes results into a document, in the place of those of an earlier run.
func paste(path string, r *results) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("reading the document: %w", err)
	}
	var tables strings.Builder
	if err := (&options{Output: "markdown"}).print(&tables, r); err != nil {
		return err
	}
	replaced, err := replaceBetween(string(text), tables.String())
	if err != nil {
		return fmt.Errorf("pasting into %s: %w", path, err)
	}
	if err := os.WriteFile(path, []byte(replaced), 0o644); err != nil { //nolint:gosec // a document is for everybody
		return fmt.Errorf("writing the document: %w", err)
	}
	return nil
}

func replaceBetween(text, results string) (string, error) {
	before, rest, found := strings.Cut(text, beginMark)
	_, after, foundEnd := strings.Cut(rest, endMark)
	if !found || !foundEnd {
		return "", errors.New("it has no marks " + beginMark + " and " + endMark)
	}
	return before + beginMark + "\n\n" + strings.TrimSpace(results) + "\n\n" + endMark + after, nil
}
