package http1

import "testing"

// TestEightAtATime holds what looks at eight bytes at a time against the table, with each byte at each place, among others that make
// the sum of a neighbour overflow.
func TestEightAtATime(t *testing.T) {
	t.Parallel()
	for _, filler := range []byte{'a', '!', '~', 0x80, 0xff} {
		for length := range 20 {
			for at := range length {
				for c := range 256 {
					text := make([]byte, length)
					for i := range text {
						text[i] = filler
					}
					text[at] = byte(c)
					if got, want := validValue(text), all(text, valueByte); got != want {
						t.Fatalf("a value %q: %v", text, got)
					}
					if got, want := validTarget(string(text)), all(text, targetByte); got != want {
						t.Fatalf("a target %q: %v", text, got)
					}
				}
			}
		}
	}
}
