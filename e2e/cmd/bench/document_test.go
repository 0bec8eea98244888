package main

import "testing"

func TestResultsReplaceThoseOfAnEarlierRun(t *testing.T) {
	t.Parallel()
	got, err := replaceBetween("# A\n"+beginMark+"\nold\n"+endMark+"\nrest\n", "new\n")
	if want := "# A\n" + beginMark + "\n\nnew\n\n" + endMark + "\nrest\n"; err != nil || got != want {
		t.Errorf("got %q, %v, not %q", got, err, want)
	}
	if _, err := replaceBetween("# A\n"+beginMark+"\nold\n", "new\n"); err == nil {
		t.Error("a document without an end mark was changed")
	}
}
