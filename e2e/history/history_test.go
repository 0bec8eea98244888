package history

import (
	"errors"
	"testing"
	"time"
)

// line is one call of a history that is written down by hand: when it began and ended, what was called and answered.
type line struct {
	begin, end int64
	call       Call
	answer     Answer
}

func write1(service, value string) Call { return Call{Kind: Write, Service: service, Value: value} }

func done(revision int) Answer { return Answer{Outcome: Done, Revision: revision} }

func read(value string, version int) Answer {
	return Answer{Outcome: Done, Value: value, Version: version}
}

func TestHistories(t *testing.T) {
	t.Parallel()
	readA := Call{Kind: Read, Service: "a"}
	for _, c := range []struct {
		name  string
		holds bool
		lines []line
	}{
		{"one after the other", true, []line{
			{1, 2, write1("a", "x"), done(1)}, {3, 4, readA, read("x", 1)}, {5, 6, Call{Kind: Head}, done(1)},
		}},
		{"at the same time, in either order", true, []line{
			{1, 9, write1("a", "x"), done(2)}, {2, 8, write1("a", "y"), done(1)}, {10, 11, readA, read("x", 2)},
		}},
		{"a write that was acknowledged is lost", false, []line{
			{1, 2, write1("a", "x"), done(1)}, {3, 4, readA, Answer{Outcome: Absent}},
		}},
		{"a stale read", false, []line{
			{1, 2, write1("a", "x"), done(1)}, {3, 4, write1("a", "y"), done(2)}, {5, 6, readA, read("x", 1)},
		}},
		{"a number is given out twice", false, []line{
			{1, 2, write1("a", "x"), done(1)}, {1, 2, write1("b", "y"), done(1)},
		}},
		{"a request had two effects", false, []line{ // the second took number 2
			{1, 2, write1("a", "x"), done(1)}, {3, 4, write1("b", "y"), done(3)},
		}},
		{"no answer, and it happened", true, []line{
			{1, 0, write1("a", "x"), Answer{}}, {3, 4, write1("b", "y"), done(2)}, {5, 6, readA, read("x", 1)},
		}},
		{"no answer, and it did not happen", true, []line{
			{1, 0, write1("a", "x"), Answer{}}, {3, 4, write1("b", "y"), done(1)}, {5, 6, readA, Answer{Outcome: Absent}},
		}},
		{"no answer, and it happened and then did not", false, []line{
			{1, 0, write1("a", "x"), Answer{}}, {3, 4, readA, read("x", 1)}, {5, 6, readA, Answer{Outcome: Absent}},
		}},
		{"two that saw the same version both won", false, []line{
			{1, 2, write1("a", "x"), done(1)},
			{3, 6, Call{Kind: Write, Service: "a", Value: "y", IfMatch: 1}, done(2)},
			{3, 6, Call{Kind: Write, Service: "a", Value: "z", IfMatch: 1}, done(3)},
		}},
		{"one of two that saw the same version lost", true, []line{
			{1, 2, write1("a", "x"), done(1)},
			{3, 6, Call{Kind: Write, Service: "a", Value: "y", IfMatch: 1}, done(2)},
			{3, 6, Call{Kind: Write, Service: "a", Value: "z", IfMatch: 1}, Answer{Outcome: Conflict}},
		}},
		{"refused for nothing", false, []line{
			{1, 2, write1("a", "x"), done(1)}, {3, 4, Call{Kind: Write, Service: "a", Value: "y", IfMatch: 1}, Answer{Outcome: Conflict}},
		}},
		{"a draft on an old base", true, []line{
			{1, 2, write1("a", "x"), done(1)},
			{3, 4, Call{Kind: Publish, Service: "a", Value: "y", Base: 0}, Answer{Outcome: Conflict}},
			{5, 6, Call{Kind: Publish, Service: "b", Value: "z", Base: 0}, done(2)},
		}},
		{"a draft wrote over what it had not seen", false, []line{
			{1, 2, write1("a", "x"), done(1)}, {3, 4, Call{Kind: Publish, Service: "a", Value: "y", Base: 0}, done(2)},
		}},
		{"back, and back to the same", true, []line{
			{1, 2, write1("a", "x"), done(1)},
			{3, 4, write1("a", "y"), done(2)},
			{5, 6, Call{Kind: Rollback, To: 1}, done(3)},
			{7, 8, readA, read("x", 3)},
			{9, 10, Call{Kind: Rollback, To: 1}, done(0)},
		}},
		{"a rollback that forgot something", false, []line{
			{1, 2, write1("a", "x"), done(1)},
			{3, 4, write1("b", "y"), done(2)},
			{5, 6, Call{Kind: Rollback, To: 1}, done(3)},
			{7, 8, Call{Kind: Read, Service: "b"}, read("y", 2)},
		}},
		{"an abort takes its change back", true, []line{
			{1, 2, write1("a", "x"), done(1)},
			{3, 5, Call{Kind: Revert, Changes: []Change{{Service: "a", Before: "x"}}}, done(2)},
			{6, 7, readA, Answer{Outcome: Absent}},
			{8, 9, Call{Kind: Write, Service: "a"}, Answer{Outcome: Absent}},
		}},
		{"an abort took what came later with it", false, []line{
			{1, 2, write1("a", "x"), done(1)},
			{3, 4, write1("b", "y"), done(2)},
			{5, 6, Call{Kind: Revert, Changes: []Change{{Service: "a", Before: "x"}}}, done(3)},
			{7, 8, Call{Kind: Read, Service: "b"}, Answer{Outcome: Absent}},
		}},
		{"fleets do not know of each other", true, []line{
			{1, 2, Call{Kind: Write, Fleet: "one", Service: "a", Value: "x"}, done(1)},
			{3, 4, Call{Kind: Write, Fleet: "two", Service: "a", Value: "x"}, done(1)},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := NewRecorder()
			for client, l := range c.lines {
				r.Add(client, l.call, l.answer, l.begin, l.end)
			}
			err := r.History().Check(10*time.Second, "")
			if (err == nil) != c.holds {
				t.Errorf("it holds: %v, want %v", err, c.holds)
			}
			if err != nil && !errors.Is(err, ErrNoOrder) {
				t.Error(err)
			}
		})
	}
}
